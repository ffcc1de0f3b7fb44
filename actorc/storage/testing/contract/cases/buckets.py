"""Buckets made, listed and removed."""

from __future__ import annotations

from datetime import datetime

import pytest

from actorc.storage.client import StorageClient
from actorc.storage.errors import AlreadyExistsError, BucketNotEmptyError, InvalidParameterError, NotFoundError
from actorc.storage.testing.contract.demands import rule


class BucketsCases:
    """A bucket is made once, and removed only when it is empty."""

    def test_buckets_are_listed_by_name(self, storage: StorageClient) -> None:
        for name in ("zebra", "alpha", "middle"):
            storage.create_bucket(name)

        assert [found["name"] for found in storage.list_buckets()] == ["alpha", "bucket", "middle", "zebra"]

    def test_a_bucket_remembers_when_it_was_made(self, storage: StorageClient) -> None:
        made = storage.create_bucket("fresh")

        assert isinstance(made["created_at"], datetime)
        assert storage.create_bucket("fresh", exist_ok=True) == made

    def test_a_bucket_is_made_once(self, storage: StorageClient) -> None:
        with pytest.raises(AlreadyExistsError) as caught:
            storage.create_bucket("bucket")

        assert caught.value.bucket == "bucket"

    def test_an_empty_bucket_can_be_removed(self, storage: StorageClient) -> None:
        storage.put_object("bucket", "key", b"")
        storage.delete_object("bucket", "key")
        storage.delete_bucket("bucket")

        assert not storage.bucket_exists("bucket")
        with pytest.raises(NotFoundError):
            storage.list_objects("bucket")

    def test_a_bucket_that_holds_objects_stays(self, storage: StorageClient) -> None:
        storage.put_object("bucket", "key", b"x")

        with pytest.raises(BucketNotEmptyError):
            storage.delete_bucket("bucket")
        assert storage.get_object("bucket", "key") == b"x"

    def test_the_same_key_in_two_buckets_is_two_objects(self, storage: StorageClient) -> None:
        storage.create_bucket("other")
        storage.put_object("bucket", "key", b"one")
        storage.put_object("other", "key", b"two")

        assert [storage.get_object(name, "key") for name in ("bucket", "other")] == [b"one", b"two"]

    @rule
    @pytest.mark.parametrize("name", ["ab", "Upper", "-edge", "a_b"])
    def test_bucket_names_that_break_a_rule_are_refused(self, storage: StorageClient, name: str) -> None:
        with pytest.raises(InvalidParameterError):
            storage.create_bucket(name)
