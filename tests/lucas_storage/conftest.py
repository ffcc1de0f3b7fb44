"""Fixtures of the plugin's tests: the real service in this process, and a cache of their own."""

from __future__ import annotations

import uuid

import pytest

from actorc.storage.testing import local_server
from lucas_storage import Storage, storage_context
from lucas_storage.embedded import install

SIGNING_KEY = "a signing key for tests alone"


@pytest.fixture(scope="session", autouse=True)
def _lucas_is_the_embedded_engine():
    install()


@pytest.fixture(scope="session")
def server():
    with local_server() as running:
        yield running


@pytest.fixture
def settings(server, tmp_path):
    """Settings in force: the server, an empty cache, a bucket of its own, and a key to sign pickles with."""
    given = {
        "endpoint": server.endpoint,
        "cache_dir": tmp_path / "cache",
        "bucket": f"b-{uuid.uuid4().hex}",
        "signing_key": SIGNING_KEY,
    }
    with storage_context(**given):
        yield given


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of 4 KiB, and files that are fetched whole up to four of them, so that small data counts as large."""
    for module in ("artifacts.part_transfer", "values.storing.store_value"):
        monkeypatch.setattr(f"lucas_storage.{module}.PART", 4096)
    monkeypatch.setattr("lucas_storage.artifacts.reader.WHOLE_MAX", 4 * 4096)


@pytest.fixture
def storage(settings):
    with Storage() as handle:
        yield handle
