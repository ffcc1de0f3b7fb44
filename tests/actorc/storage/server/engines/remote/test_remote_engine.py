"""What is peculiar to an engine over somebody else's store. The store is one in memory, made worse where it must be."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotEmptyError,
    BucketNotFoundError,
    IntegrityError,
    InvalidParameterError,
    NetworkError,
    ObjectNotFoundError,
    PreconditionFailedError,
    ResourceExhaustedError,
    StorageError,
    UnsupportedError,
    UploadNotFoundError,
)
from actorc.storage.models import ByteRange, Condition, ListQuery, ObjectAttributes
from actorc.storage.rules import MiB
from actorc.storage.server.engines import open_engine, share_engine
from actorc.storage.server.engines.base import CopySource, PartChoice
from actorc.storage.server.store.store import ObjectStore

pytest.importorskip("obstore", reason="remote engines need obstore, which is not installed")

from obstore.store import MemoryStore

from actorc.storage.server.engines.remote import RemoteEngine
from actorc.storage.server.engines.remote.availability import Availability
from actorc.storage.server.engines.remote.errors import Conflict
from actorc.storage.server.engines.remote.object_metadata import EarlierCall, Record
from actorc.storage.server.engines.remote.object_store import Backend
from actorc.storage.server.engines.remote.publish import Publisher
from actorc.storage.server.engines.remote.store_url import StoreUrl

ABSENT = Condition(if_absent=True)


class Store(Backend):
    """A real store in memory, whose faults are in subclasses."""

    def __init__(self):
        memory = MemoryStore()
        super().__init__(lambda patience: memory, 5.0, probed=".buckets")


class CarelessStore(Store):
    """Ignores conditions, as some do."""

    def create(self, name, body, attributes):
        self.put(name, body, attributes)

    def replace(self, name, body, attributes, etag, version=None):
        self.put(name, body, attributes)


class LiteralStore(Store):
    """Compares etags without the quotes that it tells them with."""

    def replace(self, name, body, attributes, etag, version=None):
        if '"' in etag:
            raise Conflict
        super().replace(name, body, attributes, f'"{etag}"', version)


class ForgetfulStore(Store):
    """Carries out conditional writes and fails to say so, once it is told to."""

    forgets = False

    def create(self, name, body, attributes):
        super().create(name, body, attributes)
        self._fail()

    def replace(self, name, body, attributes, etag, version=None):
        super().replace(name, body, attributes, etag, version)
        self._fail()

    def _fail(self):
        if self.forgets:
            raise StorageError("the store failed with status 500; try again", retryable=True)


class FailingStore(Store):
    """Fails at conditional writes and carries out none, once it is told to."""

    fails = False

    def create(self, name, body, attributes):
        if self.fails:
            raise StorageError("the store failed with status 500; try again", retryable=True)
        super().create(name, body, attributes)


class DamagedStore(Store):
    """Sends other bytes than it got, once it is told to: of another value, or fewer."""

    damage = staticmethod(bytes)

    def get(self, name, *args, **options):
        found = super().get(name, *args, **options)
        body = b"".join(found.body)
        return found._replace(body=iter([self.damage(body)] if body else []))


class CountingStore(Store):
    """Counts the names it lists, and the requests for one object."""

    listed = 0
    looked_at = 0

    def names(self, folder, behind=None):
        for name in super().names(folder, behind):
            self.listed += 1
            yield name

    def head(self, name):
        self.looked_at += 1
        return super().head(name)


@pytest.fixture
def remote(open_remote):
    engine = open_remote()
    engine.create_bucket("bucket")
    return engine


@pytest.fixture
def over(open_remote):
    """Return an engine over a store of this kind, with a bucket in it."""

    def opened(store):
        engine = open_remote(backend=store)
        engine.create_bucket("bucket", exist_ok=True)
        return engine

    return opened


def names(engine):
    return [info.key for info in engine.page(ListQuery(bucket="bucket")).objects]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://key:planted@bucket", "no credentials"),
        ("s3://", "names a bucket"),
        ("s3://bucket?secret_access_key=planted", "knows endpoint, region, timeout, staging, redirect"),
        ("s3://bucket?endpoint=http://key:planted@host", "no credentials"),
        ("s3://bucket?endpoint=host", "begins with http"),
        ("s3://bucket?endpoint=http://[::1", "begins with http"),
        ("s3://bucket?endpoint=http://:9000", "begins with http"),
        ("s3://bucket?timeout=0", "1 to 3600 seconds"),
        ("s3://bucket?redirect=1", "yes or no"),
        ("s3://bucket/a//b", "two in a row"),
        ("s3://bucket#planted", "fragment"),
        ("gs://bucket?region=eu", "knows endpoint, timeout, staging, redirect"),
        ("s3://bucket?staging=/missing/directory", "is not there"),
        ("remote+memory://bucket", "no address"),
        ("s3a://key:planted@bucket", "no storage engine is known for s3a://"),
    ],
)
def test_a_url_that_says_something_else_is_refused_without_its_secrets(url, words):
    with pytest.raises(InvalidParameterError) as caught:
        open_engine(url)

    assert words in caught.value.message
    assert "planted" not in caught.value.message


@pytest.fixture
def nowhere(free_port, monkeypatch):
    """The URL of a store that does not run."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    return f"s3://bucket?endpoint=http://127.0.0.1:{free_port}&timeout=1"


@pytest.mark.slow
def test_a_store_that_is_nowhere_is_named(nowhere, free_port):
    with pytest.raises(NetworkError) as caught:
        open_engine(nowhere)

    assert caught.value.message.startswith(f"s3://bucket at http://127.0.0.1:{free_port} cannot be used, the store")


@pytest.fixture
def asked():
    """A server that refuses everything, its port, and what it was asked for."""
    paths = []

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            self.send_error(403)

        def do_PUT(self):
            self.do_GET()

        def do_POST(self):
            self.do_GET()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_port, paths
        server.shutdown()


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_a_store_that_the_environment_names_is_asked_over_plain_http_as_well(asked, monkeypatch, nowhere, variable):
    port, paths = asked
    monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
    with pytest.raises(StorageError, match=f"s3://bucket at http://127.0.0.1:{port}"):
        open_engine("s3://bucket?timeout=1")

    assert paths[0].startswith("/bucket")


def test_a_wrong_endpoint_of_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "host:9000")

    with pytest.raises(InvalidParameterError, match="AWS_ENDPOINT_URL"):
        open_engine("s3://bucket")


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_a_store_on_this_machine_is_asked_whatever_proxy_is_named(asked, monkeypatch, nowhere, host, variable):
    port, paths = asked
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(StorageError):
        open_engine(f"s3://bucket?endpoint=http://{host}:{port}&timeout=1")

    assert paths[0].startswith("/bucket")


def test_a_store_elsewhere_is_asked_through_the_proxy(asked, monkeypatch, nowhere):
    port, paths = asked
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(StorageError):
        open_engine("s3://bucket?endpoint=http://store.example.invalid&timeout=1")

    assert paths[0].startswith("http://store.example.invalid/bucket")


def test_without_obstore_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "actorc.storage.server.engines.remote", None)

    with pytest.raises(InvalidParameterError, match=r"pip install 'lucas-storage\[s3\]'"):
        open_engine("s3://bucket")


def test_a_store_in_memory_is_not_shared_between_processes():
    with pytest.raises(InvalidParameterError, match="one process"):
        share_engine("remote+memory://")


def test_what_one_engine_writes_another_one_over_the_same_store_reads(open_remote, put, get, part):
    one, other = open_remote(), open_remote()
    made = one.create_bucket("bucket")
    info = put(one, "key", b"data", metadata={"ä": " ö  "})
    upload_id = one.create_upload("bucket", "parts", ObjectAttributes())
    stored = part(other, upload_id, 1, b"part", key="parts")
    completed = one.complete_upload("bucket", "parts", upload_id, [PartChoice(1, stored.etag)])

    assert (made, info, completed) == (
        other.head_bucket("bucket"),
        other.head("bucket", "key"),
        other.head("bucket", "parts"),
    )
    assert (get(other, "key"), get(other, "parts")) == (b"data", b"part")
    assert other.delete("bucket", "key")
    with pytest.raises(ObjectNotFoundError):
        one.head("bucket", "key")


def test_everything_is_below_the_prefix_of_the_url(over, put):
    store = Store()
    address = StoreUrl(scheme="remote+memory", bucket="", root="some/place/")
    engine = RemoteEngine(address, store, sweep_interval=None)
    engine.create_bucket("bucket")
    put(engine, "a/b", b"data")
    engine.create_upload("bucket", "key", ObjectAttributes())

    assert names(engine) == ["a/b"]
    found = [name.name for name in store.names("")]
    assert [name for name in found if not name.startswith("some/place/")] == []
    assert len(found) == 3
    engine.close()


def test_a_store_that_ignores_conditions_lacks_them_and_is_not_asked_to_judge(over, put, get):
    engine = over(CarelessStore())
    before = put(engine, "key", b"before")

    assert engine.capabilities == frozenset()
    for condition in (ABSENT, Condition(if_match=before.etag)):
        with pytest.raises(UnsupportedError, match="would overwrite"):
            put(engine, "key", b"after", condition=condition)
    assert get(engine, "key") == b"before"


def test_a_store_that_wants_etags_without_quotes_gets_them(over, put, get):
    engine = over(LiteralStore())
    info = put(engine, "key", b"0")
    for number in range(1, 4):
        info = put(engine, "key", str(number).encode(), condition=Condition(if_match=info.etag))

    assert get(engine, "key") == b"3"
    with pytest.raises(PreconditionFailedError):
        put(engine, "key", b"x", condition=Condition(if_match="other"))


def test_the_examination_of_the_store_leaves_nothing_there(over):
    store = Store()
    over(store)

    assert [name.name for name in store.names("")] == [".buckets/bucket"]


def test_a_write_whose_answer_the_store_forgets_is_found_out(over, put, get):
    store = ForgetfulStore()
    engine = over(store)
    store.forgets = True

    first = put(engine, "key", b"first", condition=ABSENT)
    second = put(engine, "key", b"second", condition=Condition(if_match=first.etag))

    assert (get(engine, "key"), second) == (b"second", engine.head("bucket", "key"))


@pytest.mark.parametrize("metadata", [{}, {"note": "x" * 1700}], ids=["plain", "with much metadata"])
def test_a_write_whose_answer_is_lost_is_found_out_also_behind_the_next_one(over, put, get, metadata):
    class Overtaken(Store):
        def replace(self, name, body, attributes, etag, version=None):
            super().replace(name, body, attributes, etag, version)
            if overtaking:
                overtaking.pop()()
                raise StorageError("the store failed with status 500; try again", retryable=True)

    overtaking = []
    store = Overtaken()
    engine = over(store)
    first = put(engine, "key", b"first", condition=ABSENT)

    def overtake():
        seen = engine.head("bucket", "key")
        put(engine, "key", get(engine, "key") + b", third", condition=Condition(if_match=seen.etag), metadata=metadata)

    overtaking.append(overtake)
    asked = {"condition": Condition(if_match=first.etag), "idempotency_key": "one call"}
    second = put(engine, "key", b"second", **asked)

    assert get(engine, "key") == b"second, third"
    assert put(engine, "key", b"second", **asked).etag == second.etag
    assert get(engine, "key") == b"second, third"
    with pytest.raises(PreconditionFailedError):
        put(engine, "key", b"other", condition=Condition(if_match=first.etag))


def test_what_tells_of_earlier_calls_leaves_room_for_all_metadata():
    before = tuple(EarlierCall(f"{number:032x}", (1 << 52) + number) for number in range(20))
    room = {}
    for length in (0, 1000, 1600, 1780):
        record = Record(
            generation=1 << 52,
            written_us=1 << 52,
            crc32c=1,
            content_type="text/plain",
            metadata={"note": "x" * length},
            call="0" * 32,
            request=bytes(32),
            before=before,
        )
        kept = record.attributes()
        assert sum(len(name) + len(value) for name, value in kept.items() if name != "Content-Type") <= 2048
        found = Record.of(kept)
        assert found is not None
        assert found.before == before[: len(found.before)]
        room[length] = len(found.before)
    assert room[0] == 8
    assert room[1780] == 0


def test_a_write_that_the_store_failed_at_is_an_error_that_may_pass(over, put):
    store = FailingStore()
    engine = over(store)
    store.fails = True

    with pytest.raises(StorageError, match="status 500") as caught:
        put(engine, "key", b"data", condition=ABSENT)

    assert caught.value.retryable
    assert names(engine) == []


def test_wrong_bytes_are_never_handed_out_whole(over, put):
    store = DamagedStore()
    engine = over(store)
    data = bytes(2 * MiB + 5)
    put(engine, "key", data)
    store.damage = lambda body: body[:-1] + b"x"

    with engine.read("bucket", "key") as reader:
        chunks = reader.chunks()
        handed_out = [next(chunks).data, next(chunks).data]
        with pytest.raises(IntegrityError):
            next(chunks)

    assert b"".join(handed_out) == data[: 2 * MiB]


def test_bytes_that_end_too_early_are_a_broken_connection(over, put):
    store = DamagedStore()
    engine = over(store)
    put(engine, "key", bytes(100))
    store.damage = lambda body: body[:-1]

    for part in (ByteRange(), ByteRange(5, 10)):
        with engine.read("bucket", "key", ahead=part) as reader, pytest.raises(NetworkError):
            list(reader.chunks(part))


def test_what_is_read_later_is_of_the_generation_that_was_opened_or_is_not_there(remote, put):
    put(remote, "key", b"old" * 100)

    with remote.read("bucket", "key", ahead=ByteRange(0, 3)) as reader:
        put(remote, "key", b"new" * 100)
        assert b"".join(chunk.data for chunk in reader.chunks(ByteRange(0, 3))) == b"old"
        with pytest.raises(ObjectNotFoundError, match="generation"):
            list(reader.chunks(ByteRange(3, 3)))


@pytest.mark.parametrize("ahead", [ByteRange(0, 0), ByteRange(3), ByteRange(4), ByteRange(1 << 40, 9), ByteRange(1, 1)])
def test_a_reader_opens_whatever_is_wanted_first(remote, put, ahead):
    put(remote, "key", b"abc")
    put(remote, "empty", b"")

    for key, data in (("key", b"abc"), ("empty", b"")):
        with remote.read("bucket", key, ahead=ahead) as reader:
            assert reader.info == remote.head("bucket", key)
            assert b"".join(chunk.data for chunk in reader.chunks()) == data


class CountedStore(Store):
    """Tells how often it was asked for an object or its description."""

    asked = 0

    def get(self, *arguments, **options):
        self.asked += 1
        return super().get(*arguments, **options)

    def head(self, name):
        self.asked += 1
        return super().head(name)


@pytest.mark.parametrize(("size", "requests"), [(10, 1), (1024, 1), (5000, 2), (4 * MiB, 2)])
def test_both_ends_of_an_object_take_a_request_each_and_one_where_they_are_the_same(over, put, size, requests):
    counted = CountedStore()
    engine = over(counted)
    data = bytes(range(250)) * (size // 250 + 1)
    put(engine, "key", data[:size])
    counted.asked = 0
    _, ends = ObjectStore(engine).read_ranges("bucket", "key", [ByteRange(0, 1024), ByteRange(-1024, 1024)])

    assert [chunk.data for chunk in ends] == [data[: min(size, 1024)], data[max(0, size - 1024) : size]]
    assert counted.asked == requests


def test_what_others_put_into_the_store_is_no_object_here(over, put):
    store = Store()
    engine = over(store)
    store.put("bucket/foreign", b"data", {})
    put(engine, "own", b"data")

    assert names(engine) == ["own"]
    with pytest.raises(ObjectNotFoundError):
        engine.head("bucket", "foreign")
    with pytest.raises(AlreadyExistsError):
        put(engine, "foreign", b"x", condition=ABSENT)
    assert not engine.delete("bucket", "foreign")
    assert [result.deleted for result in engine.delete_many("bucket", ["foreign", "own"])] == [False, True]
    with pytest.raises(BucketNotEmptyError):
        engine.delete_bucket("bucket")
    assert [info.key for info in engine.page(ListQuery(bucket="bucket", details=False)).objects] == ["foreign"]


@pytest.mark.parametrize(
    "forged",
    [
        {"acsmetadata": "[1]"},
        {"acsmetadata": '{"a": 1}'},
        {"acsmetadata": '{"a": "\\ud800"}'},
        {"acsmetadata": "[" * 1700},
        {"acsgeneration": str(1 << 63)},
        {"acsgeneration": "-1"},
        {"acswritten": "9" * 30},
        {"acscrc32c": "1ffffffff"},
    ],
    ids=lambda forged: str(forged)[:40],
)
def test_a_forged_description_in_the_store_is_no_object_and_fails_no_listing(over, put, forged):
    store = Store()
    engine = over(store)
    put(engine, "own", b"data")
    described = Record(generation=1, written_us=1, crc32c=1, content_type="text/plain", metadata={"a": "b"})
    store.put("bucket/forged", b"data", {**described.attributes(), **forged})

    assert Record.of(described.attributes()) == described
    assert names(engine) == ["own"]
    with pytest.raises(ObjectNotFoundError):
        engine.head("bucket", "forged")


UPLOAD = {"key": "key", "created_us": 1, "content_type": "a/b", "metadata": {}, "if_absent": False, "if_match": None}


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        b"[]",
        b"[" * 20_000,
        b"{}",
        b" " * (1 << 20) + json.dumps(UPLOAD).encode(),
        *(
            json.dumps({**UPLOAD, **other}).encode()
            for other in (
                {"key": 1},
                {"key": "\ud800"},
                {"created_us": 1 << 80},
                {"created_us": "x"},
                {"metadata": {"a": 1}},
                {"metadata": None},
                {"content_type": None},
                {"if_match": ["x"]},
            )
        ),
    ],
    ids=lambda forged: repr(forged[-120:-70]),
)
def test_a_forged_upload_in_the_store_is_none_and_fails_no_listing(over, forged):
    store = Store()
    engine = over(store)
    own = engine.create_upload("bucket", "key", ObjectAttributes())
    forger = "f" * 48
    store.put(f".uploads/bucket/{forger}/upload", forged, {})

    assert [each.upload_id for each in engine.list_uploads("bucket").uploads] == [own]
    with pytest.raises(UploadNotFoundError):
        engine.list_parts("bucket", "key", forger)


def test_names_in_the_store_that_the_rules_forbid_are_no_objects_and_no_buckets(over, put):
    store = Store()
    engine = over(store)
    put(engine, "own", b"data")
    described = Record(generation=1, written_us=1, crc32c=1, content_type="text/plain").attributes()
    store.put("bucket/" + "k" * 2000, b"data", described)
    store.put(".buckets/NO BUCKET", b"", described)

    assert names(engine) == ["own"]
    assert [each.name for each in engine.buckets()] == ["bucket"]


def test_forged_parts_in_the_store_are_none(over):
    store = Store()
    engine = over(store)
    own = engine.create_upload("bucket", "key", ObjectAttributes())
    for name in ("99999-0000000000000001-00000000", "00001-ffffffffffffffff-00000000"):
        store.put(f".uploads/bucket/{own}/{name}", b"data", {})

    assert engine.list_parts("bucket", "key", own) == []


def test_a_listing_without_details_asks_for_no_object(over, put):
    store = CountingStore()
    engine = over(store)
    for number in range(30):
        put(engine, f"{number % 3}/{number:02}", b"data")
    engine.head_bucket("bucket")
    store.looked_at = 0

    page = engine.page(ListQuery(bucket="bucket", prefix="1/", details=False))
    rolled = engine.page(ListQuery(bucket="bucket", delimiter="/", details=False))

    assert [(info.key, info.size) for info in page.objects] == [(f"1/{number:02}", 4) for number in range(1, 30, 3)]
    assert rolled.common_prefixes == ("0/", "1/", "2/")
    assert store.looked_at == 0
    assert len(engine.page(ListQuery(bucket="bucket")).objects) == store.looked_at == 30


def test_a_bucket_that_goes_away_is_missed_at_once_where_it_went(remote, put):
    put(remote, "key", b"data")
    remote.delete("bucket", "key")
    remote.delete_bucket("bucket")

    with pytest.raises(BucketNotFoundError):
        put(remote, "key", b"data")


def test_keys_below_a_common_prefix_are_passed_over(over):
    store = CountingStore()
    engine = over(store)
    for number in range(3500):
        store.put(f"bucket/a/{number:04}", b"", {})
    store.put("bucket/a0", b"", {})
    store.listed = 0

    page = engine.page(ListQuery(bucket="bucket", delimiter="/"))

    assert page.common_prefixes == ("a/",)
    assert store.listed < 1100


def test_a_page_takes_no_more_names_than_it_needs(over, put):
    store = CountingStore()
    engine = over(store)
    for number in range(500):
        put(engine, f"{number:03}")
    store.listed = 0

    page = engine.page(ListQuery(bucket="bucket", prefix="4", after="441", limit=3))

    assert [info.key for info in page.objects] == ["442", "443", "444"]
    assert store.listed == 4
    engine.page(ListQuery(bucket="bucket", prefix="42", limit=3))
    assert store.listed == 8


@pytest.fixture
def small_requests(monkeypatch):
    monkeypatch.setattr(Publisher, "max_one_request", MiB)


def test_large_objects_go_in_many_requests(remote, small_requests, put, get, assemble):
    data = bytes(range(256)) * (5 * MiB // 256)
    put(remote, "key", data, metadata={"a": "b"})
    assembled = assemble(remote, "parts", [data, b"end"])
    copied = remote.copy(CopySource(bucket="bucket", key="parts"), "bucket", "copy")

    assert (get(remote, "key"), get(remote, "parts"), get(remote, "copy")) == (data, data + b"end", data + b"end")
    assert remote.head("bucket", "key").metadata == {"a": "b"}
    assert assembled.crc32c == copied.crc32c == crc32c(data + b"end")


def test_a_damaged_part_makes_no_object(over, small_requests, part):
    store = DamagedStore()
    engine = over(store)
    upload_id = engine.create_upload("bucket", "key", ObjectAttributes())
    stored = [part(engine, upload_id, number, bytes(2 * MiB)) for number in (1, 2)]
    store.damage = lambda body: body[:-1] + b"x" if len(body) > MiB else body

    with pytest.raises(IntegrityError, match="part 1"):
        engine.complete_upload("bucket", "key", upload_id, [PartChoice(one.number, one.etag) for one in stored])

    assert names(engine) == []
    assert [one.number for one in engine.list_parts("bucket", "key", upload_id)] == [1, 2]


def test_a_part_that_comes_when_its_upload_is_over_stays_nowhere(over):
    store = Store()
    engine = over(store)
    upload_id = engine.create_upload("bucket", "key", ObjectAttributes())
    with engine.part_writer("bucket", "key", upload_id, 1) as writer:
        writer.write(b"data", crc32c(b"data"))
        engine.abort_upload("bucket", "key", upload_id)
        with pytest.raises(UploadNotFoundError):
            writer.commit()

    assert list(store.names(".uploads")) == []


def test_abandoned_uploads_are_swept_and_others_are_not(over, open_remote, part):
    store = Store()
    engine = over(store)
    for number in range(3):
        upload_id = engine.create_upload("bucket", f"key{number}", ObjectAttributes())
        part(engine, upload_id, 1, b"data", key=f"key{number}")
    open_remote(backend=store, clock=lambda: 0.0).sweep()
    assert len(engine.list_uploads("bucket").uploads) == 3

    open_remote(backend=store, clock=lambda: 4e9).sweep()

    assert list(store.names(".uploads")) == []


def test_a_full_staging_disk_is_found_before_the_bytes_are_sent(remote):
    with pytest.raises(ResourceExhaustedError, match="staging directory"):
        remote.writer("bucket", "key", declared_size=1 << 60)


def test_nothing_stays_in_the_staging_directory(tmp_path, put):
    engine = open_engine(f"remote+memory://?staging={tmp_path}")
    engine.create_bucket("bucket")
    with engine.writer("bucket", "key") as writer:
        for _ in range(3):
            writer.write(bytes(MiB), crc32c(bytes(MiB)))
        assert list(tmp_path.iterdir()) == []
    put(engine, "key", bytes(3 * MiB))
    engine.close()

    assert list(tmp_path.iterdir()) == []


def test_a_store_that_was_out_of_reach_is_asked_until_it_answers():
    answers, asked = threading.Event(), threading.Event()

    def probe():
        asked.set()
        if not answers.is_set():
            raise NetworkError("no")
        availability.answered()
        back.set()

    back = threading.Event()
    availability = Availability(probe, pause=0.001)
    assert availability.available
    availability.failed()
    assert asked.wait(10)
    assert not availability.available
    answers.set()

    assert back.wait(10)
    assert availability.available


def test_an_engine_tells_whether_its_store_is_in_reach(nowhere, remote):
    assert remote.healthy
    backend = StoreUrl.of(urlsplit(nowhere)).connect()
    with pytest.raises(NetworkError):
        backend.head("name")

    assert not backend.availability.available
    backend.close()
