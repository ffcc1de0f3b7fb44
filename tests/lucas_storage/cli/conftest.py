"""Fixtures of command-line tests: the program in a process and a folder of its own, without outside settings."""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import tempfile
import textwrap
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner

from actorc.controller.client.address import start_when_needed
from actorc.storage.testing import local_server
from lucas_storage import Storage, storage_context
from lucas_storage.cli.program import program
from lucas_storage.local_service.service import DEFAULT_DATA, LocalService

MODULE = (sys.executable, "-m", "lucas_storage.cli")


class Program:
    """Starts ``lucas-storage`` in a folder; processes that still run at the end are killed."""

    def __init__(self, folder, stack):
        self.folder = folder
        self._stack = stack
        self._environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}

    def start(self, *arguments, env=(), program=MODULE, **options):
        command = [*program, *(each if isinstance(each, bytes) else str(each) for each in arguments)]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(
            command, cwd=self.folder, env={**self._environment, **dict(env)}, text=True, **{**pipes, **options}
        )
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        return process

    def run(self, *arguments, **options):
        process = self.start(*arguments, **options)
        stdout, stderr = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def script(self, code, name="script.py"):
        path = self.folder / name
        path.write_text(textwrap.dedent(code))
        return path


@pytest.fixture(autouse=True)
def _process_as_before():
    """A command that runs in this process sets up its log, and what starts a controller when one is needed."""
    root = logging.getLogger()
    level, handlers, finders = root.level, list(root.handlers), list(sys.meta_path)
    yield
    root.setLevel(level)
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
    sys.meta_path[:] = finders
    start_when_needed(None)


@pytest.fixture
def lucas_storage(tmp_path):
    with ExitStack() as stack:
        yield Program(tmp_path, stack)


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """A directory with a storage server that everything below it finds."""
    folder = tmp_path_factory.mktemp("served")
    with LocalService(folder / DEFAULT_DATA):
        yield folder


@pytest.fixture
def beside_server(served):
    """The program in a fresh folder below that directory, where ``run`` joins the server instead of starting one."""
    with ExitStack() as stack:
        yield Program(Path(tempfile.mkdtemp(dir=served)), stack)


@pytest.fixture
def wait_for_the_end():
    """Wait until the server of a data directory has ended, which releases its lock."""

    def wait(data):
        with (data / ".server.lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)

    return wait


@pytest.fixture(scope="module")
def server():
    """One for the tests of a module; `client` leaves it empty."""
    with local_server(auto_create_buckets=False) as running:
        yield running


@pytest.fixture
def client(server):
    with server.client() as open_client:
        open_client.create_bucket("my-bucket")
        yield open_client
        for bucket in open_client.list_buckets():
            open_client.delete_bucket(bucket["name"], force=True)


@pytest.fixture
def storage(client, tmp_path, monkeypatch, empty_registry):
    """A handle of the bucket of `client`, in which the runs of this test are recorded, and which commands read."""
    monkeypatch.setenv("LUCAS_STORAGE_BUCKET", "my-bucket")
    monkeypatch.setenv("LUCAS_STORAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LUCAS_STORAGE_SIGNING_KEY", "a signing key for tests alone")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with storage_context(endpoint=client.endpoint), Storage() as handle:
        yield handle


@pytest.fixture
def invoke(client, tmp_path, monkeypatch):
    """Run a command in this process, against a server with one empty bucket."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORAGE_ENDPOINT", client.endpoint)

    def run(*arguments, **options):
        return CliRunner().invoke(program, [str(each) for each in arguments], prog_name="lucas-storage", **options)

    return run


@pytest.fixture
def run_script(invoke, tmp_path):
    """Run a script in this process, where a server is named; whatever `run` changes is afterwards as it was."""

    def run(code, *arguments):
        (tmp_path / "script.py").write_text(textwrap.dedent(code))
        return invoke("run", "script.py", *arguments)

    main, state = sys.modules["__main__"], [(each, each.copy()) for each in (os.environ, sys.argv, sys.path)]
    yield run
    sys.modules["__main__"] = main
    for each, before in state:
        each.clear()
        (each.update if each is os.environ else each.extend)(before)
