"""Fixtures of the server's tests: a client made of the .proto alone, without this package's codec."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import subprocess
import sys
import threading
from collections import deque
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._rpc import call_errors
from actorc.storage._rpc.grpc.calls import call_failed
from actorc.storage._wire import call_headers
from actorc.storage._wire.checksum import crc32c
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
        described = call_headers.SERVICE.methods_by_name[method]
        kind = (
            "stream" if described.client_streaming else "unary",
            "stream" if described.server_streaming else "unary",
        )
        return getattr(self.channel, "_".join(kind))(
            f"/{call_headers.SERVICE.full_name}/{method}",
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


class Process:
    """A server process and its output."""

    def __init__(self, *command, **options):
        self.process = subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, text=True, **options)
        self.lines = deque()

    def said(self, text):
        """Read its output until a line holds `text`; return that line."""
        for line in self.process.stderr:
            self.lines.append(line)
            if text in line:
                return line.rstrip()
        raise AssertionError(f"the server never said {text!r} but {''.join(self.lines)}")

    def address(self):
        address = self.said("serving ").rpartition(" on ")[2]
        self.said("open to every process on this machine")
        return address

    def kill(self, number):
        self.process.send_signal(number)

    def wait(self):
        """Wait for its end; return the exit code and its whole output."""
        self.lines.extend(self.process.stderr)
        return self.process.wait(20), "".join(self.lines)


@pytest.fixture
def run():
    """Start a process of Python; it is killed at the end if it still runs."""
    with _running() as started:
        yield started


@pytest.fixture(scope="module")
def run_for_all():
    """Start a process of Python for all tests of a module; it is killed at their end if it still runs."""
    with _running() as started:
        yield started


@contextmanager
def _running():
    processes = []

    def started(*command, **options):
        processes.append(Process(*command, **options))
        return processes[-1]

    yield started
    for each in processes:
        if each.process.poll() is None:
            each.process.kill()
        each.process.wait(20)
        each.process.stderr.close()


@pytest.fixture
def frames():
    return Frames


@pytest.fixture
def refused():
    """Run a call that fails; return the gRPC error and the storage error that it carries."""

    def run(call, *arguments, **options):
        def whole():
            answer = call(*arguments, **options)
            return list(answer if hasattr(answer, "__next__") else ())

        with pytest.raises(grpc.RpcError) as caught:
            whole()
        return caught.value, call_errors.error_from_call(call_failed(caught.value), "the server under test")

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


class Answer:
    """An HTTP response."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def error(self):
        """Code and message of a failure."""
        told = json.loads(self.body)
        assert told.keys() == {"code", "message", "request_id"}
        return told["code"], told["message"]


@pytest.fixture
def ask():
    """Make a request of a URL, whose path is sent as it is."""

    def answered(url, method="GET", body=None, *, context=None, **headers):
        parts = urlsplit(url)
        options = {"timeout": TIMEOUT, **({"context": context} if context else {})}
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        with closing(kind(parts.netloc, **options)) as connection:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, f"{parts.path}?{parts.query}", body, names)
            return Answer(connection.getresponse())

    return answered


class Line:
    """A connection on which a request is made by hand."""

    def __init__(self, url, method, *headers):
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT)
        head = [f"{method} {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}", *headers, "", ""]
        self.send("\r\n".join(head).encode(errors="surrogateescape"))

    def send(self, data):
        self.socket.sendall(data)

    def heard(self, end=b"\r\n\r\n"):
        """Read up to `end`, or up to the end of the connection."""
        data = b""
        while not data.endswith(end) and (byte := self.socket.recv(1)):
            data += byte
        return data

    def rest(self):
        """Read up to the end of the connection, orderly or not."""
        data = b""
        with suppress(ConnectionResetError):
            while piece := self.socket.recv(1 << 20):
                data += piece
        return data

    def close(self):
        self.socket.close()


@pytest.fixture
def line():
    """Open a connection and send the head of a request."""
    lines = []

    def opened(url, method="GET", *headers):
        lines.append(Line(url, method, *headers))
        return lines[-1]

    yield opened
    for each in lines:
        each.close()


@pytest.fixture
def told():
    """Return the access lines that begin with a word, once as many as expected are there."""
    arrived = threading.Condition()
    lines = []

    class Lines(logging.Handler):
        def emit(self, record):
            with arrived:
                lines.append(record.getMessage())
                arrived.notify_all()

    def wait_for(word, count=1):
        def found():
            return [each for each in lines if each.startswith(f"{word} ")]

        with arrived:
            assert arrived.wait_for(lambda: len(found()) >= count, TIMEOUT), lines
            return found()

    handler = Lines()
    logger = logging.getLogger("actorc.storage.server.access")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield wait_for
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
