"""The bytes of an object in order by several streams: what they bring, and what becomes of them when one fails."""

from __future__ import annotations

import io
import itertools
import random
import threading
from contextlib import closing

import pytest

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage import (
    DeadlineExceededError,
    IntegrityError,
    InvalidParameterError,
    PreconditionFailedError,
    RetryPolicy,
    StorageClient,
    StorageError,
)
from actorc.storage._rpc import cancellation
from actorc.storage._transfer.object_stream import ObjectStream
from actorc.storage._transfer.stream_count import StreamCount
from actorc.storage.models import WHOLE, ByteRange
from actorc.storage.testing import local_server

MiB = 1 << 20
CONTENT = random.Random(0).randbytes(29 * MiB + 123)
HASTY = RetryPolicy(attempts=2, base=0.001, cap=0.002)


class Streams(StreamCount):
    """So many streams from the second piece on, whatever the link is like, and one after `back` bytes."""

    def __init__(self, count, back=None):
        super().__init__()
        self._wanted, self._back, self._total = count, back, 0

    def moved(self, size, flowing, now):
        self._total += size
        if not self._settled:
            self.count = 1 if self._back is not None and self._total >= self._back else self._wanted


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("server") / "data"


@pytest.fixture(scope="module")
def server(data):
    with local_server(data.as_uri()) as running:
        yield running


@pytest.fixture(scope="module")
def direct(server):
    with server.client() as client:
        client.put_object("bucket", "key", CONTENT)
        yield client


@pytest.fixture
def client(relay, direct):
    with StorageClient(relay.endpoint, retry=HASTY) as made:
        yield made


@pytest.fixture
def asked(relay):
    """The ranges that are asked for, as first byte and length, 0 for all that follows."""
    ranges = []

    def note(direction, method, message):
        if (direction, method) == ("up", "ReadObject"):
            part = pb.ReadObjectRequest.FromString(message).ranges[0]
            ranges.append((part.offset, part.length))
        return message

    relay.alter = note
    return ranges


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    assert [thread for thread in threading.enumerate() if thread.name == "storage-segments"] == []


def opened(client, count=4, key="key", part=WHOLE, *, back=None, **options):
    return ObjectStream(client._remote, "bucket", key, part, counted=lambda **_: Streams(count, back), **options)


def joined(stream):
    return b"".join(stream.pieces())


@pytest.mark.parametrize("count", [2, 4, 8])
def test_several_streams_bring_all_bytes_once_and_in_order(client, asked, count):
    stream = opened(client, count)

    assert joined(stream) == CONTENT

    (first, _), *others = sorted(asked)
    assert (first, stream.received, stream.info.size) == (0, len(CONTENT), len(CONTENT))
    assert others[0][0] == 6 * MiB  # two pieces, then what the first stream brings while the others connect
    assert all(begin + length == following for (begin, length), (following, _) in itertools.pairwise(others))
    assert sum(others[-1]) == len(CONTENT)
    assert len(others) > count


@pytest.mark.parametrize(
    "part", [ByteRange(5, 20 * MiB), ByteRange(3 * MiB), ByteRange(9 * MiB + 1), ByteRange(0, 1 << 50)], ids=str
)
def test_a_range_comes_by_several_streams_too(client, part):
    first, stop = part.clamp(len(CONTENT))

    assert joined(opened(client, part=part)) == CONTENT[first:stop]


def test_an_object_of_parts_of_odd_sizes_comes_whole(direct, client):
    parts = [CONTENT[begin : begin + size] for begin, size in ((0, 5 * MiB + 7), (99, 16 * MiB - 1), (7, 4 * MiB))]
    upload = direct.create_multipart_upload("bucket", "odd")["upload_id"]
    stored = [direct.upload_part("bucket", "odd", upload, number, part) for number, part in enumerate(parts, 1)]
    direct.complete_multipart_upload("bucket", "odd", upload, stored)

    assert joined(opened(client, key="odd")) == b"".join(parts)


def test_one_stream_goes_on_where_several_were_not_faster(client, asked):
    assert joined(opened(client, 3, back=9 * MiB)) == CONTENT

    last = max(asked)
    assert 9 * MiB < last[0] < 25 * MiB
    assert sum(last) == len(CONTENT)


def test_streams_that_are_refused_leave_their_bytes_to_one(data, make_relay):
    content, refused, asked = CONTENT[: 20 * MiB], threading.Event(), []
    with local_server(data.with_name("narrow").as_uri(), threads=3, reserved=2) as narrow:
        relay = make_relay(narrow.endpoint)

        def note(direction, method, message):
            if (direction, method) == ("up", "ReadObject"):
                asked.append(pb.ReadObjectRequest.FromString(message).ranges[0].offset)
                if len(asked) > 2 * 4 + 1:
                    refused.set()
            return message

        relay.alter = note
        with StorageClient(narrow.endpoint) as direct, StorageClient(relay.endpoint, retry=HASTY) as client:
            direct.put_object("bucket", "key", content)
            found = []
            with closing(opened(client).pieces()) as pieces:
                for number, piece in enumerate(pieces):
                    found.append(piece)
                    # the first stream takes the only place until the others have made all their attempts
                    if number == 2:
                        assert refused.wait(30)

    assert b"".join(found) == content
    assert asked[-1] == 6 * MiB


@pytest.mark.parametrize("at", [2 * MiB, 5 * MiB, 13 * MiB + 5, len(CONTENT) - 1])
def test_damage_on_the_disk_is_an_error_that_names_the_block_and_what_was_before_is_right(data, direct, client, at):
    key = f"damaged-{at}"
    content = CONTENT[at:] + CONTENT[:at]
    direct.put_object("bucket", key, content)
    flip(newest(data), at)
    found = []

    with pytest.raises(IntegrityError, match=f"block {at // MiB} of the object is damaged on the disk") as error:
        found.extend(opened(client, key=key).pieces())

    assert error.value.key == key
    assert b"".join(found) == content[: at // MiB * MiB]


def newest(data):
    files = (path for path in (data / "blobs").rglob("*") if path.is_file())
    return max(files, key=lambda path: path.stat().st_ctime_ns)


def flip(path, at):
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def test_an_object_that_is_replaced_meanwhile_comes_as_it_was(direct, client):
    direct.put_object("bucket", "changing", CONTENT)
    stream = opened(client, key="changing")
    with closing(stream.pieces()) as pieces:
        found = [next(pieces)]
        direct.put_object("bucket", "changing", bytes(len(CONTENT)))
        found += pieces

    assert b"".join(found) == CONTENT


def test_another_object_than_the_one_that_is_meant_is_refused(client):
    with pytest.raises(PreconditionFailedError):
        joined(opened(client, if_match="0-00000000"))


def test_cut_connections_are_no_error(server, direct, make_proxy):
    proxy = make_proxy(server.endpoint)
    with (
        StorageClient(proxy.endpoint, retry=RetryPolicy(attempts=100, base=0.001, cap=0.01)) as client,
        closing(opened(client).pieces()) as pieces,
    ):
        found = []
        for number, piece in enumerate(pieces):
            found.append(piece)
            if number in (3, 8, 15):
                proxy.drop_all()

    assert b"".join(found) == CONTENT


@pytest.mark.parametrize("taken", [1, 3, 9, 20])
def test_a_reader_that_stops_ends_all_streams(client, taken):
    with closing(opened(client).pieces()) as pieces:
        for _ in range(taken):
            next(pieces)


def test_a_cancelled_scope_ends_all_streams(client, relay):
    scope, seen = cancellation.CancelScope(), []

    def alter(direction, method, message):
        if (direction, method) == ("down", "ReadObject") and len(message) > MiB:
            seen.append(message)
            if len(seen) == 12:
                scope.cancel()
        return message

    relay.alter = alter
    with cancellation.entered(scope), pytest.raises(StorageError, match="cancelled"):
        joined(opened(client))


def test_a_client_that_is_closed_ends_all_streams(relay):
    client = StorageClient(relay.endpoint, retry=HASTY)
    pieces = opened(client).pieces()
    for _ in range(7):
        next(pieces)
    client.close()

    with pytest.raises(StorageError):
        for _ in pieces:
            pass


def test_the_time_for_all_streams_is_one(client, relay):
    go_on = threading.Event()

    def stall(direction, method, message):
        if (direction, method) == ("up", "ReadObject") and pb.ReadObjectRequest.FromString(message).ranges[0].length:
            go_on.wait(30)
        return message

    relay.alter = stall
    with pytest.raises(DeadlineExceededError):
        joined(opened(client, timeout=1.0))
    go_on.set()


@pytest.fixture
def several(monkeypatch):
    """Let all clients read large objects by four streams, whatever the link is like."""
    monkeypatch.setattr(
        ObjectStream.__init__,
        "__kwdefaults__",
        {**ObjectStream.__init__.__kwdefaults__, "counted": lambda **_: Streams(4)},
    )


def into(client):
    buffer = bytearray(len(CONTENT) + 5)
    found = client.get_object("bucket", "key", out=buffer)
    assert bytes(buffer[len(CONTENT) :]) == bytes(5)
    return found


def to_stream(client):
    buffer, told = io.BytesIO(), []
    read = client.download_to_stream("bucket", "key", buffer, progress=lambda *step: told.append(step))
    assert (read["size"], told[-1]) == (len(CONTENT), (len(CONTENT), len(CONTENT)))
    assert told == sorted(told)
    return buffer.getvalue()


def as_file(client):
    with client.open_object("bucket", "key") as file:
        return file.read()


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize(
    "read",
    [
        lambda client: client.get_object("bucket", "key"),
        lambda client: client.get_object("bucket", "key", as_view=True),
        lambda client: client.get_object("bucket", "key", offset=0, length=1 << 40),
        into,
        lambda client: b"".join(client.stream_object("bucket", "key")),
        to_stream,
        as_file,
    ],
    ids=["get", "as view", "range", "out", "stream", "to stream", "as file"],
)
def test_every_way_to_read_a_large_object_follows_the_link(client, asked, read):
    assert read(client) == CONTENT
    assert len(asked) > 4


@pytest.mark.usefixtures("several")
def test_a_buffer_that_is_too_small_is_refused_and_not_written_to(client):
    buffer = bytearray(len(CONTENT) - 1)

    with pytest.raises(InvalidParameterError):
        client.get_object("bucket", "key", out=buffer)

    assert not any(buffer)


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("out", [None, bytearray(len(CONTENT))], ids=["new", "out"])
def test_a_store_that_keeps_no_former_generations_gives_the_present_one_by_one_stream(make_relay, out):
    pytest.importorskip("obstore", reason="remote engines need obstore, which is not installed")
    present, asked = CONTENT[::-1], []
    with local_server("remote+memory://") as gateway, gateway.client() as direct:
        direct.put_object("bucket", "key", CONTENT)
        relay = make_relay(gateway.endpoint)

        def replace(direction, method, message):
            if (direction, method) == ("up", "ReadObject"):
                asked.append(pb.ReadObjectRequest.FromString(message).generation)
                if len(asked) == 2:
                    direct.put_object("bucket", "key", present)
            return message

        relay.alter = replace
        with StorageClient(relay.endpoint, retry=HASTY) as client:
            assert client.get_object("bucket", "key", out=out) == present

    assert (asked[0], asked[-1], len(asked) > 2) == (0, 0, True)
