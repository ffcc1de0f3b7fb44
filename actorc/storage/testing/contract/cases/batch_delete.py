"""Many objects deleted in one call."""

from __future__ import annotations

import pytest

from actorc.storage.client import StorageClient
from actorc.storage.errors import BucketNotFoundError, InvalidParameterError, StorageError

KiB = 1 << 10


def keys(storage: StorageClient) -> list[str]:
    return [head["key"] for head in storage.list_objects("bucket")["objects"]]


class BatchDeleteCases:
    """A batch deletes what is there, and tells of each key what became of it."""

    def test_many_objects_are_deleted_at_once(self, storage: StorageClient) -> None:
        for number in range(5):
            storage.put_object("bucket", f"key{number}", bytes(20 * KiB * (number % 2)))

        result = storage.delete_objects("bucket", ["key3", "key0", "key4"])

        assert result == {"deleted": ["key3", "key0", "key4"], "errors": {}}
        assert keys(storage) == ["key1", "key2"]

    def test_what_is_not_there_is_no_error(self, storage: StorageClient) -> None:
        storage.put_object("bucket", "key", b"x")

        assert storage.delete_objects("bucket", ["missing", "key", "key"]) == {
            "deleted": ["missing", "key", "key"],
            "errors": {},
        }
        assert storage.delete_objects("bucket", []) == {"deleted": [], "errors": {}}

    def test_a_bucket_that_is_not_there_is_an_error(self, storage: StorageClient) -> None:
        with pytest.raises(BucketNotFoundError) as caught:
            storage.delete_objects("missing", ["key"])

        assert caught.value.bucket == "missing"

    def test_a_thousand_objects_are_one_batch(self, storage: StorageClient) -> None:
        names = [f"{number:04}" for number in range(1000)]
        for name in names[::100]:
            storage.put_object("bucket", name, b"x")

        assert storage.delete_objects("bucket", names)["deleted"] == names
        assert keys(storage) == []

    def test_a_key_that_breaks_the_rules_is_told(self, storage: StorageClient) -> None:
        storage.put_object("bucket", "key", b"x")

        errors: dict[str, StorageError]
        try:
            errors = storage.delete_objects("bucket", ["key", "/no"])["errors"]
        except InvalidParameterError as error:
            errors = {"/no": error}

        assert isinstance(errors["/no"], InvalidParameterError)
