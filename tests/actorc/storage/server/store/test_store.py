"""The rules, without gRPC and without disks."""

from __future__ import annotations

import pytest

from actorc.storage import rules
from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotFoundError,
    IntegrityError,
    InvalidParameterError,
    InvalidRangeError,
    NotFoundError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from actorc.storage.models import ByteRange, Chunk, Condition, ObjectAttributes
from actorc.storage.server.engines import open_engine
from actorc.storage.server.engines.base import CopySource, PartChoice
from actorc.storage.server.store.checks import MAX_IDEMPOTENCY_KEY
from actorc.storage.server.store.store import ObjectStore

MiB = rules.MiB


@pytest.fixture
def engine():
    opened = open_engine("memory://")
    yield opened
    opened.close()


@pytest.fixture
def store(engine):
    it = ObjectStore(engine)
    it.create_bucket("bucket")
    return it


def put(store, key="key", data=b"data", **options):
    return store.put("bucket", key, data, crc32c(data), **options)


def content(store, key="key", ranges=(), **options):
    with store.read("bucket", key, ranges, **options) as (_, chunks):
        return b"".join(chunk.data for chunk in chunks)


def piece(offset, data):
    return Chunk(offset, data, crc32c(data))


def test_a_write_to_a_missing_bucket_makes_it_if_buckets_make_themselves(engine):
    store = ObjectStore(engine, auto_create_buckets=True)

    put(store)

    assert [info.name for info in store.bucket_page()[0]] == ["bucket"]


def test_a_missing_bucket_says_how_to_get_one(engine):
    store = ObjectStore(engine)

    with pytest.raises(BucketNotFoundError) as caught:
        put(store)

    assert "lucas-storage mb" in caught.value.message
    assert "--auto-create-buckets" in caught.value.message
    assert (caught.value.bucket, caught.value.key) == ("bucket", "key")


def test_only_writes_make_buckets(engine):
    store = ObjectStore(engine, auto_create_buckets=True)

    with pytest.raises(BucketNotFoundError):
        store.head("bucket", "key")

    assert store.bucket_page()[0] == []


@pytest.mark.parametrize(("key", "expected"), [("a.csv", "text/csv"), ("a", "application/octet-stream")])
def test_an_empty_content_type_is_guessed_from_the_key(store, key, expected):
    assert expected == put(store, key).content_type


def test_a_content_type_given_is_kept(store):
    attributes = ObjectAttributes(content_type="text/x-own", metadata={"a": "b"})

    info = put(store, "a.csv", attributes=attributes)

    assert (info.content_type, dict(info.metadata)) == ("text/x-own", {"a": "b"})


def test_an_upload_is_visible_once_it_is_committed(store):
    with store.begin_write("bucket", "key") as upload:
        upload.write(piece(0, b"ab"))
        upload.write(piece(2, b"c"))
        with pytest.raises(ObjectNotFoundError):
            store.head("bucket", "key")
        info = upload.commit(size=3, crc32c=crc32c(b"abc"))

    assert content(store) == b"abc"
    assert info == store.head("bucket", "key")


def test_an_upload_that_is_not_committed_stores_nothing(store):
    with store.begin_write("bucket", "key") as upload:
        upload.write(piece(0, b"ab"))

    with pytest.raises(ObjectNotFoundError):
        store.head("bucket", "key")


def test_an_empty_object_needs_no_chunk(store):
    with store.begin_write("bucket", "key") as upload:
        info = upload.commit(size=0, crc32c=0)

    assert (info.size, content(store)) == (0, b"")


@pytest.mark.parametrize(
    ("chunk", "error"),
    [
        (piece(1, b"c"), InvalidParameterError),
        (piece(3, b"c"), InvalidParameterError),
        (piece(2, bytes(MiB + 1)), InvalidParameterError),
        (Chunk(2, b"c", 1), IntegrityError),
        (Chunk(2, b"", 1), IntegrityError),
    ],
    ids=["overlap", "gap", "too long", "damaged", "damaged and empty"],
)
def test_a_wrong_chunk_is_refused_by_name(store, chunk, error):
    with store.begin_write("bucket", "key") as upload:
        upload.write(piece(0, b"ab"))
        with pytest.raises(error) as caught:
            upload.write(chunk)

    assert (caught.value.bucket, caught.value.key) == ("bucket", "key")


@pytest.mark.parametrize(("size", "crc"), [(3, crc32c(b"ab")), (2, crc32c(b"abc"))])
def test_a_commit_that_disagrees_with_the_chunks_stores_nothing(store, size, crc):
    with store.begin_write("bucket", "key") as upload:
        upload.write(piece(0, b"ab"))
        with pytest.raises(IntegrityError):
            upload.commit(size=size, crc32c=crc)

    with pytest.raises(ObjectNotFoundError):
        store.head("bucket", "key")


@pytest.mark.parametrize("size", [-1, rules.MAX_OBJECT_SIZE + 1])
def test_a_size_no_object_has_is_refused_before_the_bytes_come(store, size):
    with pytest.raises(InvalidParameterError, match="no size of an object"):
        store.begin_write("bucket", "key", declared_size=size)


def test_a_put_beyond_the_limit_points_at_streams(store):
    with pytest.raises(InvalidParameterError, match="as a stream"):
        put(store, data=bytes(MiB + 1))


def test_a_damaged_put_stores_nothing_and_may_be_tried_again(store):
    with pytest.raises(IntegrityError) as caught:
        store.put("bucket", "key", b"data", 0)

    assert caught.value.retryable
    with pytest.raises(ObjectNotFoundError):
        store.head("bucket", "key")


def test_a_condition_is_judged_before_the_bytes_come(store):
    put(store)

    with pytest.raises(AlreadyExistsError):
        store.begin_write("bucket", "key", condition=Condition(if_absent=True))
    with pytest.raises(PreconditionFailedError):
        store.begin_write("bucket", "key", condition=Condition(if_match="other"))
    with pytest.raises(PreconditionFailedError):
        store.begin_write("bucket", "missing", condition=Condition(if_match="other"))


def test_a_condition_is_judged_again_by_the_commit(store):
    with store.begin_write("bucket", "key", condition=Condition(if_absent=True)) as upload:
        put(store)
        with pytest.raises(AlreadyExistsError):
            upload.commit(size=0, crc32c=0)


def test_a_repeated_write_gets_the_first_answer_whatever_its_condition_says_now(store):
    condition = Condition(if_absent=True)
    with store.begin_write("bucket", "key", condition=condition, idempotency_key="once") as upload:
        first = upload.commit(size=0, crc32c=0)

    again = store.begin_write("bucket", "key", condition=condition, idempotency_key="once", check_early=False)
    with again as upload:
        second = upload.commit(size=0, crc32c=0)

    assert first == second


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], b"0123456789"),
        ([ByteRange(2, 3)], b"234"),
        ([ByteRange(8, 100)], b"89"),
        ([ByteRange(4)], b"456789"),
        ([ByteRange(10)], b""),
        ([ByteRange(10, 1)], b""),
        ([ByteRange(3, 0)], b""),
        ([ByteRange(5, 2), ByteRange(0, 1), ByteRange(5, 2)], b"56056"),
    ],
)
def test_ranges_are_cut_at_the_end_and_sent_in_order(store, ranges, expected):
    put(store, data=b"0123456789")

    assert expected == content(store, ranges=ranges)


def test_a_range_behind_the_end_names_the_size(store):
    put(store, data=b"0123456789")

    with pytest.raises(InvalidRangeError, match="the object has 10"):
        content(store, ranges=[ByteRange(11, 1)])


@pytest.mark.parametrize("part", [ByteRange(-1), ByteRange(0, -1)])
def test_a_negative_range_is_refused(store, part):
    put(store)

    with pytest.raises(InvalidParameterError):
        content(store, ranges=[part])


def test_a_read_demands_the_etag_it_names(store):
    etag = put(store).etag

    assert content(store, if_match=etag) == b"data"
    with pytest.raises(PreconditionFailedError) as caught:
        content(store, if_match="other")
    assert (caught.value.bucket, caught.value.key) == ("bucket", "key")


def test_a_read_pinned_to_a_generation_never_mixes_two(store):
    generation = put(store, data=b"old").generation
    put(store, data=b"new")

    with pytest.raises(ObjectNotFoundError):
        content(store, generation=generation)


@pytest.mark.parametrize("generation", [-1, 0])
def test_a_generation_is_positive(store, generation):
    put(store)

    with pytest.raises(InvalidParameterError):
        content(store, generation=generation)


def walk(store, **listing):
    token = ""
    while True:
        page = store.page("bucket", page_token=token, **listing)
        yield [info.key for info in page.objects] + list(page.common_prefixes)
        token = page.next_after
        if not token:
            return


def test_pages_continue_where_the_last_one_ended(store):
    for key in ("a", "b/1", "b/2", "c", "d"):
        put(store, key)

    assert list(walk(store, delimiter="/", page_size=2)) == [["a", "b/"], ["c", "d"]]


def test_a_page_holds_a_thousand_names_at_most(store):
    for number in range(rules.MAX_PAGE + 1):
        put(store, f"{number:04}")

    assert [len(names) for names in walk(store, page_size=5000)] == [rules.MAX_PAGE, 1]
    assert [len(names) for names in walk(store)] == [rules.MAX_PAGE, 1]


def test_a_token_of_another_listing_is_refused(store):
    put(store, "a")
    put(store, "b")
    token = store.page("bucket", page_size=1).next_after

    for other in ({"prefix": "a"}, {"delimiter": "/"}):
        with pytest.raises(InvalidParameterError, match="page token"):
            store.page("bucket", page_token=token, **other)


@pytest.mark.parametrize("token", ["x", "====", "a" * 40, "\N{SNOWMAN}", "AQ", "\x00"])
def test_a_token_that_is_none_is_refused(store, token):
    with pytest.raises(InvalidParameterError, match="page token"):
        store.page("bucket", page_token=token)


def test_deleting_tells_whether_there_was_an_object(store):
    put(store)

    assert [store.delete("bucket", "key"), store.delete("bucket", "key")] == [True, False]


@pytest.mark.parametrize(
    "act",
    [
        lambda store: store.create_bucket("No"),
        lambda store: store.delete_bucket("No"),
        lambda store: store.head_bucket("No"),
        lambda store: store.put("No", "key", b"", 0),
        lambda store: store.put("bucket", "/key", b"", 0),
        lambda store: store.put("bucket", "key", b"", 0, attributes=ObjectAttributes(content_type="a\nb")),
        lambda store: store.put("bucket", "key", b"", 0, attributes=ObjectAttributes(metadata={"": "b"})),
        lambda store: store.put("bucket", "key", b"", 0, condition=Condition(if_absent=True, if_match="a")),
        lambda store: store.put("bucket", "key", b"", 0, idempotency_key="k" * (MAX_IDEMPOTENCY_KEY + 1)),
        lambda store: store.begin_write("bucket", ""),
        lambda store: store.head("bucket", "a\x00"),
        lambda store: store.page("bucket", prefix="p" * 2000),
        lambda store: store.page("bucket", page_size=-1),
        lambda store: store.delete("bucket", "/key"),
        lambda store: store.delete("bucket", "key", condition=Condition(if_match="")),
        lambda store: store.put("bucket", "key", b"", 0, attributes=ObjectAttributes(ttl=0)),
        lambda store: store.delete_many("No", []),
        lambda store: store.delete_many("bucket", ["key"] * (rules.MAX_BATCH + 1)),
        lambda store: store.copy(CopySource(bucket="No", key="key"), "bucket", "key"),
        lambda store: store.copy(CopySource(bucket="bucket", key="key", generation=0), "bucket", "key"),
        lambda store: store.copy(CopySource(bucket="bucket", key="key", if_match=""), "bucket", "key"),
        lambda store: store.copy(CopySource(bucket="bucket", key="key"), "bucket", ""),
        lambda store: store.copy(CopySource(bucket="bucket", key="key"), "bucket", "key", ttl=-1),
        lambda store: store.multipart.create("bucket", "/key"),
        lambda store: store.multipart.create("bucket", "key", condition=Condition(if_match="")),
        lambda store: store.multipart.begin_part("bucket", "key", "id", 0),
        lambda store: store.multipart.begin_part("bucket", "key", "id", 1, declared_size=-1),
        lambda store: store.multipart.complete("bucket", "key", "id", []),
        lambda store: store.multipart.complete("bucket", "key", "id", [PartChoice(2, "e"), PartChoice(2, "e")]),
        lambda store: store.multipart.parts("bucket", "key", "id", after_number=-1),
        lambda store: store.multipart.parts("bucket", "key", "id", page_size=-1),
        lambda store: store.multipart.page("bucket", prefix="p" * 2000),
        lambda store: store.multipart.page("bucket", page_token="x"),
        lambda store: store.create_bucket("bucket2", idempotency_key="k" * (MAX_IDEMPOTENCY_KEY + 1)),
    ],
)
def test_what_breaks_a_rule_never_reaches_the_engine(store, engine, act):
    engine.close()

    with pytest.raises(InvalidParameterError):
        act(store)


def test_the_server_tells_what_it_is(engine):
    info = ObjectStore(engine, auto_create_buckets=True).server_info()

    assert ("memory", False, MiB, MiB, True) == (
        info.engine,
        info.durable,
        info.max_chunk_size,
        info.max_inline_size,
        info.auto_create_buckets,
    )


def test_the_server_tells_its_time(engine):
    info = ObjectStore(engine, clock=lambda: 1_700_000_000.5).server_info()

    assert info.time.timestamp() == 1_700_000_000.5


def test_a_missing_target_bucket_makes_itself_only_if_the_source_is_there(engine):
    store = ObjectStore(engine, auto_create_buckets=True)
    put(store)
    for source in (CopySource(bucket="bucket", key="missing"), CopySource(bucket="missing", key="key")):
        with pytest.raises(NotFoundError):
            store.copy(source, "target", "key")

    assert [info.name for info in store.bucket_page()[0]] == ["bucket"]
    store.copy(CopySource(bucket="bucket", key="key"), "target", "key")
    store.multipart.create("parts", "key")
    assert [info.name for info in store.bucket_page()[0]] == ["bucket", "parts", "target"]


def test_a_token_of_another_kind_of_listing_is_refused(store):
    for key in ("a", "b"):
        put(store, key)
        store.multipart.create("bucket", key)
    objects = store.page("bucket", page_size=1).next_after
    _, uploads = store.multipart.page("bucket", page_size=1)

    with pytest.raises(InvalidParameterError, match="page token"):
        store.multipart.page("bucket", page_token=objects)
    with pytest.raises(InvalidParameterError, match="page token"):
        store.page("bucket", page_token=uploads)
