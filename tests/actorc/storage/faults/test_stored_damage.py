"""Bytes that are damaged on the disk: the client finds it, and the server tells which block of which object it is."""

from __future__ import annotations

import grpc
import pytest

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage import IntegrityError, RetryPolicy, StorageClient
from actorc.storage._wire import call_headers
from actorc.storage._wire.checksum import crc32c
from actorc.storage.testing import local_server

MiB = 1 << 20
BIG = bytes(range(256)) * (5 * MiB // 256)
FEW = RetryPolicy(attempts=4, base=0.001, cap=0.002)
ONE = RetryPolicy(attempts=1)


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
        yield client


@pytest.fixture
def client(relay):
    with StorageClient(relay.endpoint, retry=FEW) as made:
        yield made


@pytest.fixture
def requests(relay):
    """The requests to read that pass, in order."""
    seen = []

    def note(direction, method, message):
        if (direction, method) == ("up", "ReadObject"):
            seen.append(pb.ReadObjectRequest.FromString(message))
        return message

    relay.alter = note
    return seen


@pytest.fixture
def damaged(data, direct):
    """Store an object, and flip a bit in the fourth block of its file."""
    direct.put_object("bucket", "key", BIG)
    newest = max(
        (path for path in (data / "blobs").rglob("*") if path.is_file()), key=lambda path: path.stat().st_ctime_ns
    )
    newest.chmod(0o600)
    with newest.open("r+b") as file:
        file.seek(3 * MiB + 17)
        byte = file.read(1)[0]
        file.seek(3 * MiB + 17)
        file.write(bytes([byte ^ 1]))


def test_a_sound_object_is_verified_by_the_client_alone(direct, client, requests):
    direct.put_object("bucket", "key", BIG)

    assert client.get_object("bucket", "key", offset=0, length=len(BIG)) == BIG

    assert [each.recorded_checksums for each in requests] == [True]


@pytest.mark.usefixtures("damaged")
def test_damage_on_the_disk_is_named_by_the_server_which_is_asked_once_more(client, requests):
    seen = []
    with pytest.raises(IntegrityError, match="block 3 of the object is damaged on the disk") as error:
        seen.extend(client.stream_object("bucket", "key"))

    assert (error.value.bucket, error.value.key, error.value.retryable) == ("bucket", "key", False)
    assert b"".join(seen) == BIG[: 3 * MiB]
    assert [each.recorded_checksums for each in requests] == [True, False]
    assert requests[1].ranges[0].offset == 3 * MiB


@pytest.mark.usefixtures("damaged")
@pytest.mark.parametrize("part", [(0, 3 * MiB), (3 * MiB + 18, 2 * MiB), (4 * MiB, MiB)], ids=str)
def test_a_range_is_an_error_only_if_it_touches_the_damaged_block(client, part):
    offset, length = part
    if offset // MiB == 3:
        with pytest.raises(IntegrityError, match="block 3"):
            client.get_object("bucket", "key", offset=offset, length=length)
    else:
        assert client.get_object("bucket", "key", offset=offset, length=length) == BIG[offset : offset + length]


@pytest.mark.usefixtures("damaged")
def test_a_client_that_makes_one_attempt_is_told_of_damage_on_the_disk_too(relay, requests):
    with (
        StorageClient(relay.endpoint, retry=ONE) as client,
        pytest.raises(IntegrityError, match="block 3 of the object is damaged on the disk"),
    ):
        client.get_object("bucket", "key", offset=0, length=len(BIG))

    assert [each.recorded_checksums for each in requests] == [False]


def test_what_was_damaged_on_the_way_comes_verified_the_second_time(direct, client, relay, requests):
    direct.put_object("bucket", "key", BIG)
    note, left = relay.alter, [1]

    def alter(direction, method, message):
        if direction == "down" and method == "ReadObject" and len(message) > MiB and left:
            left.clear()
            return message[:-1] + bytes([message[-1] ^ 1])
        return note(direction, method, message)

    relay.alter = alter

    assert client.get_object("bucket", "key", offset=0, length=len(BIG)) == BIG

    assert [each.recorded_checksums for each in requests] == [True, False]


@pytest.mark.usefixtures("damaged")
@pytest.mark.parametrize("asked", [False, True])
def test_the_server_verifies_for_whoever_does_not_ask_for_recorded_checksums(relay, asked):
    request = pb.ReadObjectRequest(bucket="bucket", key="key", recorded_checksums=asked)
    frames, code = [], grpc.StatusCode.OK
    with grpc.insecure_channel(relay.endpoint) as channel:
        call = channel.unary_stream(call_headers.PREFIX + "ReadObject")(request.SerializeToString())
        try:
            frames.extend(pb.ReadObjectResponse.FromString(message) for message in call)
        except grpc.RpcError as error:
            code = error.code()

    chunks = [frame.chunk for frame in frames if frame.HasField("chunk")]
    wrong = [chunk.offset // MiB for chunk in chunks if crc32c(chunk.data) != chunk.crc32c]
    assert (code, wrong) == ((grpc.StatusCode.OK, [3]) if asked else (grpc.StatusCode.DATA_LOSS, []))
