"""Fixtures of the plugin's tests: the real service in this process, and a cache of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actorc.storage.testing import local_server
from lucas_storage.embedded import install, routeBuilder


@pytest.fixture(scope="session", autouse=True)
def _lucas_is_the_embedded_engine():
    install()


@pytest.fixture
def empty_registry(monkeypatch):
    """The functions and workflows of this test alone, whatever modules and other tests have registered."""
    monkeypatch.setattr(routeBuilder, "funcs", [])
    monkeypatch.setattr(routeBuilder, "works", [])


@pytest.fixture(scope="session")
def storage_server():
    """The server of the fixture `storage`; in memory, since what it stores is tested elsewhere."""
    with local_server() as running:
        yield running


@pytest.fixture
def settings(storage):
    """The settings in force: a server, an empty cache, a bucket of its own, and a key to sign pickles with."""
    return {
        "endpoint": os.environ["STORAGE_ENDPOINT"],
        "cache_dir": Path(os.environ["LUCAS_STORAGE_CACHE"]),
        "bucket": storage.bucket,
        "signing_key": os.environ["LUCAS_STORAGE_SIGNING_KEY"],
    }


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of 4 KiB, and files that are fetched whole up to four of them, so that small data counts as large."""
    for module in ("artifacts.part_transfer", "values.storing.store_value"):
        monkeypatch.setattr(f"lucas_storage.{module}.PART", 4096)
    monkeypatch.setattr("lucas_storage.artifacts.reader.WHOLE_MAX", 4 * 4096)
