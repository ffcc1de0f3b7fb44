"""A server in this process, and file systems over it."""

from __future__ import annotations

import logging
import threading

import pytest

from actorc.storage.testing import local_server

ACCESS = "actorc.storage.server.access"
MARK = "GetServerInfo"
PATIENCE = 30
"""Seconds until a call that is counted must have ended."""


class Calls(logging.Handler):
    """The methods that the server in this process was asked for, by its access lines.

    Args:
        fs: The file system that asks, one call after the other.
    """

    def __init__(self, fs):
        super().__init__(logging.INFO)
        self._fs = fs
        self._methods = []
        self._ended = threading.Condition()

    def emit(self, record):
        with self._ended:
            self._methods.append(record.getMessage().split()[0])
            self._ended.notify_all()

    def clear(self):
        """Forget the calls until now."""
        self.made(0)

    def made(self, least=1, method=None):
        """Return the calls since the last time, of which there are so many at least, or so many of one method."""
        # A line follows its answer, and comes before that of the next call of the same connection; those of another
        # connection may come later.
        self._fs.client.server_info()
        with self._ended:
            self._ended.wait_for(lambda: self._has(least, method) and MARK in self._methods, PATIENCE)
            found, self._methods = self._methods, []
        return sorted(method for method in found if method != MARK)

    def _has(self, least, method):
        return len(self._methods) > least if method is None else self._methods.count(method) >= least

    def are(self, *expected):
        """Check that these calls were made since the last time, in any order, and no others."""
        assert self.made(len(expected)) == sorted(expected)
        return True


@pytest.fixture
def calls(fs):
    logger, handler = logging.getLogger(ACCESS), Calls(fs)
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    handler.clear()
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
