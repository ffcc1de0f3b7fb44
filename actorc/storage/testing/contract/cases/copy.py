"""Objects copied without their bytes passing through the caller."""

from __future__ import annotations

from typing import Any

import pytest

from actorc.storage.client import StorageClient
from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotFoundError,
    InvalidParameterError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from actorc.storage.models import PutResult
from actorc.storage.testing.contract.demands import needs, rule

KiB, MiB = 1 << 10, 1 << 20
SIZES = [0, 10, 3 * MiB + 7]


def put(storage: StorageClient, data: bytes = b"data", **options: Any) -> PutResult:
    return storage.put_object("bucket", "key", data, **options)


class CopyCases:
    """A copy is a new object, with the bytes of its source."""

    @pytest.fixture
    def other(self, storage: StorageClient) -> StorageClient:
        storage.create_bucket("other")
        return storage

    @pytest.mark.parametrize("size", SIZES)
    def test_a_copy_has_the_bytes_and_attributes_of_its_source(self, other: StorageClient, size: int) -> None:
        data = b"x" * size
        source = put(other, data, content_type="text/x-own", metadata={"a": "ä"})

        copy = other.copy_object("bucket", "key", "other", "new")

        head, original = other.head_object("other", "new"), other.head_object("bucket", "key")
        assert (copy["bucket"], copy["key"], copy["size"]) == ("other", "new", size)
        assert other.get_object("other", "new") == data
        assert [head[field] for field in ("crc32c", "content_type", "metadata")] == [
            original[field] for field in ("crc32c", "content_type", "metadata")
        ]
        assert (copy["generation"] > source["generation"], copy["etag"] != source["etag"]) == (True, True)

    @pytest.mark.parametrize("size", SIZES)
    def test_a_copy_outlives_its_source_and_the_other_way_round(self, other: StorageClient, size: int) -> None:
        data = b"x" * size
        put(other, data)
        for key in ("one", "two"):
            other.copy_object("bucket", "key", "other", key)
        other.delete_object("other", "one")
        other.delete_object("bucket", "key")

        assert other.get_object("other", "two") == data
        other.copy_object("other", "two", "bucket", "key")
        other.put_object("other", "two", b"replaced")
        assert other.get_object("bucket", "key") == data

    def test_attributes_given_replace_those_of_the_source(self, storage: StorageClient) -> None:
        put(storage, content_type="text/plain", metadata={"a": "b"})

        storage.copy_object("bucket", "key", "bucket", "picture.png", metadata={"c": "d"})

        head = storage.head_object("bucket", "picture.png")
        assert (head["content_type"], head["metadata"]) == ("image/png", {"c": "d"})

    def test_a_copy_onto_itself_replaces_the_attributes(self, storage: StorageClient) -> None:
        data = b"x" * 20 * KiB
        before = put(storage, data, metadata={"a": "b"})

        after = storage.copy_object("bucket", "key", "bucket", "key", content_type="text/x-new", metadata={})

        head = storage.head_object("bucket", "key")
        assert (head["content_type"], head["metadata"], head["generation"]) == ("text/x-new", {}, after["generation"])
        assert after["generation"] > before["generation"]
        assert storage.get_object("bucket", "key") == data
        storage.delete_object("bucket", "key")
        assert not storage.object_exists("bucket", "key")

    def test_an_object_of_parts_is_copied(self, storage: StorageClient) -> None:
        upload_id = storage.create_multipart_upload("bucket", "key")["upload_id"]
        pieces = [b"a" * (MiB + 1), b"b" * 10, b"c" * 30 * KiB]
        parts = [storage.upload_part("bucket", "key", upload_id, number, data) for number, data in enumerate(pieces, 1)]
        storage.complete_multipart_upload("bucket", "key", upload_id, parts)

        storage.copy_object("bucket", "key", "bucket", "copy")
        storage.delete_object("bucket", "key")

        assert storage.get_object("bucket", "copy") == b"".join(pieces)
        assert storage.get_object("bucket", "copy", offset=MiB - 1, length=20) == b"aa" + b"b" * 10 + b"c" * 8

    def test_the_source_can_be_bound_to_an_etag_and_a_generation(self, storage: StorageClient) -> None:
        old = put(storage, b"old")
        new = put(storage, b"new")

        demands: list[dict[str, Any]] = [{"source_if_match": old["etag"]}, {"source_if_match": "e"}]
        for demand in demands:
            with pytest.raises(PreconditionFailedError) as caught:
                storage.copy_object("bucket", "key", "bucket", "copy", **demand)
            assert (caught.value.bucket, caught.value.key) == ("bucket", "key")
        with pytest.raises(ObjectNotFoundError):
            storage.copy_object("bucket", "key", "bucket", "copy", generation=new["generation"] + 1)
        storage.copy_object(
            "bucket", "key", "bucket", "copy", source_if_match=new["etag"], generation=new["generation"]
        )

        assert storage.get_object("bucket", "copy") == b"new"

    @needs("retention")
    def test_a_replaced_generation_is_copied_while_it_is_kept(self, storage: StorageClient) -> None:
        old = put(storage, b"old" * 10_000)
        put(storage, b"new")

        storage.copy_object("bucket", "key", "bucket", "copy", generation=old["generation"])

        assert storage.get_object("bucket", "copy") == b"old" * 10_000

    @needs("if-absent", "if-match")
    def test_conditions_of_a_copy_are_those_of_a_put(self, storage: StorageClient) -> None:
        put(storage)
        taken = storage.put_object("bucket", "taken", b"taken")

        with pytest.raises(AlreadyExistsError) as caught:
            storage.copy_object("bucket", "key", "bucket", "taken", if_absent=True)
        with pytest.raises(PreconditionFailedError):
            storage.copy_object("bucket", "key", "bucket", "taken", if_match="other")
        assert (caught.value.bucket, caught.value.key) == ("bucket", "taken")
        assert storage.get_object("bucket", "taken") == b"taken"

        storage.copy_object("bucket", "key", "bucket", "taken", if_match=taken["etag"])
        storage.copy_object("bucket", "key", "bucket", "free", if_absent=True)
        assert storage.get_object("bucket", "taken") == storage.get_object("bucket", "free") == b"data"

    def test_what_is_missing_is_named(self, storage: StorageClient) -> None:
        with pytest.raises(ObjectNotFoundError) as caught:
            storage.copy_object("bucket", "missing", "bucket", "copy")
        assert (caught.value.bucket, caught.value.key) == ("bucket", "missing")

        put(storage)
        for names, missing in (
            (("none", "key", "bucket", "copy"), "none"),
            (("bucket", "key", "nowhere", "k"), "nowhere"),
        ):
            with pytest.raises(BucketNotFoundError) as unfound:
                storage.copy_object(*names)
            assert unfound.value.bucket == missing

    @rule
    @pytest.mark.parametrize(
        "names", [("B", "key", "bucket", "k"), ("bucket", "", "bucket", "k"), ("bucket", "key", "bucket", "/k")]
    )
    def test_names_have_rules(self, storage: StorageClient, names: tuple[str, str, str, str]) -> None:
        put(storage)

        with pytest.raises(InvalidParameterError):
            storage.copy_object(*names)
