"""Fixtures of the asynchronous client's tests: a server with a gate, and an event loop for each coroutine test."""

from __future__ import annotations

import asyncio
import inspect
import io
import logging
import queue
import threading

import pytest

from actorc.storage import AsyncStorageClient, ResourceExhaustedError, StorageClient
from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.testing import local_server

MiB = 1 << 20


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(autouse=True)
def _nothing_went_unheard(caplog):
    yield
    unheard = [record.getMessage() for record in caplog.records if record.name in {"asyncio", "concurrent.futures"}]

    assert unheard == []


class Gate(MemoryEngine):
    """An engine that does not answer before `opened`, and whose disk is full for whatever is longer than 3 MiB."""

    def __init__(self):
        super().__init__()
        self.reached = threading.Semaphore(0)
        self.opened = threading.Event()

    def head_bucket(self, bucket):
        if bucket == "behind-the-gate":
            self.reached.release()
            self.opened.wait(20)
        return super().head_bucket(bucket)

    def writer(self, bucket, key, *, declared_size=None):
        writer = super().writer(bucket, key, declared_size=declared_size)
        return Full(writer) if key.startswith("full") else writer


class Full:
    def __init__(self, writer):
        self._writer = writer

    def __getattr__(self, name):
        return getattr(self._writer, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._writer.abort()

    def write(self, data, crc32c):
        if self._writer.size >= 3 * MiB:
            raise ResourceExhaustedError("the disk is full; free some space")
        self._writer.write(data, crc32c)


class Lines(logging.Handler):
    """The access lines of the server, in order."""

    def __init__(self):
        super().__init__()
        self._lines = queue.SimpleQueue()

    def emit(self, record):
        self._lines.put(record.getMessage())

    def wait_for(self, start):
        while not (line := self._lines.get(timeout=20)).startswith(start):
            pass
        return line


@pytest.fixture(scope="module")
def engine():
    return Gate()


@pytest.fixture(scope="module")
def server(engine):
    with local_server(engine) as running:
        yield running
        engine.opened.set()


@pytest.fixture
def lines():
    handler, logger = Lines(), logging.getLogger("actorc.storage.server.access")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.fixture
def blocking(server):
    with StorageClient(server.endpoint) as it:
        yield it


@pytest.fixture
def client(server):
    it = AsyncStorageClient(server.endpoint)
    yield it
    asyncio.run(it.aclose())


@pytest.fixture
def pieces():
    async def iterate(*items):
        for item in items:
            yield item

    return iterate


class AsyncFile:
    """A file as aiofiles and others make them: both can be awaited, and iterated over by lines."""

    def __init__(self, content=b""):
        self.buffer = io.BytesIO(content)

    async def read(self, size=-1):
        return self.buffer.read(min(size, 1000))

    async def write(self, data):
        return self.buffer.write(data)

    def __aiter__(self):
        raise AssertionError("lines were asked for")


@pytest.fixture
def async_file():
    return AsyncFile
