"""Upstream's own worker takes the messages of our controller, beside our storage, whichever was installed last."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import cloudpickle
import pytest

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.local import messages
from actorc.controller.local.messages import Value
from actorc.storage.testing import local_server
from lucas_storage import Storage, storage_context, with_storage

IGNIS = os.environ.get("IGNIS_SRC")
SERVE = "import sys; from actorc.executor import Executor; Executor('venv').serve(sys.argv[1])"
PATIENCE_MS = 30_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IGNIS, reason="IGNIS_SRC names no checkout of ignis"),
]


class Worker:
    """Upstream's worker, a process that is reached over ZeroMQ."""

    def __init__(self, socket):
        self._socket = socket
        self._peer = None
        self.said = self._next().type

    def call(self, function, **arguments):
        """Return the answer to a call of a function that is handed over with it."""
        name = function.__name__
        pickled = cloudpickle.dumps(function)
        values = {
            key: Value(f"obj.{key}", pb.LANGUAGE_PYTHON, cloudpickle.dumps(value)) for key, value in arguments.items()
        }
        self._send(messages.add_handler("venv", name, pickled, pb.LANGUAGE_PYTHON))
        self._send(messages.execute("venv", f"call-{name}", name, values))
        answer = self._next().returned
        assert answer.corr_id == f"call-{name}"
        return cloudpickle.loads(answer.value.data) if answer.WhichOneof("result") == "value" else answer.error

    def leave(self):
        self._send(messages.end_worker("venv"))

    def _send(self, parts):
        self._socket.send_multipart([self._peer, b"".join(parts)])

    def _next(self):
        assert self._socket.poll(PATIENCE_MS), "the worker says nothing"
        self._peer, frame = self._socket.recv_multipart()
        return messages.from_worker(frame).message


@pytest.fixture(params=["ours last", "upstream's last"])
def worker(site, request):
    zmq = pytest.importorskip("zmq")
    genuine = Path(IGNIS) / "clients" / "py" / "actorc"
    steps = [lambda: site.install(genuine), site.install_ours]
    for install in steps if request.param == "ours last" else reversed(steps):
        install()
    with local_server() as server, zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        code = site.start + SERVE
        environment = {**os.environ, "STORAGE_ENDPOINT": server.endpoint, "PYTHONPATH": ""}
        command = [sys.executable, "-S", "-c", code, f"tcp://127.0.0.1:{port}"]
        with subprocess.Popen(command, cwd=site.folder, env=environment, stderr=subprocess.DEVNULL) as process:
            watchdog = threading.Timer(60, process.kill)
            watchdog.start()
            try:
                found = Worker(socket)
                found.server = server
                yield found
                found.leave()
            finally:
                watchdog.cancel()
                process.terminate()


def test_upstreams_worker_runs_functions_on_orders_of_our_controller(worker):
    def doubled(x):
        return 2 * x

    def failing():
        raise ValueError("no such thing")

    assert worker.said == pb.D_READY
    assert worker.call(doubled, x=21) == 42
    assert worker.call(failing) == "ValueError: no such thing"


def test_a_function_on_upstreams_worker_has_our_storage(worker):
    def stored(bucket, key):
        import actorc.utils

        from actorc.storage import StorageClient

        with StorageClient() as storage:
            storage.put_object(bucket, key, b"weather")
            return storage.get_object(bucket, key), actorc.utils.EncDec.__name__

    assert worker.call(stored, bucket="data", key="raw.csv") == (b"weather", "EncDec")


def test_a_function_with_storage_takes_and_returns_references_there(worker):
    @with_storage
    def shouted(text: bytes) -> bytes:
        return text.upper() * 10_000

    with storage_context(endpoint=worker.server.endpoint), Storage() as storage:
        answer = worker.call(shouted, text=storage.put(b"weather").to_json())

        assert storage.get(answer) == b"WEATHER" * 10_000
