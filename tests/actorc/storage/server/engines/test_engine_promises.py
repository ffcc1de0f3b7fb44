"""What base.py promises, asked of every engine."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotEmptyError,
    BucketNotFoundError,
    IntegrityError,
    InvalidParameterError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
)
from actorc.storage.models import ByteRange, Condition, ListQuery, ObjectAttributes
from actorc.storage.rules import MAX_CHUNK_SIZE, KiB, MiB
from actorc.storage.server.engines import open_engine
from actorc.storage.server.engines.local import INLINE_MAX, LocalEngine
from actorc.storage.server.engines.memory import MemoryEngine

SIZES = [0, 1, INLINE_MAX, INLINE_MAX + 1, MiB - 1, MiB, MiB + 1, 2 * MiB + 17]
ABSENT = Condition(if_absent=True)


def some_bytes(size, seed=0):
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_is_what_is_read(engine, put, get, size):
    data = some_bytes(size)

    info = put(engine, "key", data, content_type="text/plain", metadata={"ä": "ö", "b": ""})

    assert data == get(engine, "key")
    assert info == engine.head("bucket", "key")
    assert (size, crc32c(data), "text/plain", {"ä": "ö", "b": ""}) == (
        info.size,
        info.crc32c,
        info.content_type,
        info.metadata,
    )
    assert f"{info.generation:x}-{info.crc32c:08x}" == info.etag
    assert datetime.fromtimestamp(1_700_000_000, UTC) == info.last_modified


@pytest.mark.parametrize("size", SIZES)
def test_a_file_that_is_imported_is_what_is_read(engine, get, tmp_path, size):
    data = some_bytes(size)
    path = tmp_path / "file"
    path.write_bytes(b"before" + data + b"behind")

    with engine.writer("bucket", "key") as writer, path.open("rb") as file:
        writer.import_file(file.fileno(), 6, size)
        info = writer.commit(ObjectAttributes())

    assert data == get(engine, "key")
    assert (size, crc32c(data)) == (info.size, info.crc32c)


def test_a_file_shorter_than_its_owner_said_is_not_imported(engine, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(KiB))

    with (
        engine.writer("bucket", "key") as writer,
        path.open("rb") as file,
        pytest.raises(IntegrityError, match="short"),
    ):
        writer.import_file(file.fileno(), 0, KiB + 1)


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, 0),
        (0, 1),
        (1, None),
        (MiB - 1, 2),
        (MiB, MiB),
        (MiB + 5, None),
        (5, 2 * MiB),
        (2 * MiB + 17, None),
        (1 << 40, 9),
    ],
)
def test_a_range_is_a_slice(engine, put, get, offset, length):
    data = some_bytes(2 * MiB + 17)
    put(engine, "key", data)

    expected = data[offset:] if length is None else data[offset : offset + length]

    assert expected == get(engine, "key", part=ByteRange(offset, length))


@pytest.mark.parametrize("size", SIZES)
def test_chunks_are_consecutive_bounded_and_carry_their_checksum(engine, put, size):
    put(engine, "key", some_bytes(size))

    with engine.read("bucket", "key") as reader:
        chunks = list(reader.chunks(ByteRange(3)))

    position = min(3, size)
    for chunk in chunks:
        assert position == chunk.offset
        assert 0 < len(chunk.data) <= MAX_CHUNK_SIZE
        assert crc32c(chunk.data) == chunk.crc32c
        position += len(chunk.data)
    assert size == position


def test_a_writer_knows_its_size_and_checksum_and_keeps_no_reference_to_the_data(engine, get):
    buffer = bytearray(b"x" * 9000)
    with engine.writer("bucket", "key") as writer:
        for _ in range(5):
            writer.write(memoryview(buffer), crc32c(b"x" * 9000))
        buffer[:] = b"y" * 9000

        assert (45000, crc32c(b"x" * 45000)) == (writer.size, writer.checksum())
        writer.commit(ObjectAttributes())

    assert get(engine, "key") == b"x" * 45000


@pytest.mark.parametrize("size", [10, MiB])
def test_a_writer_that_is_not_committed_leaves_no_trace(engine, size):
    with engine.writer("bucket", "key") as writer:
        writer.write(bytes(size), crc32c(bytes(size)))

    writer.abort()

    with pytest.raises(ObjectNotFoundError):
        engine.head("bucket", "key")
    with pytest.raises(StorageError):
        writer.commit(ObjectAttributes())


def test_after_a_commit_a_writer_is_spent(engine, get):
    with engine.writer("bucket", "key") as writer:
        writer.write(b"one", crc32c(b"one"))
        writer.commit(ObjectAttributes())
        with pytest.raises(StorageError):
            writer.write(b"two", crc32c(b"two"))
        with pytest.raises(StorageError):
            writer.commit(ObjectAttributes())

    assert get(engine, "key") == b"one"


@pytest.mark.needs("snapshots")
@pytest.mark.parametrize("change", ["overwrite", "delete"])
@pytest.mark.parametrize("size", [10, 2 * MiB])
def test_a_reader_is_a_snapshot(engine, put, change, size):
    data = some_bytes(size)
    put(engine, "key", data)

    with engine.read("bucket", "key") as reader:
        chunks = reader.chunks()
        if change == "overwrite":
            put(engine, "key", bytes(size))
        else:
            engine.delete("bucket", "key")

        assert data == b"".join(chunk.data for chunk in chunks)


def test_if_absent_refuses_a_taken_key(engine, put, get):
    put(engine, "key", b"one", condition=ABSENT)

    with pytest.raises(AlreadyExistsError) as caught:
        put(engine, "key", b"two", condition=ABSENT)

    assert (caught.value.bucket, caught.value.key) == ("bucket", "key")
    assert get(engine, "key") == b"one"


@pytest.mark.needs("delete-if-match")
@pytest.mark.parametrize("size", [1, INLINE_MAX + 1])
def test_if_match_demands_the_present_etag(engine, put, get, size):
    first = put(engine, "key", b"1" * size)
    second = put(engine, "key", b"2" * size, condition=Condition(if_match=first.etag))

    with pytest.raises(PreconditionFailedError):
        put(engine, "key", b"3" * size, condition=Condition(if_match=first.etag))
    with pytest.raises(PreconditionFailedError):
        engine.delete("bucket", "key", Condition(if_match=first.etag))
    with pytest.raises(PreconditionFailedError):
        put(engine, "other", b"3", condition=Condition(if_match=second.etag))

    assert b"2" * size == get(engine, "key")
    assert engine.delete("bucket", "key", Condition(if_match=second.etag))
    with pytest.raises(PreconditionFailedError):
        engine.delete("bucket", "key", Condition(if_match=second.etag))


def test_of_many_who_want_an_absent_key_exactly_one_gets_it(engine, put, get):
    def attempt(number):
        try:
            put(engine, "key", str(number).encode(), condition=ABSENT)
        except AlreadyExistsError:
            return None
        return str(number).encode()

    with ThreadPoolExecutor(8) as pool:
        winners = [data for data in pool.map(attempt, range(24)) if data]

    assert winners == [get(engine, "key")]


def test_etags_and_generations_differ_for_equal_bytes(engine, put):
    infos = [put(engine, f"key{number % 3}", b"same") for number in range(9)]

    generations = [info.generation for info in infos]

    assert sorted(set(generations)) == generations
    assert len({info.etag for info in infos}) == 9


def test_generations_grow_when_the_clock_goes_back(engine, put, clock):
    before = put(engine, "key", b"one")
    clock.now -= 3600

    after = put(engine, "key", b"two")

    assert before.generation < after.generation
    assert before.last_modified > after.last_modified


@pytest.mark.needs("answers")
@pytest.mark.parametrize("size", [1, INLINE_MAX + 1])
def test_a_repeated_commit_gets_the_first_answer_and_changes_nothing(engine, put, get, size):
    first = put(engine, "key", b"1" * size, condition=ABSENT, idempotency_key="call", metadata={"a": "ä"})
    other = put(engine, "key", b"2" * size)

    again = put(engine, "key", b"1" * size, condition=ABSENT, idempotency_key="call", metadata={"a": "ä"})

    assert first == again
    assert other == engine.head("bucket", "key")
    assert b"2" * size == get(engine, "key")


def test_an_idempotency_key_counts_for_one_operation_on_one_key(engine, put, get):
    engine.create_bucket("other-bucket", idempotency_key="call")
    put(engine, "key", b"one", idempotency_key="call")
    put(engine, "other", b"two", idempotency_key="call")

    assert engine.delete("bucket", "key", idempotency_key="call")
    assert get(engine, "other") == b"two"
    engine.delete_bucket("other-bucket", idempotency_key="call")


@pytest.mark.needs("answers")
def test_repeated_changes_of_buckets_and_deletes_get_the_first_answer(engine, put, clock):
    made = engine.create_bucket("second", idempotency_key="make")
    clock.now += 5
    assert made == engine.create_bucket("second", idempotency_key="make")
    put(engine, "key")

    for _ in range(2):
        assert engine.delete("bucket", "key", idempotency_key="yes")
        assert not engine.delete("bucket", "missing", idempotency_key="no")
        engine.delete_bucket("second", idempotency_key="drop")

    put(engine, "key")
    put(engine, "missing")
    assert engine.delete("bucket", "key", idempotency_key="yes")
    assert not engine.delete("bucket", "missing", idempotency_key="no")
    assert [info.key for info in engine.page(ListQuery(bucket="bucket")).objects] == ["key", "missing"]


def test_a_failed_call_is_not_remembered(engine, put):
    with pytest.raises(PreconditionFailedError):
        put(engine, "key", b"one", condition=Condition(if_match="no"), idempotency_key="call")

    info = put(engine, "key", b"two", idempotency_key="call")

    assert info == engine.head("bucket", "key")


@pytest.mark.needs("answers")
def test_answers_are_forgotten_after_a_day(engine, put, clock):
    first = put(engine, "key", b"one", idempotency_key="call")
    clock.now += 24 * 3600 + 1

    assert first.generation < put(engine, "key", b"one", idempotency_key="call").generation


def test_buckets_are_made_listed_and_removed(engine, put):
    made = engine.create_bucket("a-bucket")

    assert made == engine.create_bucket("a-bucket", exist_ok=True) == engine.head_bucket("a-bucket")
    assert [info.name for info in engine.buckets()] == ["a-bucket", "bucket"]
    with pytest.raises(AlreadyExistsError):
        engine.create_bucket("a-bucket")
    put(engine, "key")
    with pytest.raises(BucketNotEmptyError):
        engine.delete_bucket("bucket")
    engine.delete("bucket", "key")
    engine.delete_bucket("bucket")
    assert [info.name for info in engine.buckets()] == ["a-bucket"]


@pytest.mark.parametrize(
    "call",
    [
        lambda engine: engine.head_bucket("missing"),
        lambda engine: engine.delete_bucket("missing"),
        lambda engine: engine.writer("missing", "key"),
        lambda engine: engine.head("missing", "key"),
        lambda engine: engine.read("missing", "key"),
        lambda engine: engine.delete("missing", "key"),
        lambda engine: engine.page(ListQuery(bucket="missing")),
    ],
)
def test_a_missing_bucket_is_named(engine, call):
    with pytest.raises(BucketNotFoundError) as caught:
        call(engine)

    assert caught.value.bucket == "missing"


def test_a_bucket_that_goes_away_meanwhile_refuses_the_commit(engine):
    with engine.writer("bucket", "key") as writer:
        engine.delete_bucket("bucket")

        with pytest.raises(BucketNotFoundError):
            writer.commit(ObjectAttributes())


def test_missing_objects_and_generations_are_not_found(engine, put, get):
    info = put(engine, "key", b"one")

    assert not engine.delete("bucket", "missing")
    assert get(engine, "key", generation=info.generation) == b"one"
    for call in (lambda: engine.head("bucket", "missing"), lambda: get(engine, "missing")):
        with pytest.raises(ObjectNotFoundError):
            call()
    with pytest.raises(ObjectNotFoundError):
        get(engine, "key", generation=info.generation + 1)


def test_a_replaced_generation_stays_only_where_that_is_a_capability(engine, put, get):
    info = put(engine, "key", b"one")
    put(engine, "key", b"two")

    if "retention" in engine.capabilities:
        assert get(engine, "key", generation=info.generation) == b"one"
    else:
        with pytest.raises(ObjectNotFoundError):
            get(engine, "key", generation=info.generation)


def listed(engine, **query):
    """Every name of a listing, page by page, and the sizes of the pages."""
    names, sizes, after = [], [], query.pop("after", "")
    while True:
        page = engine.page(ListQuery(bucket="bucket", after=after, **query))
        found = sorted([info.key for info in page.objects] + list(page.common_prefixes), key=str.encode)
        names += found
        sizes.append(len(found))
        after = page.next_after
        if not after:
            return names, sizes


def expected_names(keys, prefix="", delimiter="", after=""):
    names = set()
    for key in keys:
        if key.startswith(prefix):
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            names.add(prefix + head + found if found else key)
    return sorted((name for name in names if name.encode() > after.encode()), key=str.encode)


text = st.text(alphabet="ab/\x01é\uffff😀~", max_size=5)


@settings(max_examples=60)
@given(
    keys=st.sets(text.filter(bool), max_size=12),
    prefix=text,
    delimiter=st.sampled_from(["", "/", "a", "//", "é", "\x01"]),
    after=text,
    limit=st.integers(1, 5),
)
def test_a_listing_is_what_a_plain_loop_would_list(engine, put, keys, prefix, delimiter, after, limit):
    if "any-key" not in engine.capabilities:
        keys = {key for key in keys if key.isprintable() and all(key.split("/"))}
    for info in engine.page(ListQuery(bucket="bucket")).objects:
        engine.delete("bucket", info.key)
    for key in keys:
        put(engine, key)

    names, sizes = listed(engine, prefix=prefix, delimiter=delimiter, after=after, limit=limit)

    assert expected_names(keys, prefix, delimiter, after) == names
    assert all(size == limit for size in sizes[:-1])


def test_a_common_prefix_as_after_skips_everything_beneath_it(engine, put):
    for key in ("a", "a/1", "a/2", "a0", "b/1"):
        put(engine, key)

    assert listed(engine, delimiter="/", after="a/")[0] == ["a0", "b/"]
    assert listed(engine, delimiter="/", after="a/1")[0] == ["a0", "b/"]
    assert listed(engine, after="a/")[0] == ["a/1", "a/2", "a0", "b/1"]


def test_a_page_that_ends_with_the_listing_says_so(engine, put):
    for key in ("a", "b/1", "b/2"):
        put(engine, key)

    page = engine.page(ListQuery(bucket="bucket", delimiter="/", limit=2))

    assert (tuple(info.key for info in page.objects), page.common_prefixes, page.next_after) == (("a",), ("b/",), "")
    assert page.objects[0] == engine.head("bucket", "a")


def test_many_threads_may_use_an_engine(engine, put, get):
    def work(number):
        data = some_bytes(INLINE_MAX + 40 * KiB if number % 3 == 0 else 100, number)
        put(engine, f"key{number % 10}", data)
        put(engine, f"own{number}", data)
        assert data == get(engine, f"own{number}")
        engine.page(ListQuery(bucket="bucket"))
        return engine.delete("bucket", f"own{number}")

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(60)))

    assert [f"key{number}" for number in range(10)] == listed(engine)[0]


def test_an_engine_is_opened_by_url(tmp_path):
    for url, kind in (
        ("memory://", MemoryEngine),
        (f"file://{tmp_path}/with%20space", LocalEngine),
        (str(tmp_path / "plain"), LocalEngine),
    ):
        engine = open_engine(url)
        engine.close()

        assert kind is type(engine)
    assert {"plain", "with space"} == {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("url", ["tape://drive", "file://host/data", "file://data", "memory://x", ""])
def test_an_url_of_no_engine_is_refused(url):
    with pytest.raises(InvalidParameterError):
        open_engine(url)


def test_an_unknown_scheme_is_answered_with_the_known_ones():
    with pytest.raises(InvalidParameterError, match=r"file://.*memory://"):
        open_engine("tape://drive")
