"""Fixtures of deployment tests: servers, workers and a Redis in processes of their own, configured as by a platform."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SIGNING_KEY = "a signing key for tests alone"
STARTED = 90
"""Seconds until a process must have said that it is ready; a machine may be busy."""


class Process:
    """A process whose output is read by a thread all the time, so that it never blocks on a full pipe."""

    def __init__(self, command, **options):
        self.popen = subprocess.Popen(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", **options
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def said(self):
        with self._changed:
            return "".join(self._lines)

    def until(self, text):
        """Wait until it has said `text`."""
        with self._changed:
            self._changed.wait_for(lambda: text in "".join(self._lines) or self._is_over, timeout=STARTED)
        assert text in self.said, self.said

    def end(self):
        self.popen.kill()
        self.popen.wait()
        self._reader.join()
        self.popen.stdout.close()

    _is_over = False

    def _read(self):
        for line in self.popen.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._is_over = True
            self._changed.notify_all()


@dataclass
class Platform:
    """Starts processes in a folder, without the settings of this one, and ends them."""

    folder: Path
    stack: ExitStack

    def start(self, *command, **variables):
        process = Process([str(part) for part in command], cwd=self.folder, env={**self._environment(), **variables})
        self.stack.callback(process.end)
        return process

    def _environment(self):
        # each container has a cache of its own, so that what it reads comes from the server
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**os.environ, "PATH": path, "XDG_CACHE_HOME": tempfile.mkdtemp(dir=self.folder)}

    def run(self, *command, **variables):
        return subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env={**self._environment(), **variables},
            capture_output=True,
            text=True,
            timeout=STARTED,
            check=False,
        )

    @staticmethod
    def free_port():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return listener.getsockname()[1]

    def lucas_storage(self, *arguments):
        done = self.run("lucas-storage", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@dataclass
class Keys:
    """A pair of keys, as environment variables of its user."""

    access: str
    secret: str = field(repr=False)

    @property
    def variables(self):
        return {"STORAGE_ACCESS_KEY": self.access, "STORAGE_SECRET_KEY": self.secret}


@pytest.fixture(scope="module")
def platform(tmp_path_factory) -> Iterator[Platform]:
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("platform")
        yield Platform(folder, stack)


@dataclass
class Store:
    """A server with keys: one that may do all that steps do, and one that may only read."""

    endpoint: str
    steps: Keys
    reader: Keys

    @property
    def variables(self):
        """The environment of a worker."""
        return {
            "STORAGE_ENDPOINT": self.endpoint,
            **self.steps.variables,
            "LUCAS_STORAGE_SIGNING_KEY": SIGNING_KEY,
        }


@pytest.fixture(scope="module")
def store(platform) -> Store:
    """A server as `docs/deploying.md` has it, with its keys in a file of their own."""

    def keys(*allowed):
        made = platform.lucas_storage("keys", "add", "--keys", "keys.json", "--json", *allowed)
        record = json.loads(made)
        return Keys(record["access_key"], record["secret_key"])

    steps, reader = keys("--allow", "read,list,write,delete:lucas-artifacts"), keys("--allow", "read:lucas-artifacts")
    file = platform.folder / "address.json"
    server = platform.start(
        *("lucas-storage", "serve", "--data", "store", "--keys", "keys.json", "--auto-create-buckets"),
        *("--listen", "127.0.0.1:0", "--http", "off", "--endpoint-file", file),
    )
    server.until("serving")
    endpoint = json.loads(file.read_text())["endpoint"]
    return Store(endpoint, steps, reader)


@pytest.fixture(scope="module")
def redis_port(platform) -> int:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no redis-server, which the knative platform keeps its values in")
    port = platform.free_port()
    server = platform.start(program, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no")
    server.until("Ready to accept connections")
    return port
