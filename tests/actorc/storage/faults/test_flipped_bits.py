"""One bit flips in what travels, of any message, in either direction, without TLS: nothing wrong comes of it.

What is right is found out by doing the same without a fault: the answer, and what is stored afterwards. With a fault, a
call either has that answer and that outcome, or fails with an error of ours and what is stored is as it was, or as it
should have become.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from random import Random

import pytest

from actorc.storage import RetryPolicy, StorageClient, StorageError
from actorc.storage._wire.checksum import crc32c
from actorc.storage.models import ObjectAttributes
from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.server.store.store import ObjectStore
from actorc.storage.testing import local_server

PREFACE = 24
DATA, HEADERS = 0, 1
FEW = RetryPolicy(attempts=4, unreached_attempts=4, base=0.001, cap=0.01)


class Line:
    """One direction of all connections, frame by frame of HTTP/2, of which those of one kind are at risk."""

    def __init__(self):
        self.at_risk = DATA
        self.passed = 0
        """Bytes in frames at risk that passed."""
        self._flip: tuple[int, int] | None = None
        self.flipped = 0

    def arm(self, at, bit):
        """Flip this bit of the byte that comes after `at` more bytes at risk."""
        self._flip = (self.passed + at, bit)

    def carry(self, source, sink, *, preface):
        """Pass on all that comes."""
        with contextlib.suppress(OSError, EOFError), source.makefile("rb") as incoming:
            sink.sendall(_exactly(incoming, preface))
            while True:
                head = _exactly(incoming, 9)
                payload = _exactly(incoming, int.from_bytes(head[:3], "big"))
                sink.sendall(head + (self._risked(payload) if head[3] == self.at_risk else payload))
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _risked(self, payload):
        begin, self.passed = self.passed, self.passed + len(payload)
        if self._flip is None or not begin <= self._flip[0] < self.passed:
            return payload
        (at, bit), self._flip = self._flip, None
        self.flipped += 1
        at -= begin
        return payload[:at] + bytes([payload[at] ^ 1 << bit]) + payload[at + 1 :]


def _exactly(incoming, count):
    data = incoming.read(count)
    if len(data) < count:
        raise EOFError
    return data


class Wire:
    """Connections to `target`, over which messages travel up and down."""

    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self.lines = {"up": Line(), "down": Line()}
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += [client, server]
                for way, source, sink, preface in (("up", client, server, PREFACE), ("down", server, client, 0)):
                    carry = self.lines[way].carry
                    threading.Thread(
                        target=carry, args=(source, sink), kwargs={"preface": preface}, daemon=True
                    ).start()

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Stored:
    """What the server holds, reached without a wire."""

    def __init__(self):
        self.engine = MemoryEngine()
        self.store = ObjectStore(self.engine)

    def reset(self):
        """Make it what every call begins with."""
        for bucket in self.engine.buckets():
            for info in self.store.page(bucket.name).objects:
                self.store.delete(bucket.name, info.key)
            self.store.delete_bucket(bucket.name)
        self.store.create_bucket("bucket")
        for number in range(8):
            attributes = ObjectAttributes(content_type="text/plain", metadata={"author": f"alice {number}"})
            data = f"content {number}".encode() * 20
            self.store.put("bucket", f"key-{number}", data, crc32c(data), attributes=attributes)

    def snapshot(self):
        """All of it that a caller has a say in."""
        return {
            (bucket.name, info.key): (info.size, info.crc32c, info.content_type, dict(info.metadata))
            for bucket in self.engine.buckets()
            for info in self.store.page(bucket.name).objects
        } | {(bucket.name, ""): None for bucket in self.engine.buckets()}


def in_parts(client):
    upload_id = client.create_multipart_upload("bucket", "parts", metadata={"by": "alice"})["upload_id"]
    parts = [client.upload_part("bucket", "parts", upload_id, number, b"part" * 50) for number in (1, 2)]
    listed = [part["etag"] for part in client.list_parts("bucket", "parts", upload_id)]
    assert listed == [part["etag"] for part in parts]
    return client.complete_multipart_upload("bucket", "parts", upload_id, parts)["size"]


def described(head):
    return {name: head[name] for name in ("bucket", "key", "size", "content_type", "metadata", "crc32c")}


CALLS = {
    "put": lambda client: client.put_object("bucket", "new", b"new" * 50, metadata={"by": "bob"})["size"],
    "replace": lambda client: client.put_object("bucket", "key-2", b"other" * 50)["key"],
    "get": lambda client: client.get_object("bucket", "key-1"),
    "get a range": lambda client: client.get_object("bucket", "key-3", offset=9, length=20),
    "get ranges": lambda client: client.get_ranges("bucket", "key-3", [(9, 20), (0, 3), (-5, 9)]),
    "get into a buffer": lambda client: client.get_object("bucket", "key-1", out=bytearray(5000)),
    "stream": lambda client: b"".join(client.stream_object("bucket", "key-1")),
    "head": lambda client: described(client.head_object("bucket", "key-4")),
    "exists": lambda client: client.object_exists("bucket", "key-5"),
    "does not exist": lambda client: client.object_exists("bucket", "key-9"),
    "list": lambda client: [described(each) for each in client.list_objects("bucket", max_keys=5)["objects"]],
    "list folders": lambda client: client.list_objects("bucket", delimiter="-")["common_prefixes"],
    "delete": lambda client: client.delete_object("bucket", "key-6"),
    "delete many": lambda client: client.delete_objects("bucket", ["key-0", "key-1"]),
    "put many": lambda client: len(client.put_objects("bucket", {"key-2": b"2", "new-key": b"3"})["stored"]),
    "get many": lambda client: [each["data"] for each in client.get_objects("bucket", ["key-1", "key-3"])["objects"]],
    "copy": lambda client: client.copy_object("bucket", "key-7", "bucket", "copy")["size"],
    "make a bucket": lambda client: client.create_bucket("other-bucket")["name"],
    "buckets": lambda client: [each["name"] for each in client.list_buckets()],
    "no such bucket": lambda client: client.bucket_exists("bucket-9"),
    "parts": in_parts,
}


@pytest.fixture
def stored():
    return Stored()


@pytest.fixture
def wire(stored):
    with local_server(stored.engine) as server:
        running = Wire(server.endpoint)
        yield running
        running.close()


def clean_runs(wire, stored, way):
    """What each call answers and leaves behind without a fault, and how many bytes it puts at risk that way, if any."""
    right = {}
    for name, call in CALLS.items():
        stored.reset()
        before = wire.lines[way].passed
        with StorageClient(wire.endpoint) as client:
            answer = call(client)
        right[name] = (answer, stored.snapshot(), wire.lines[way].passed - before)
    return {name: each for name, each in right.items() if each[2]}


@pytest.mark.few(2)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("at_risk", [DATA, HEADERS], ids=["messages", "headers"])
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_flipped_bit_never_makes_a_wrong_answer_nor_a_wrong_object(wire, stored, way, at_risk, thorough):
    random = Random(11)
    wire.lines[way].at_risk = at_risk
    right = clean_runs(wire, stored, way)
    stored.reset()
    begin = stored.snapshot()
    # a bad header may end a connection, or let it wait for what never comes, and that takes its time
    count = 300 if thorough else {DATA: 20, HEADERS: 8}[at_risk]
    recovered = 0
    for name in random.choices(list(right), k=count):
        answer, after, size = right[name]
        stored.reset()
        wire.lines[way].arm(random.randrange(size), random.randrange(8))
        with StorageClient(wire.endpoint, timeout=1, idle_timeout=0.5, retry=FEW) as client:
            try:
                assert CALLS[name](client) == answer, name
            except StorageError:
                assert stored.snapshot() in (begin, after), name
            else:
                assert stored.snapshot() == after, name
                recovered += 1

    # headers tell the time left, in more or fewer digits, so a call may put a few bytes less at risk than it did before
    assert wire.lines[way].flipped >= count - count // 10 - 1
    assert recovered > count / 4
