"""The server in a process of its own, and clients over each transport."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from actorc.storage import StorageClient

from . import processes

UNIX, TCP = "Unix socket", "TCP"
SETTINGS = {UNIX: {}, TCP: {"STORAGE_LOCAL": "0"}}
"""The environment under which a client takes each transport."""


@dataclass(frozen=True)
class Server:
    """A running server; `pids` are its processes, workers included."""

    endpoint: str
    pids: tuple[int, ...]


@contextmanager
def storage_server(*options, engine=None, data=None):
    """Yield a real server, durable, in a directory of its own or in `data`, or over another engine; it has no keys."""
    with tempfile.TemporaryDirectory() as folder:
        endpoint_file = Path(folder, "endpoint.json")
        place = ["--engine", engine] if engine else ["--data", str(data or Path(folder, "data"))]
        command = [sys.executable, "-m", "actorc.storage.server", *place]
        command += ["--listen", "127.0.0.1:0", "--auto-create-buckets", "--endpoint-file", str(endpoint_file), *options]
        log = Path(folder, "log")
        with log.open("wb") as errors, subprocess.Popen(command, stderr=errors) as process:
            try:
                endpoint = _wait_for(endpoint_file, process, log)["endpoint"]
                yield Server(endpoint, processes.family(process.pid))
            finally:
                process.terminate()
                process.wait()


def _wait_for(path, process, log):
    while not path.exists():
        if process.poll() is not None:
            raise RuntimeError(f"the server did not start: {log.read_text()[-500:]}")
        time.sleep(0.01)
    return json.loads(path.read_text())


@contextmanager
def environment(**settings):
    """Set variables of the environment, for clients made meanwhile and processes started meanwhile."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def clients(server):
    """Yield a connected client for each transport that this machine has, TCP last."""
    with ExitStack() as stack:
        found = {}
        for transport, settings in SETTINGS.items():
            with environment(**settings):
                client = stack.enter_context(StorageClient(server.endpoint))
                client.list_buckets()
                if transport_of(client) == transport:
                    found[transport] = client
        yield found


def transport_of(client):
    """Return the transport that a client uses, as its server information says."""
    return UNIX if client.server_info().get("transport") == "unix" else TCP
