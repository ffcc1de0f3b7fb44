"""Objects that are read in one answer, and what happens when there is no such answer."""

from __future__ import annotations

import grpc
import pytest

from actorc.storage import AlreadyExistsError, InvalidRangeError, ObjectNotFoundError, StorageClient
from actorc.storage._wire.checksum import crc32c
from actorc.storage.models import Chunk
from actorc.storage.server import server as server_module
from actorc.storage.server.config import ServerOptions
from actorc.storage.server.engines import open_engine
from actorc.storage.server.store.store import ObjectStore

MiB = 1 << 20
ANSWER = MiB // 8
ABSENT = {"if_absent": True}
OLD, NEW = b"old" * MiB, b"new" * MiB


class Told(grpc.GenericRpcHandler):
    """The methods of a server; `begins` is told of every call before it begins, and hides it by returning False."""

    def __init__(self, handler, begins):
        self._handler = handler
        self._begins = begins

    def service(self, handler_call_details):
        shown = self._begins(handler_call_details.method.rpartition("/")[2])
        return None if shown is False else self._handler.service(handler_call_details)


@pytest.fixture
def store():
    """The rules over an engine that retains nothing; its server closes the engine."""
    return ObjectStore(open_engine("memory://"), auto_create_buckets=True)


@pytest.fixture
def connect(monkeypatch, store):
    """Return a client of a server over the store, which tells what is called."""
    running = []

    def connected(begins):
        handler = server_module.StorageHandler
        monkeypatch.setattr(server_module, "StorageHandler", lambda *at, **more: Told(handler(*at, **more), begins))
        options = ServerOptions(engine="memory://", listen="127.0.0.1:0", auto_create_buckets=True)
        running.append(server_module.StorageServer(options, engine=store._engine))
        running.append(StorageClient(running[0].start(), local=False))
        return running[1]

    yield connected
    server, client = running
    client.close()
    server.stop()


def write(store, data):
    with store.begin_write("bucket", "key") as upload:
        for at in range(0, len(data), MiB):
            piece = data[at : at + MiB]
            upload.write(Chunk(at, piece, crc32c(piece)))
        return upload.commit(size=len(data), crc32c=crc32c(data))


def test_a_small_object_takes_one_call_and_a_larger_one_two(connect, store):
    called = []
    client = connect(called.append)
    write(store, OLD)

    assert OLD[:ANSWER] == client.get_object("bucket", "key", length=ANSWER)
    assert called == ["GetObject"]
    assert client.get_object("bucket", "key") == OLD
    assert called == ["GetObject", "GetObject", "ReadObject"]
    assert client.get_object("bucket", "key") == OLD
    assert called == ["GetObject", "GetObject", "ReadObject", "ReadObject"]


def test_an_object_is_taken_for_one_like_the_last(connect, store):
    called = []
    client = connect(called.append)
    write(store, OLD)
    for _ in range(2):
        client.get_object("bucket", "key")
    write(store, b"data")
    del called[:]
    for _ in range(2):
        client.get_object("bucket", "key")

    assert called == ["ReadObject", "GetObject"]


def test_objects_are_read_as_streams_from_a_server_that_sends_none_in_one_answer(connect, store):
    called = []

    def begins(method):
        called.append(method)
        return method != "GetObject"

    client = connect(begins)
    write(store, b"data")
    gotten = [client.get_object("bucket", "key", offset=offset) for offset in range(3)]

    assert gotten == [b"data", b"ata", b"ta"]
    assert called == ["GetObject", "ReadObject", "ReadObject", "ReadObject"]


def test_a_batch_takes_one_call(connect):
    called = []
    client = connect(called.append)
    many = {f"{number:03}": bytes([number]) for number in range(100)}
    stored, read = client.put_objects("bucket", many), client.get_objects("bucket", many)

    assert called == ["PutObjects", "GetObjects"]
    assert (len(stored["stored"]), {each["key"]: each["data"] for each in read["objects"]}) == (100, many)


def test_objects_go_one_by_one_to_a_server_that_knows_no_batches(connect):
    called = []

    def begins(method):
        called.append(method)
        return method not in {"PutObjects", "GetObjects"}

    client = connect(begins)
    many = {"a": b"1", "b": b"2"}
    stored = [client.put_objects("bucket", many), client.put_objects("bucket", [{"key": "a", "data": b"", **ABSENT}])]
    read = client.get_objects("bucket", [*many, "missing"])

    assert called == ["PutObjects", *["PutObject"] * 3, *["ReadObject"] * 3]
    assert [len(each["stored"]) for each in stored] == [2, 0]
    assert [type(error) for error in stored[1]["errors"].values()] == [AlreadyExistsError]
    assert {each["key"]: each["data"] for each in read["objects"]} == many
    assert list(read["errors"]) == ["missing"]


def test_a_thousand_ranges_take_one_call_and_others_as_many_as_their_bytes_need(connect, store):
    called = []
    client = connect(called.append)
    write(store, OLD)
    ranges = [(at * 7, 3) for at in range(1000)]

    assert client.get_ranges("bucket", "key", ranges) == [OLD[at : at + size] for at, size in ranges]
    assert called == ["GetRanges"]
    client.get_ranges("bucket", "key", [*ranges, (0, MiB + 1), (5, 9)])
    assert called[1:] == ["GetRanges", "GetRanges", "ReadObject"]


def test_ranges_are_read_one_by_one_from_a_server_that_knows_no_other_way(connect, store):
    called = []

    def begins(method):
        called.append(method)
        return method != "GetRanges"

    client = connect(begins)
    write(store, OLD)
    found = [client.get_ranges("bucket", "key", [(1, 3), (-2, 2)]) for _ in range(2)]

    assert found == [[OLD[1:4], OLD[-2:]]] * 2
    assert called == ["GetRanges", *["ReadObject"] * 6]
    with pytest.raises(InvalidRangeError):
        client.get_ranges("bucket", "key", [(len(OLD) + 1, 0)])


def test_an_object_is_opened_by_one_call_which_brings_its_ends(connect, store):
    called = []
    client = connect(called.append)
    write(store, OLD)
    with client.open_object("bucket", "key") as file:
        assert file.read(1000) == OLD[:1000]
        file.seek(-1000, 2)
        assert file.read() == OLD[-1000:]
        assert called == ["GetRanges"]
        file.seek(MiB)
        file.read(5000)
        file.seek(2 * MiB)
        file.read(500_000)

    assert called == ["GetRanges", "GetObject", "ReadObject"]


def test_an_object_is_opened_at_an_earlier_server_as_well(connect, store):
    called = []

    def begins(method):
        called.append(method)
        return method != "GetRanges"

    client = connect(begins)
    write(store, OLD)
    with client.open_object("bucket", "key") as file:
        assert file.read(10) == OLD[:10]

    assert called == ["GetRanges", "ReadObject", "GetObject"]


@pytest.fixture
def changing(connect, store):
    """Return a client of a server where something changes before the stream of a large object."""

    def begin(change):
        changes = [change]
        write(store, OLD)
        return connect(lambda method: changes.pop()() if method == "ReadObject" and changes else None)

    return begin


def test_an_object_that_is_replaced_meanwhile_is_read_anew(changing, store):
    client = changing(lambda: write(store, NEW) and None)

    assert client.get_object("bucket", "key") == NEW


def test_an_object_that_is_deleted_meanwhile_is_not_there(changing, store):
    client = changing(lambda: store.delete("bucket", "key") and None)

    with pytest.raises(ObjectNotFoundError):
        client.get_object("bucket", "key")


def test_a_generation_that_is_replaced_meanwhile_is_not_there(changing, store):
    client = changing(lambda: write(store, NEW) and None)
    generation = store.head("bucket", "key").generation

    with pytest.raises(ObjectNotFoundError):
        client.get_object("bucket", "key", generation=generation)
