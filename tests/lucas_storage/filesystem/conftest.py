"""A server in this process, and file systems over it."""

from __future__ import annotations

import logging
import threading

import pytest

from actorc.storage.testing import local_server

ACCESS = "actorc.storage.server.access"
PATIENCE = 30
"""Seconds until a call that is counted must have ended."""


class Calls(logging.Handler):
    """The methods that the server in this process was asked for, in order of their end."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.methods = []
        self._ended = threading.Condition()

    def emit(self, record):
        with self._ended:
            self.methods.append(record.getMessage().split()[0].rpartition("/")[2])
            self._ended.notify_all()

    def clear(self):
        self.methods.clear()

    def are(self, *expected):
        """Return whether these methods, and no others, were called since; the line of a call may follow its answer."""
        with self._ended:
            self._ended.wait_for(lambda: len(self.methods) >= len(expected), PATIENCE)
            found, self.methods = self.methods, []
        assert sorted(found) == sorted(expected)
        return True


@pytest.fixture
def calls():
    logger, handler = logging.getLogger(ACCESS), Calls()
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.fixture(scope="session")
def endpoint():
    with local_server(http=True) as server:
        yield server.endpoint


@pytest.fixture(scope="session")
def fsspec():
    return pytest.importorskip("fsspec", reason="the file system is for fsspec, which is not installed")


@pytest.fixture
def fs(endpoint, fsspec):
    """A file system with an empty bucket of the name ``bucket``, over the Unix socket of the server."""
    made = fsspec.filesystem("lucas", endpoint=endpoint)
    if made.exists("bucket"):
        made.rm("bucket", recursive=True)
    made.mkdir("bucket")
    return made


@pytest.fixture(params=["unix", "grpc"])
def transported(endpoint, request, fsspec):
    """A file system over each transport."""
    made = fsspec.filesystem("lucas", endpoint=endpoint, local=request.param == "unix")
    assert made.client.server_info()["transport"] == request.param
    return made
