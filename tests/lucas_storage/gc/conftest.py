"""A store whose server has a clock of the test's own."""

from __future__ import annotations

import time

import pytest

from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.testing import local_server
from lucas_storage import Storage, storage_context

DAY = 86_400.0


class Clock:
    """Tells the server the time; it begins in the past, so that what is stored is old for everybody else."""

    def __init__(self):
        self.now = time.time() - 90 * DAY

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(clock, tmp_path, empty_registry):
    given = {"cache_dir": tmp_path, "bucket": "bucket", "signing_key": "0123456789abcdef"}
    with (
        local_server(MemoryEngine(clock=clock)) as server,
        storage_context(endpoint=server.endpoint, **given),
        Storage() as storage,
    ):
        storage.create_bucket("bucket")
        yield storage
