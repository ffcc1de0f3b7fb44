"""Uploads and downloads that are under way end with the key, or the secret, of their caller, over every face."""

from __future__ import annotations

import queue
import threading
import time

import grpc
import pytest

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage import ObjectNotFoundError, StorageClient, UnauthenticatedError
from actorc.storage._wire import call_headers
from actorc.storage._wire.call_signing import derived_key, sign_request
from actorc.storage.rules import MiB
from actorc.storage.server import ServerOptions, StorageServer
from actorc.storage.server.auth.access import EVERYTHING
from actorc.storage.server.auth.key_file import add_key, disable_key, rotate_key
from actorc.storage.testing import local_server

LARGE = 48 * MiB
"""More than what lies on the way from a server to a client that reads nothing."""
ENDINGS = {
    "disabled": disable_key,
    "replaced": lambda file, key_id: rotate_key(file, key_id, grace=0),
}
ending = pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)


class World:
    """A server with keys, one who stays and one whose key ends."""

    def __init__(self, file):
        self.file = file
        self.owner, self.owner_secret = add_key(file, [EVERYTHING])
        self.key, self.secret = add_key(file, [EVERYTHING])

    def signed(self, method, request):
        path = f"/{call_headers.SERVICE.full_name}/{method}"
        return sign_request(
            derived_key(self.secret), self.key.id, path, request.SerializeToString(), int(time.time() * 1000)
        )

    def mine(self, server, **options):
        return server.client(access_key=self.key.id, secret_key=self.secret, **options)

    def owners(self, server):
        return server.client(access_key=self.owner.id, secret_key=self.owner_secret)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "keys.json")


@pytest.fixture
def server(world):
    with local_server(keys=world.file, http=True) as running, world.owners(running) as client:
        client.create_bucket("bucket")
        yield running


@ending
def test_an_upload_is_not_completed(world, server, connect, frames, end):
    raw = connect(server.endpoint)
    opening, sent = frames.opening(key="mine"), queue.Queue()
    sent.put(opening)
    sent.put(frames.chunk(0, b"data"))
    answers = raw("WriteObject", iter(sent.get, None), metadata=world.signed("WriteObject", opening))
    accepted = next(answers)
    end(world.file, world.key.id)
    sent.put(frames.commit(b"data"))
    sent.put(None)

    with pytest.raises(grpc.RpcError) as refused:
        list(answers)
    assert accepted.WhichOneof("frame") == "accepted"
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with world.owners(server) as client, pytest.raises(ObjectNotFoundError):
        client.head_object("bucket", "mine")


@ending
def test_a_download_stops(world, server, connect, end):
    with world.owners(server) as client:
        client.put_object("bucket", "large", bytes(LARGE))
    request = pb.ReadObjectRequest(bucket="bucket", key="large")
    answers = connect(server.endpoint)("ReadObject", request, metadata=world.signed("ReadObject", request))
    next(answers)
    end(world.file, world.key.id)

    got = []
    with pytest.raises(grpc.RpcError) as refused:
        got.extend(len(each.chunk.data) for each in answers)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert sum(got) < LARGE


@pytest.mark.parametrize("local", [True, False], ids=["socket", "tcp"])
def test_a_client_is_told_why_its_transfer_ends(world, server, local):
    begun, ended = threading.Event(), threading.Event()

    class Source:
        """A source that is read on while the key ends."""

        def __init__(self):
            self.blocks = iter([bytes(MiB), bytes(MiB), b""])

        def read(self, _size=-1):
            block = next(self.blocks, b"")
            if not begun.is_set():
                begun.set()
                return block
            ended.wait(20)
            return block

    def end():
        begun.wait(20)
        disable_key(world.file, world.key.id)
        ended.set()

    ending = threading.Thread(target=end)
    ending.start()
    with world.mine(server, local=local) as client, pytest.raises(UnauthenticatedError, match="disabled"):
        client.upload_from_stream("bucket", "mine", Source())
    ending.join()
    with world.owners(server) as client, pytest.raises(ObjectNotFoundError):
        client.head_object("bucket", "mine")


@ending
def test_a_body_over_http_is_not_stored(world, server, line, end):
    with world.mine(server) as client:
        url = client.presign_url("bucket", "mine", "PUT")
    sending = line(url, "PUT", "Content-Length: 4", "Expect: 100-continue", "Connection: close")
    sending.heard()
    end(world.file, world.key.id)
    sending.send(b"data")

    assert b" 403 " in sending.rest().partition(b"\r\n")[0]
    with world.owners(server) as client, pytest.raises(ObjectNotFoundError):
        client.head_object("bucket", "mine")


@ending
def test_an_object_over_http_breaks_off(world, server, line, end):
    with world.owners(server) as client:
        client.put_object("bucket", "large", bytes(LARGE))
    with world.mine(server) as client:
        url = client.presign_url("bucket", "large")
    reading = line(url, "GET", "Connection: close")
    reading.heard()
    end(world.file, world.key.id)

    assert len(reading.rest()) < LARGE


def test_what_is_under_way_on_an_open_server_ends_with_its_first_key(tmp_path, connect, frames):
    options = ServerOptions(data=tmp_path / "data", listen="127.0.0.1:0", http="off", grace=0.0)
    with StorageServer(options) as running:
        with StorageClient(running.address) as client:
            client.create_bucket("bucket")
        sent = queue.Queue()
        sent.put(frames.opening(key="mine"))
        answers = connect(running.address)("WriteObject", iter(sent.get, None))
        next(answers)
        key, secret = add_key(tmp_path / "data" / "keys.json", [EVERYTHING])
        sent.put(frames.commit(b""))
        sent.put(None)

        with pytest.raises(grpc.RpcError) as refused:
            list(answers)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        with StorageClient(running.address, key.id, secret) as client:
            assert client.list_objects("bucket")["objects"] == []


def test_a_former_secret_goes_on_with_what_is_under_way(world, server, connect, frames):
    opening, sent = frames.opening(key="mine"), queue.Queue()
    sent.put(opening)
    answers = connect(server.endpoint)(
        "WriteObject", iter(sent.get, None), metadata=world.signed("WriteObject", opening)
    )
    next(answers)
    rotate_key(world.file, world.key.id, grace=60)
    sent.put(frames.chunk(0, b"data"))
    sent.put(frames.commit(b"data"))
    sent.put(None)

    assert list(answers)[-1].done.size == 4
