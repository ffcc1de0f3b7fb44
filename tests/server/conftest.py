"""A client made of the .proto alone: what any foreign client can do, and nothing of our own codec."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage import _wire
from actorc.storage._checksum import crc32c
from actorc.storage.testing import local_server

TIMEOUT = 20.0


class Raw:
    """Calls the service with generated messages."""

    def __init__(self, endpoint):
        self.channel = grpc.insecure_channel(endpoint)

    def __call__(self, method, request, *, metadata=(), timeout=TIMEOUT):
        """Start or make the call of this name; a request is a message, or an iterator of them for an upload."""
        return self.stub(method)(request, metadata=metadata, timeout=timeout)

    def stub(self, method):
        described = _wire.SERVICE.methods_by_name[method]
        kind = (
            "stream" if described.client_streaming else "unary",
            "stream" if described.server_streaming else "unary",
        )
        return getattr(self.channel, "_".join(kind))(
            f"/{_wire.SERVICE.full_name}/{method}",
            GetMessageClass(described.input_type).SerializeToString,
            GetMessageClass(described.output_type).FromString,
        )

    def put(self, bucket, key, data, **fields):
        request = pb.PutObjectRequest(bucket=bucket, key=key, data=data, crc32c=crc32c(data), **fields)
        return self("PutObject", request).object

    def get(self, bucket, key, **fields):
        answers = list(self("ReadObject", pb.ReadObjectRequest(bucket=bucket, key=key, **fields)))
        return b"".join(answer.chunk.data for answer in answers[1:])

    def write(self, frames, **options):
        """Make a whole upload; return its last answer."""
        return list(self("WriteObject", iter(frames), **options))[-1]

    def close(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def opening(bucket="bucket", key="key", **fields):
    return pb.WriteObjectRequest(open=pb.WriteOpen(bucket=bucket, key=key, **fields))


def chunk(offset, data, crc=None):
    return pb.WriteObjectRequest(chunk=pb.Chunk(offset=offset, data=data, crc32c=crc32c(data) if crc is None else crc))


def commit(data):
    return pb.WriteObjectRequest(commit=pb.WriteCommit(size=len(data), crc32c=crc32c(data)))


class Frames:
    """Makes the messages of an upload."""

    opening = staticmethod(opening)
    chunk = staticmethod(chunk)
    commit = staticmethod(commit)

    @staticmethod
    def upload(data, size=1 << 20, **fields):
        yield opening(**fields)
        for at in range(0, len(data), size):
            yield chunk(at, data[at : at + size])
        yield commit(data)


@pytest.fixture
def frames():
    return Frames


@pytest.fixture
def refused():
    """Run a call that fails; return the gRPC error and the one of ours it stands for."""

    def run(call, *arguments, **options):
        def whole():
            answer = call(*arguments, **options)
            return list(answer if hasattr(answer, "__next__") else ())

        with pytest.raises(grpc.RpcError) as caught:
            whole()
        return caught.value, _wire.error_from_rpc(caught.value, "the server under test")

    return run


@pytest.fixture
def connect():
    """Return a client of the server at an address."""
    clients = []

    def connected(endpoint):
        clients.append(Raw(endpoint))
        return clients[-1]

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def server():
    with local_server() as running:
        yield running


@pytest.fixture
def raw(server, connect):
    client = connect(server.endpoint)
    client("CreateBucket", pb.CreateBucketRequest(bucket="bucket"))
    return client
