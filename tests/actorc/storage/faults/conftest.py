"""Fixtures of fault tests: proxies between client and server, of connections and of messages."""

from __future__ import annotations

import contextlib
import http.server
import signal
import subprocess
import sys
import threading
from concurrent import futures
from typing import NamedTuple

import grpc
import pytest

from actorc.storage import RetryPolicy, StorageClient
from actorc.storage._wire import call_headers
from actorc.storage.testing import Proxy, local_server

QUICK = RetryPolicy(attempts=200, unreached_attempts=200, base=0.001, cap=0.02)


class Relay(grpc.GenericRpcHandler):
    """Passes calls on to `target` message by message, each through `alter`, which stands for a bad network.

    `alter` takes the direction, "up", "down" or "status", the name of the method, and a serialized message. `reroute`
    names the methods that calls reach instead of theirs, and `headers` what becomes of some headers; None: they go.
    """

    def __init__(self, target):
        self.reset()
        self._channel = grpc.insecure_channel(target, [("grpc.max_receive_message_length", 1 << 23)])
        self._server = grpc.server(
            futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", 1 << 23)]
        )
        self._server.add_generic_rpc_handlers((self,))
        self.endpoint = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def reset(self):
        """Pass everything on as it is, and forget the calls."""
        self.alter = lambda _direction, _method, message: message
        self.calls = []
        self.trailers = []
        self.reroute = {}
        self.headers = {}

    def service(self, details):
        return grpc.stream_stream_rpc_method_handler(
            lambda bodies, context: self._pass(details.method, bodies, context)
        )

    def _pass(self, path, bodies, context):
        service, _, method = path.rpartition("/")
        path = f"{service}/{self.reroute.get(method, method)}"
        self.calls.append(method)
        headers = {each.key: each.value for each in context.invocation_metadata() if each.key.startswith("x-")}
        headers = [(name, value) for name, value in (headers | self.headers).items() if value is not None]
        up = (self.alter("up", method, body) for body in bodies)
        call = self._channel.stream_stream(path)(up, metadata=headers)
        try:
            context.send_initial_metadata(call.initial_metadata())
            for message in call:
                altered = self.alter("down", method, message)
                if altered is not None:
                    yield altered
            self.trailers.append([name for name, _ in call.trailing_metadata()])
            context.set_trailing_metadata(call.trailing_metadata())
        except grpc.RpcError:
            trailers = [
                (name, self.alter("status", method, value) if name == call_headers.DETAILS_KEY else value)
                for name, value in call.trailing_metadata()
            ]
            context.set_trailing_metadata([each for each in trailers if each[1] is not None])
            context.abort(call.code(), call.details())

    def close(self):
        self._server.stop(0).wait()
        self._channel.close()


@pytest.fixture(scope="session")
def make_relay():
    """Return a new relay in front of an address."""
    with contextlib.ExitStack() as stack:
        yield lambda target: stack.enter_context(contextlib.closing(Relay(target)))


@pytest.fixture
def relay(server):
    """A relay in front of the server."""
    with contextlib.closing(Relay(server.endpoint)) as made:
        yield made


class Served(NamedTuple):
    """A server in a process of its own."""

    endpoint: str
    process: subprocess.Popen


@pytest.fixture(autouse=True)
def _own_state(monkeypatch, tmp_path):
    """A state directory of its own, so that no test resumes from the journals of another."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def server(tmp_path):
    with local_server((tmp_path / "data").as_uri()) as running:
        yield running


@pytest.fixture
def serve_process(tmp_path):
    """Start a durable server in a process of its own, with further options."""
    with contextlib.ExitStack() as stack:

        def started(*options):
            command = ["--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--http", "off", *options]
            process = subprocess.Popen(
                [sys.executable, "-m", "actorc.storage.server", "--auto-create-buckets", *command],
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.terminate)
            address = next(line.split()[-1] for line in process.stderr if " serving " in line)
            # its log, a line for each call, must go somewhere
            drain = threading.Thread(target=process.stderr.read)
            drain.start()
            stack.callback(drain.join)
            # one that a failed test left standing still does not end until it goes on
            stack.callback(process.send_signal, signal.SIGCONT)
            stack.callback(process.terminate)
            return Served(address, process)

        yield started


@pytest.fixture
def make_proxy():
    """Return a new proxy in front of an address."""
    with contextlib.ExitStack() as stack:
        yield lambda target: stack.enter_context(Proxy(target))


@pytest.fixture
def proxy(server, make_proxy):
    return make_proxy(server.endpoint)


@pytest.fixture
def client(proxy):
    """A client behind the proxy that retries without waiting long and gives up on a short silence."""
    with StorageClient(proxy.endpoint, idle_timeout=0.5, retry=QUICK) as it:
        yield it


@pytest.fixture
def direct(server):
    with StorageClient(server.endpoint) as it:
        yield it


@pytest.fixture
def http_port():
    """A port where a server of another kind answers."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as other:
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield other.server_address[1]
        other.shutdown()
        thread.join()
