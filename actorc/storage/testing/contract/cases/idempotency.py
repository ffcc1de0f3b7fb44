"""A call that is repeated with its key changes nothing and gets the first answer, whatever happened in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import AlreadyExistsError, IdempotencyKeyReusedError, UploadNotFoundError
from actorc.storage.models import Chunk, Condition, ObjectAttributes, ObjectInfo, PartInfo
from actorc.storage.server.engines.base import CopySource, PartChoice
from actorc.storage.server.store.store import ObjectStore
from actorc.storage.server.store.upload import Upload
from actorc.storage.testing.contract.demands import needs

T = TypeVar("T")
ABSENT = Condition(if_absent=True)
LARGE = b"x" * (20 << 10)


def put(store: ObjectStore, key: str, data: bytes = b"data", **options: Any) -> ObjectInfo:
    return store.put("bucket", key, data, crc32c(data), **options)


def write(begun: Upload[T], data: bytes) -> T:
    with begun as upload:
        upload.write(Chunk(0, data, crc32c(data)))
        return upload.commit(size=len(data), crc32c=crc32c(data))


def get(store: ObjectStore, key: str) -> bytes:
    with store.read("bucket", key) as (_, chunks):
        return b"".join(chunk.data for chunk in chunks)


OTHER = ObjectAttributes(content_type="text/x-other")
PUTS: dict[str, dict[str, Any]] = {
    "other bytes": {"data": b"atad"},
    "another size": {"data": b"data and more"},
    "other attributes": {"attributes": OTHER},
    "another condition": {"condition": Condition(if_absent=True)},
}


def refused(call: Callable[[], object], bucket: str = "bucket", key: str = "key") -> None:
    with pytest.raises(IdempotencyKeyReusedError, match="asked for something else") as raised:
        call()
    assert (raised.value.bucket, raised.value.key or "") == (bucket, key)
    assert not raised.value.retryable


class IdempotencyCases:
    """A repeated call is told from another one with the same idempotency key."""

    @needs("answers")
    def test_a_repeated_put_and_write_get_the_first_answer(self, store: ObjectStore) -> None:
        first = put(store, "small", condition=ABSENT, idempotency_key="call")
        large = write(store.begin_write("bucket", "large", condition=ABSENT, idempotency_key="call"), LARGE)
        store.delete("bucket", "small")
        put(store, "large", b"other")

        again = store.begin_write("bucket", "large", condition=ABSENT, idempotency_key="call", check_early=False)
        assert first == put(store, "small", condition=ABSENT, idempotency_key="call")
        assert large == write(again, LARGE)
        assert (store.delete("bucket", "small"), get(store, "large")) == (False, b"other")

    @needs("answers")
    def test_a_repeated_batch_delete_gets_the_first_answer(self, store: ObjectStore) -> None:
        put(store, "key")
        first = store.delete_many("bucket", ["key", "missing", "/no"], idempotency_key="call")
        put(store, "key")
        put(store, "missing")

        again = store.delete_many("bucket", ["key", "missing", "/no"], idempotency_key="call")

        assert [(result.key, result.deleted) for result in first] == [("key", True), ("missing", False), ("/no", False)]
        assert [(result.key, result.deleted) for result in again] == [("key", True), ("missing", False), ("/no", False)]
        assert len(store.page("bucket").objects) == 2

    @needs("answers")
    def test_a_repeated_copy_gets_the_first_answer(self, store: ObjectStore) -> None:
        put(store, "source", LARGE)
        source = CopySource(bucket="bucket", key="source")
        first = store.copy(source, "bucket", "copy", condition=ABSENT, idempotency_key="call")
        store.delete("bucket", "source")

        again = store.copy(source, "bucket", "copy", condition=ABSENT, idempotency_key="call")

        assert first == again == store.head("bucket", "copy")

    @needs("answers")
    def test_a_repeated_beginning_of_an_upload_begins_no_second_one(self, store: ObjectStore) -> None:
        first = store.multipart.create("bucket", "key", condition=ABSENT, idempotency_key="call")
        put(store, "key")

        assert first == store.multipart.create("bucket", "key", condition=ABSENT, idempotency_key="call")
        uploads, _ = store.multipart.page("bucket")
        assert [first] == [upload.upload_id for upload in uploads]

    @needs("answers")
    @pytest.mark.parametrize("data", [b"small", LARGE])
    def test_a_repeated_part_gets_the_first_answer(self, store: ObjectStore, data: bytes) -> None:
        upload_id = store.multipart.create("bucket", "key")
        first = write(store.multipart.begin_part("bucket", "key", upload_id, 1, idempotency_key="call"), data)
        other = write(store.multipart.begin_part("bucket", "key", upload_id, 1), b"other")

        again = write(store.multipart.begin_part("bucket", "key", upload_id, 1, idempotency_key="call"), data)

        assert first == again
        assert ([other], False) == store.multipart.parts("bucket", "key", upload_id)

    @needs("answers")
    def test_a_repeated_completion_gets_the_first_answer_and_another_one_fails(self, store: ObjectStore) -> None:
        upload_id = store.multipart.create("bucket", "key", condition=ABSENT)
        parts = [
            PartChoice(number, write(store.multipart.begin_part("bucket", "key", upload_id, number), LARGE).etag)
            for number in (1, 2)
        ]
        first = store.multipart.complete("bucket", "key", upload_id, parts, idempotency_key="call")
        put(store, "key", b"other")

        assert first == store.multipart.complete("bucket", "key", upload_id, parts, idempotency_key="call")
        assert get(store, "key") == b"other"
        for idempotency_key in ("", "another"):
            with pytest.raises(UploadNotFoundError):
                store.multipart.complete("bucket", "key", upload_id, parts, idempotency_key=idempotency_key)

    def test_a_key_belongs_to_one_call_on_one_name(self, store: ObjectStore) -> None:
        for key in ("a", "b"):
            put(store, key, key.encode(), idempotency_key="call")
            store.copy(CopySource(bucket="bucket", key=key), "bucket", f"{key}-copy", idempotency_key="call")
        store.delete_many("bucket", ["a"], idempotency_key="call")
        store.delete_many("bucket", ["b"], idempotency_key="call")

        assert [info.key for info in store.page("bucket").objects] == ["a-copy", "b-copy"]
        assert (get(store, "a-copy"), get(store, "b-copy")) == (b"a", b"b")

    @needs("if-absent")
    def test_a_call_whose_answer_was_lost_gets_it_while_what_it_made_is_there(self, store: ObjectStore) -> None:
        put(store, "source")
        source = CopySource(bucket="bucket", key="source")

        def calls() -> tuple[object, ...]:
            return (
                store.create_bucket("other", idempotency_key="call"),
                put(store, "small", condition=ABSENT, idempotency_key="call"),
                write(
                    store.begin_write("bucket", "large", condition=ABSENT, idempotency_key="call", check_early=False),
                    LARGE,
                ),
                store.copy(source, "bucket", "copy", condition=ABSENT, idempotency_key="call"),
            )

        assert calls() == calls()
        with pytest.raises(AlreadyExistsError):
            put(store, "small", condition=ABSENT, idempotency_key="another")

    @needs("if-match")
    def test_a_replacement_whose_answer_was_lost_gets_it(self, store: ObjectStore) -> None:
        match = Condition(if_match=put(store, "key").etag)
        first = put(store, "key", b"new", condition=match, idempotency_key="call")

        assert (
            first == put(store, "key", b"new", condition=match, idempotency_key="call") == store.head("bucket", "key")
        )

    def test_a_completion_whose_answer_was_lost_gets_it_and_another_one_fails(self, store: ObjectStore) -> None:
        upload_id = store.multipart.create("bucket", "key")
        parts = [PartChoice(1, write(store.multipart.begin_part("bucket", "key", upload_id, 1), LARGE).etag)]
        first = store.multipart.complete("bucket", "key", upload_id, parts, idempotency_key="call")

        assert first == store.multipart.complete("bucket", "key", upload_id, parts, idempotency_key="call")
        for idempotency_key in ("", "another"):
            with pytest.raises(UploadNotFoundError):
                store.multipart.complete("bucket", "key", upload_id, parts, idempotency_key=idempotency_key)

    @needs("answers")
    @pytest.mark.parametrize("other", PUTS)
    def test_an_idempotency_key_that_comes_with_another_put_is_an_error(self, store: ObjectStore, other: str) -> None:
        first = put(store, "key", idempotency_key="call")

        refused(lambda: put(store, "key", idempotency_key="call", **PUTS[other]))

        assert store.head("bucket", "key") == first
        assert get(store, "key") == b"data"

    @needs("if-absent")
    def test_an_idempotency_key_that_comes_with_other_bytes_is_an_error_wherever_it_is_known(
        self, store: ObjectStore
    ) -> None:
        put(store, "key", condition=ABSENT, idempotency_key="call")

        refused(lambda: put(store, "key", b"atad", condition=ABSENT, idempotency_key="call"))
        refused(lambda: put(store, "key", attributes=OTHER, condition=ABSENT, idempotency_key="call"))

        assert get(store, "key") == b"data"

    @needs("answers")
    def test_an_idempotency_key_that_comes_with_another_write_of_a_large_object_is_an_error(
        self, store: ObjectStore
    ) -> None:
        write(store.begin_write("bucket", "key", idempotency_key="call"), LARGE)

        refused(lambda: write(store.begin_write("bucket", "key", idempotency_key="call"), LARGE + b"x"))

        assert get(store, "key") == LARGE

    @needs("answers")
    def test_an_idempotency_key_that_comes_with_another_copy_is_an_error(self, store: ObjectStore) -> None:
        generation = put(store, "source").generation
        put(store, "other")
        source = CopySource(bucket="bucket", key="source")
        store.copy(source, "bucket", "key", idempotency_key="call")

        for another, options in (
            (CopySource(bucket="bucket", key="other"), {}),
            (CopySource(bucket="bucket", key="source", generation=generation), {}),
            (source, {"attributes": OTHER}),
            (source, {"condition": ABSENT}),
        ):
            refused(lambda: store.copy(another, "bucket", "key", idempotency_key="call", **options))  # noqa: B023

    @needs("answers", "ttl")
    def test_an_idempotency_key_that_comes_with_another_ttl_is_an_error(self, store: ObjectStore) -> None:
        put(store, "source")
        source = CopySource(bucket="bucket", key="source")
        store.copy(source, "bucket", "key", idempotency_key="call")

        refused(lambda: store.copy(source, "bucket", "key", idempotency_key="call", ttl=60))

    @needs("answers")
    def test_an_idempotency_key_that_comes_with_another_multipart_call_is_an_error(self, store: ObjectStore) -> None:
        upload_id = store.multipart.create("bucket", "key", idempotency_key="call")
        refused(lambda: store.multipart.create("bucket", "key", attributes=OTHER, idempotency_key="call"))

        def part(data: bytes) -> PartInfo:
            return write(store.multipart.begin_part("bucket", "key", upload_id, 1, idempotency_key="call"), data)

        etag = part(LARGE).etag
        refused(lambda: part(b"other"))

        def complete(*parts: PartChoice, **options: Any) -> ObjectInfo:
            return store.multipart.complete("bucket", "key", upload_id, parts, idempotency_key="call", **options)

        complete(PartChoice(1, etag))
        refused(lambda: complete(PartChoice(2, etag)))
        refused(lambda: complete(PartChoice(1, etag), condition=ABSENT))
        assert get(store, "key") == LARGE

    @needs("answers")
    def test_an_idempotency_key_that_comes_with_another_delete_or_bucket_is_an_error(self, store: ObjectStore) -> None:
        info = put(store, "key")
        store.delete("bucket", "key", condition=Condition(if_match=info.etag), idempotency_key="call")
        put(store, "key")

        refused(lambda: store.delete("bucket", "key", idempotency_key="call"))

        assert get(store, "key") == b"data"
        store.create_bucket("other", idempotency_key="call")
        refused(lambda: store.create_bucket("other", exist_ok=True, idempotency_key="call"), "other", "")

    def test_a_completion_of_other_parts_with_the_same_idempotency_key_is_an_error(self, store: ObjectStore) -> None:
        upload_id = store.multipart.create("bucket", "key")
        parts = [
            PartChoice(number, write(store.multipart.begin_part("bucket", "key", upload_id, number), LARGE).etag)
            for number in (1, 2)
        ]
        store.multipart.complete("bucket", "key", upload_id, parts, idempotency_key="call")

        refused(lambda: store.multipart.complete("bucket", "key", upload_id, parts[:1], idempotency_key="call"))
