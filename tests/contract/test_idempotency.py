"""A call that is repeated with its key changes nothing and gets the first answer, whatever happened in between."""

from __future__ import annotations

import pytest

from actorc.storage import UploadNotFoundError
from actorc.storage._checksum import crc32c
from actorc.storage.models import Chunk, Condition
from actorc.storage.server.engines import open_engine
from actorc.storage.server.engines.base import CopySource, PartChoice
from actorc.storage.server.store import ObjectStore

ABSENT = Condition(if_absent=True)
LARGE = b"x" * (20 << 10)


@pytest.fixture
def store(engine_url):
    engine = open_engine(engine_url)
    it = ObjectStore(engine)
    it.create_bucket("bucket")
    yield it
    engine.close()


def put(store, key, data=b"data", **options):
    return store.put("bucket", key, data, crc32c(data), **options)


def write(begun, data):
    with begun as upload:
        upload.write(Chunk(0, data, crc32c(data)))
        return upload.commit(size=len(data), crc32c=crc32c(data))


def get(store, key):
    with store.read("bucket", key) as (_, chunks):
        return b"".join(chunk.data for chunk in chunks)


def test_a_repeated_put_and_write_get_the_first_answer(store):
    first = put(store, "small", condition=ABSENT, idempotency_key="call")
    large = write(store.begin_write("bucket", "large", condition=ABSENT, idempotency_key="call"), LARGE)
    store.delete("bucket", "small")
    put(store, "large", b"other")

    again = store.begin_write("bucket", "large", condition=ABSENT, idempotency_key="call", judge_early=False)
    assert first == put(store, "small", condition=ABSENT, idempotency_key="call")
    assert large == write(again, LARGE)
    assert (store.delete("bucket", "small"), get(store, "large")) == (False, b"other")


def test_a_repeated_batch_delete_gets_the_first_answer(store):
    put(store, "key")
    first = store.delete_many("bucket", ["key", "missing", "/no"], idempotency_key="call")
    put(store, "key")
    put(store, "missing")

    again = store.delete_many("bucket", ["key", "missing", "/no"], idempotency_key="call")

    assert [(result.key, result.deleted) for result in first] == [("key", True), ("missing", False), ("/no", False)]
    assert [(result.key, result.deleted) for result in again] == [("key", True), ("missing", False), ("/no", False)]
    assert len(store.page("bucket").objects) == 2


def test_a_repeated_copy_gets_the_first_answer(store):
    put(store, "source", LARGE)
    source = CopySource(bucket="bucket", key="source")
    first = store.copy(source, "bucket", "copy", condition=ABSENT, idempotency_key="call")
    store.delete("bucket", "source")

    again = store.copy(source, "bucket", "copy", condition=ABSENT, idempotency_key="call")

    assert first == again == store.head("bucket", "copy")


def test_a_repeated_beginning_of_an_upload_begins_no_second_one(store):
    first = store.multipart.create("bucket", "key", condition=ABSENT, idempotency_key="call")
    put(store, "key")

    assert first == store.multipart.create("bucket", "key", condition=ABSENT, idempotency_key="call")
    uploads, _ = store.multipart.page("bucket")
    assert [first] == [upload.upload_id for upload in uploads]


@pytest.mark.parametrize("data", [b"small", LARGE])
def test_a_repeated_part_gets_the_first_answer(store, data):
    upload_id = store.multipart.create("bucket", "key")
    first = write(store.multipart.begin_part("bucket", "key", upload_id, 1, idempotency_key="call"), data)
    other = write(store.multipart.begin_part("bucket", "key", upload_id, 1), b"other")

    again = write(store.multipart.begin_part("bucket", "key", upload_id, 1, idempotency_key="call"), data)

    assert first == again
    assert ([other], False) == store.multipart.parts("bucket", "key", upload_id)


def test_a_repeated_completion_gets_the_first_answer_and_another_one_fails(store):
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


def test_a_key_belongs_to_one_call_on_one_name(store):
    for key in ("a", "b"):
        put(store, key, key.encode(), idempotency_key="call")
        store.copy(CopySource(bucket="bucket", key=key), "bucket", f"{key}-copy", idempotency_key="call")
    store.delete_many("bucket", ["a"], idempotency_key="call")
    store.delete_many("bucket", ["b"], idempotency_key="call")

    assert [info.key for info in store.page("bucket").objects] == ["a-copy", "b-copy"]
    assert (get(store, "a-copy"), get(store, "b-copy")) == (b"a", b"b")
