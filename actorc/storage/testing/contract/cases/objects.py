"""Objects put, read, described and deleted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actorc.storage.client import StorageClient
from actorc.storage.errors import (
    BucketNotFoundError,
    InvalidParameterError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from actorc.storage.testing.contract.demands import needs, rule

MiB = 1 << 20
SIZES = [0, 1, 16 * 1024, 16 * 1024 + 1, MiB - 1, MiB, MiB + 1, 3 * MiB + 12345]


def content(size: int) -> bytes:
    return (b"0123456789abcdef-" * (size // 17 + 1))[:size]


ODD_KEYS = ["a/", "a//b", "./a", "..", "../../etc/passwd", "x" * 1024, "a\nb", "a\uffff"]
"""Keys that the rules allow, and not every engine."""


def check_name(storage: StorageClient, key: str) -> None:
    storage.put_object("bucket", key, key.encode())

    assert storage.get_object("bucket", key) == key.encode()
    assert [found["key"] for found in storage.list_objects("bucket")["objects"]] == [key]


def check_neighbours(storage: StorageClient, keys: list[str]) -> None:
    for key in keys:
        storage.put_object("bucket", key, key.encode())
    storage.delete_object("bucket", "a/b")

    left = [key for key in keys if key != "a/b"]
    assert [storage.get_object("bucket", key) for key in left] == [key.encode() for key in left]


class ObjectsCases:
    """What was put comes back, whole, under its name."""

    @pytest.mark.parametrize("size", SIZES)
    def test_what_was_put_comes_back(self, storage: StorageClient, size: int) -> None:
        put = storage.upload_from_stream("bucket", "key", [content(size)])

        assert storage.get_object("bucket", "key") == content(size)
        assert (put["bucket"], put["key"], put["size"]) == ("bucket", "key", size)

    def test_the_last_put_wins(self, storage: StorageClient) -> None:
        first = storage.put_object("bucket", "key", b"old")
        second = storage.put_object("bucket", "key", b"new")

        assert storage.get_object("bucket", "key") == b"new"
        assert second["generation"] > first["generation"]
        assert second["etag"] != first["etag"]

    def test_equal_bytes_written_twice_are_two_generations(self, storage: StorageClient) -> None:
        etags = {storage.put_object("bucket", key, b"same")["etag"] for key in ("a", "b", "a")}

        assert len(etags) == 3

    def test_head_tells_what_put_returned_and_more(self, storage: StorageClient) -> None:
        put = storage.put_object("bucket", "data/a.csv", b"x,y\n", metadata={"author": "ignis", "clé": "välue"})
        head = storage.head_object("bucket", "data/a.csv")

        assert head.items() >= put.items()
        assert head["content_type"] == "text/csv"
        assert head["metadata"] == {"author": "ignis", "clé": "välue"}
        assert head["last_modified"].tzinfo is not None
        assert len(head["crc32c"]) == 8

    def test_a_given_content_type_is_kept(self, storage: StorageClient) -> None:
        storage.put_object("bucket", "a.csv", b"", content_type="application/x-own")

        assert storage.head_object("bucket", "a.csv")["content_type"] == "application/x-own"

    @pytest.mark.parametrize("operation", ["get_object", "head_object"])
    def test_a_missing_object_is_named_in_the_error(self, storage: StorageClient, operation: str) -> None:
        with pytest.raises(ObjectNotFoundError) as caught:
            getattr(storage, operation)("bucket", "nope")

        assert (caught.value.bucket, caught.value.key) == ("bucket", "nope")

    @pytest.mark.parametrize(
        "call",
        [
            lambda s: s.get_object("missing", "key"),
            lambda s: s.head_object("missing", "key"),
            lambda s: s.put_object("missing", "key", b""),
            lambda s: s.upload_from_stream("missing", "key", [b"x" * (2 * MiB)]),
            lambda s: s.list_objects("missing"),
            lambda s: s.delete_object("missing", "key"),
            lambda s: s.delete_bucket("missing"),
        ],
    )
    def test_a_missing_bucket_is_named_with_what_to_do(
        self, storage: StorageClient, call: Callable[[StorageClient], object]
    ) -> None:
        with pytest.raises(BucketNotFoundError) as caught:
            call(storage)

        assert caught.value.bucket == "missing"
        assert "lucas-storage mb" in caught.value.message
        assert "--auto-create-buckets" in caught.value.message

    def test_existence_is_answered(self, storage: StorageClient) -> None:
        storage.put_object("bucket", "there", b"")

        assert storage.object_exists("bucket", "there")
        assert not storage.object_exists("bucket", "elsewhere")
        assert not storage.object_exists("missing", "there")

    def test_a_deleted_object_is_gone_and_deleting_it_again_is_no_error(self, storage: StorageClient) -> None:
        storage.put_object("bucket", "key", b"x")
        storage.delete_object("bucket", "key")
        storage.delete_object("bucket", "key")

        assert not storage.object_exists("bucket", "key")

    @rule
    @pytest.mark.parametrize(
        "key", ["a", "a/b", "日本語/ø", "%2e", "a b+c", " ", "..a", "x" * 900, "é" * 400, "<&>'\""]
    )
    def test_keys_are_names_and_never_paths(self, storage: StorageClient, key: str) -> None:
        check_name(storage, key)

    @needs("any-key")
    @rule
    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_keys_that_look_like_paths_are_names(self, storage: StorageClient, key: str) -> None:
        check_name(storage, key)

    def test_names_that_share_a_beginning_do_not_disturb_each_other(self, storage: StorageClient) -> None:
        check_neighbours(storage, ["a", "a-b", "a/b", "a/b/c", "a/c"])

    @needs("any-key")
    def test_names_that_share_slashes_do_not_disturb_each_other(self, storage: StorageClient) -> None:
        check_neighbours(storage, ["a", "a/", "a/b", "a/b/c", "a//b"])

    @rule
    @pytest.mark.parametrize(
        ("bucket", "key"), [("Bad", "key"), ("bucket", ""), ("bucket", "/key"), ("bucket", "k" * 1025)]
    )
    @pytest.mark.parametrize("operation", ["get_object", "head_object", "delete_object"])
    def test_names_that_break_a_rule_are_refused(
        self, storage: StorageClient, operation: str, bucket: str, key: str
    ) -> None:
        with pytest.raises(InvalidParameterError):
            getattr(storage, operation)(bucket, key)

    @needs("snapshots")
    def test_a_reader_is_not_disturbed_by_an_overwrite_or_a_delete(self, storage: StorageClient) -> None:
        storage.upload_from_stream("bucket", "key", [content(4 * MiB)])
        reader = storage.stream_object("bucket", "key")
        first = next(reader)
        storage.put_object("bucket", "key", b"other")
        storage.delete_object("bucket", "key")

        assert first + b"".join(reader) == content(4 * MiB)

    def test_a_generation_can_be_pinned(self, storage: StorageClient) -> None:
        old = storage.put_object("bucket", "key", b"old")
        assert storage.get_object("bucket", "key", generation=old["generation"]) == b"old"
        with pytest.raises(ObjectNotFoundError):
            storage.get_object("bucket", "key", generation=old["generation"] + 1)
        storage.put_object("bucket", "key", b"new")
        storage.delete_object("bucket", "key")

        with pytest.raises(ObjectNotFoundError):
            storage.get_object("bucket", "key", generation=old["generation"])

    @needs("retention")
    def test_a_replaced_generation_stays_readable_where_the_engine_retains(self, storage: StorageClient) -> None:
        old = storage.upload_from_stream("bucket", "key", [content(2 * MiB)])
        storage.put_object("bucket", "key", b"new")

        assert storage.get_object("bucket", "key", generation=old["generation"]) == content(2 * MiB)
        assert storage.get_object("bucket", "key") == b"new"

    def test_a_read_can_be_bound_to_an_etag(self, storage: StorageClient) -> None:
        etag = storage.put_object("bucket", "key", b"old")["etag"]
        assert storage.get_object("bucket", "key", if_match=etag) == b"old"
        storage.put_object("bucket", "key", b"new")

        with pytest.raises(PreconditionFailedError):
            storage.get_object("bucket", "key", if_match=etag)
