"""A server that is not there yet, or whose first connections break: calls go on for as long as they were given."""

from __future__ import annotations

import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from actorc.storage import NetworkError, RetryPolicy, StorageClient
from actorc.storage.testing import local_server

CALLS = {
    "small": lambda client, **options: client.put_object("bucket", "key", b"data", **options),
    "large": lambda client, **options: client.put_object("bucket", "key", bytes(3 << 20), **options),
    "list": lambda client, **options: client.list_buckets(**options),
}


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


@pytest.fixture
def failures():
    """Counts the calls that failed four times and are made again: once more than where nothing is waited for."""
    counted = threading.Semaphore(0)

    class Counting(logging.Handler):
        def emit(self, record):
            attempt, *_ = record.args
            if attempt == 4:
                counted.release()

    handler, logger = Counting(), logging.getLogger("actorc.storage._rpc.retries.attempts")
    logger.addHandler(handler)
    yield counted
    logger.removeHandler(handler)


class Gatekeeper:
    """Takes the first connections and breaks them, then passes the others on to a server."""

    def __init__(self, target, broken):
        host, port = target.rsplit(":", 1)
        self._target = host, int(port)
        self.left = broken
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._open = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.left > 0:
                self.left -= 1
                client.close()
                continue
            server = socket.create_connection(self._target)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
        except OSError:
            pass

    def close(self):
        for each in (self._listener, *self._open):
            each.close()


@pytest.fixture
def gatekeeper():
    made = []
    with local_server() as server:

        def make(broken):
            made.append(Gatekeeper(server.endpoint, broken))
            return made[-1]

        yield make
        for each in made:
            each.close()


@pytest.mark.slow
def test_connections_that_break_at_first_are_tried_again(gatekeeper):
    keepers = {name: gatekeeper(4) for name in CALLS}

    def make(name):
        with StorageClient(keepers[name].endpoint) as client:
            CALLS[name](client)

    # at the same time, since each waits for gRPC to connect once more
    with ThreadPoolExecutor() as threads:
        list(threads.map(make, CALLS))

    assert [keeper.left for keeper in keepers.values()] == [0] * len(CALLS)


@pytest.mark.slow
def test_a_server_that_is_not_there_yet_is_waited_for_if_a_timeout_is_given(free_port, failures):
    def make(name, given):
        options = {"timeout": 20.0} if given == "client" else {}
        per_call = {"timeout": 20.0} if given == "call" else {}
        with StorageClient(f"127.0.0.1:{free_port}", **options) as client:
            CALLS[name](client, **per_call)

    with ThreadPoolExecutor(2 * len(CALLS)) as threads:
        answers = [threads.submit(make, name, given) for name in CALLS for given in ("client", "call")]
        for _ in answers:
            assert failures.acquire(timeout=20)
        with local_server(listen=f"127.0.0.1:{free_port}"):
            for answer in answers:
                answer.result()


def test_a_wrong_address_is_reported_soon_with_what_to_do(free_port):
    with StorageClient(f"127.0.0.1:{free_port}") as client, pytest.raises(NetworkError) as caught:
        client.list_buckets()

    assert caught.value.message.endswith("; given up after 3 attempts, pass timeout= to go on for longer")


def test_a_policy_of_the_callers_own_counts_attempts(gatekeeper):
    keeper = gatekeeper(1000)
    policy = RetryPolicy(attempts=2, base=0.001)
    with StorageClient(keeper.endpoint, timeout=20, retry=policy) as client, pytest.raises(NetworkError):
        client.list_buckets()
