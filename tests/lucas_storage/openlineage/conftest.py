"""Fixtures of events: a receiver, and a workflow of two steps."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from lucas_storage import with_storage
from lucas_storage.embedded import function, workflow


@pytest.fixture(autouse=True)
def _nothing_registered(empty_registry):
    """Every test has functions and workflows of its own."""


class Receiver:
    """An HTTP server that takes events, answers with a status, and waits before it does if it is told to."""

    def __init__(self):
        self.events, self.headers, self.paths = [], [], []
        self.status = 201
        self.go_on = threading.Event()
        self.go_on.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.paths.append(self.path)
                receiver.headers.append(dict(self.headers))
                receiver.go_on.wait(60)
                receiver.events.append(json.loads(body))
                self.send_response(receiver.status)
                self.send_header("Location", receiver.url)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def receiver():
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,))
    thread.start()
    yield receiver
    receiver.go_on.set()
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


@pytest.fixture
def study():
    """A workflow of two steps: an array, and its sum, or an error if there are none to add."""

    @function(name="make")
    @with_storage
    def make(n: int) -> np.ndarray:
        return np.arange(n)

    @function(name="total")
    @with_storage
    def total(x: np.ndarray) -> dict:
        if not x.size:
            raise ValueError("nothing to add, hunter2")
        return {"total": int(x.sum()), "sorted": np.sort(x)}

    @workflow
    def study(wf):
        return wf.call("total", {"x": wf.call("make", {"n": wf.input()["n"]})})

    return study


@pytest.fixture
def events_in():
    """A function that returns the events in a file."""

    def events_in(file):
        return [json.loads(line) for line in file.read_text().splitlines()]

    return events_in
