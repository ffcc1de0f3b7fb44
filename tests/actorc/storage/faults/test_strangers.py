"""Strangers at a server with keys: their calls are held open, and who has a key notices nothing."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress

import grpc
import psutil
import pytest

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage import RetryPolicy, StorageClient
from actorc.storage._wire.call_signing import HASH_HEADER, derived_key, sign_request
from actorc.storage.server.auth.access import EVERYTHING
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.testing import local_server

pytestmark = pytest.mark.slow

MiB = 1 << 20
TIMEOUT = 30.0
SERVICE = "/ignis.storage.v1.StorageService/"
METHODS = ["HeadObject", "PutObject", "ReadObject", "WriteObject"]
OPENING = pb.WriteObjectRequest(open=pb.WriteOpen(bucket="bucket", key="invented", declared_size=1 << 40))


class Served:
    """A server process, and how to reach it."""

    def __init__(self, process, address, key, secret):
        self.process = psutil.Process(process.pid)
        self.address = address
        self.key = key
        self.secret = secret

    def threads(self):
        return self.process.num_threads()


@pytest.fixture
def serve_process(tmp_path):
    """Start a server with keys in a process of its own."""
    with ExitStack() as stack:

        def started(*arguments):
            key, secret = add_key(tmp_path / "keys.json", [EVERYTHING])
            data = ("--data", str(tmp_path / "data"), "--keys", str(tmp_path / "keys.json"), "--auto-create-buckets")
            where = ("--listen", "127.0.0.1:0", "--http", "off")
            command = [sys.executable, "-m", "actorc.storage.server", *data, *where, *arguments]
            process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
            address = next(line.split()[-1] for line in process.stderr if " serving " in line)
            served = Served(process, address, key, secret)
            # its log must go somewhere
            drain = threading.Thread(target=process.stderr.read)
            drain.start()
            stack.callback(drain.join, TIMEOUT)
            stack.callback(process.terminate)
            return served

        yield started


class Strangers:
    """Calls that are held open for as long as the server lets them, and begun anew whenever it ends one."""

    def __init__(self, served, count, uploads):
        self._served = served
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._molest, args=(number,)) for number in range(count)]
        self._threads += [threading.Thread(target=self._upload) for _ in range(uploads)]
        self._counting = threading.Lock()
        self.codes = {}

    def _metadata(self, method, body):
        """Return the headers of somebody who made up a key, with and without the hash that clients send."""
        path, now_ms = f"{SERVICE}{method}", int(time.time() * 1000)
        proof = sign_request(derived_key("made up"), self._served.key.id, path, body, now_ms)
        return [proof, tuple(pair for pair in proof if pair[0] != HASH_HEADER), ()]

    def _molest(self, number):
        method = METHODS[number % len(METHODS)]
        while not self._stop.is_set():
            self._hold(method, self._metadata(method, b"")[number % 3], ())

    def _upload(self):
        body = OPENING.SerializeToString()
        turn = 0
        while not self._stop.is_set():
            self._hold("WriteObject", self._metadata("WriteObject", body)[turn % 2], (body,))
            turn += 1

    def _hold(self, method, metadata, messages):
        over = threading.Event()

        def said():
            yield from messages
            over.wait(TIMEOUT)

        # the channel may have been closed meanwhile
        with suppress(ValueError):
            call = self._channel.stream_stream(SERVICE + method)(said(), metadata=metadata, timeout=TIMEOUT)
            code = call.code()
            with self._counting:
                self.codes[code] = self.codes.get(code, 0) + 1
        over.set()
        # a crowd that leaves the machine to nobody else proves nothing about the server
        self._stop.wait(0.05)

    def __enter__(self):
        self._channel = grpc.insecure_channel(self._served.address, [("grpc.use_local_subchannel_pool", 1)])
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._channel.close()
        for each in self._threads:
            each.join(TIMEOUT)


@pytest.fixture
def honest():
    """Make a client that takes the first answer."""
    with ExitStack() as stack:

        def made(served):
            keys = {"access_key": served.key.id, "secret_key": served.secret}
            return stack.enter_context(
                StorageClient(served.address, **keys, timeout=TIMEOUT, retry=RetryPolicy(attempts=1))
            )

        yield made


def test_whoever_has_a_key_is_served_while_strangers_hold_calls_and_uploads_open(serve_process, honest, thorough):
    rounds, count, uploads = (50, 400, 100) if thorough else (3, 40, 10)
    served = serve_process()
    client = honest(served)
    data = os.urandom(3 * MiB)
    client.put_object("bucket", "small", b"small")
    client.put_object("bucket", "large", data)
    before = served.threads()
    with Strangers(served, count, uploads) as strangers:
        # for so many rounds at least, and until more calls were refused than there are strangers
        while rounds > 0 or strangers.codes.get(grpc.StatusCode.UNAUTHENTICATED, 0) <= count:
            rounds -= 1
            client.put_object("bucket", "large", data)
            assert client.get_object("bucket", "large") == data
            assert client.get_object("bucket", "small") == b"small"
            assert [each["key"] for each in client.iter_objects("bucket")] == ["large", "small"]
        during = served.threads()
        codes = dict(strangers.codes)

    refused = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert codes.keys() <= refused
    assert codes[grpc.StatusCode.UNAUTHENTICATED] > count
    # four of strangers, two watches, and those that serve one client; gRPC's own come and go with the processors
    assert during - before < 4 + 2 + 8 + 2 * (os.cpu_count() or 1)
    assert client.list_multipart_uploads("bucket")["uploads"] == []


def test_the_log_of_a_crowd_of_strangers_is_bounded(tmp_path, caplog):
    caplog.set_level(logging.INFO, "actorc.storage.server.access")
    add_key(tmp_path / "keys.json", [EVERYTHING])
    with local_server(keys=tmp_path / "keys.json") as server, grpc.insecure_channel(server.endpoint) as channel:
        head = channel.unary_unary(f"{SERVICE}HeadObject")
        calls = [head.future(b"", timeout=TIMEOUT) for _ in range(500)]
        codes = {call.code() for call in calls}

    assert codes == {grpc.StatusCode.UNAUTHENTICATED}
    assert caplog.text.count("HeadObject UNAUTHENTICATED") <= 200
    left_out = sum(map(int, re.findall(r"(\d+) more calls", caplog.text)))
    assert left_out + caplog.text.count("HeadObject UNAUTHENTICATED") == 500
