"""Whatever ends an upload before its commit, nothing of it is there afterwards: no object, no file, no thread."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import chain

import grpc
import psutil
import pytest

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._wire.checksum import crc32c
from actorc.storage.server.engines.local import LocalEngine
from actorc.storage.testing import local_server

KiB = 1 << 10
BLOB = "0" * 32
"""A blob has a name of this length, wherever in the data directory it lies."""
WRITE = "/ignis.storage.v1.StorageService/WriteObject"


class BrokenSourceError(Exception):
    """The caller's own."""


def pieces(size):
    """Yield about `size` bytes, then break."""
    for start in range(0, size, 100 * KiB):
        yield bytes(min(100 * KiB, size - start))
    raise BrokenSourceError


def source_breaks(client, _stub, key, size):
    with pytest.raises(BrokenSourceError):
        client.upload_from_stream("bucket", key, pieces(size))


def part_source_breaks(client, _stub, key, size):
    with pytest.raises(BrokenSourceError):
        client.upload_from_stream("bucket", key, pieces(size), chunk_size=256 * KiB)


def body_raises(client, _stub, key, size):
    with suppress(BrokenSourceError), client.open_object("bucket", key, "wb") as file:
        file.write(bytes(size))
        raise BrokenSourceError


def multipart_is_aborted(client, _stub, key, size):
    upload = client.create_multipart_upload("bucket", key)["upload_id"]
    client.upload_part("bucket", key, upload, 1, bytes(size))
    client.abort_multipart_upload("bucket", key, upload)


def frames(key, size):
    yield pb.WriteObjectRequest(open=pb.WriteOpen(bucket="bucket", key=key)).SerializeToString()
    for offset in range(0, size, 64 * KiB):
        data = bytes(min(64 * KiB, size - offset))
        chunk = pb.Chunk(offset=offset, crc32c=crc32c(data), data=data)
        yield pb.WriteObjectRequest(chunk=chunk).SerializeToString()


def stream_ends_without_a_commit(_client, stub, key, size):
    with pytest.raises(grpc.RpcError):
        list(stub(frames(key, size)))


def commit_is_for_other_bytes(_client, stub, key, size):
    commit = pb.WriteObjectRequest(commit=pb.WriteCommit(size=size + 1, crc32c=1)).SerializeToString()
    with pytest.raises(grpc.RpcError):
        list(stub(chain(frames(key, size), [commit])))


def call_is_cancelled(_client, stub, key, size):
    sent, over = threading.Event(), threading.Event()

    def then_silence():
        yield from frames(key, size)
        sent.set()
        over.wait(60)

    call = stub(then_silence())
    next(call)
    sent.wait(60)
    call.cancel()
    over.set()


WAYS = (
    source_breaks,
    part_source_breaks,
    body_raises,
    multipart_is_aborted,
    stream_ends_without_a_commit,
    commit_is_for_other_bytes,
    call_is_cancelled,
)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_aborted_uploads_leave_nothing(tmp_path, thorough):
    count = 10_000 if thorough else 120
    dice = random.Random(count)
    plan = [(dice.choice(WAYS), f"key-{number}", dice.randrange(600 * KiB)) for number in range(count)]
    with local_server((tmp_path / "data").as_uri()) as server, server.client() as client:
        client.create_bucket("bucket")
        with grpc.insecure_channel(server.endpoint) as channel, ThreadPoolExecutor(8) as threads:
            stub = channel.stream_stream(WRITE)

            def run(cases):
                return list(threads.map(lambda case: case[0](client, stub, *case[1:]), cases))

            run(plan[: count // 2])
            descriptors = psutil.Process().num_fds()
            run(plan[count // 2 :])
            assert psutil.Process().num_fds() < descriptors + 30  # gRPC closes some of them a little later

        assert list(client.iter_objects("bucket")) == []
        assert client.list_multipart_uploads("bucket")["uploads"] == []
    with closing(LocalEngine(tmp_path / "data", sweep_interval=None)) as engine:
        engine.sweep()
        assert engine.maintenance.fsck() == []
    left = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and len(path.name) == len(BLOB)]
    assert left == []
