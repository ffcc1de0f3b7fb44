"""Fixtures of the tests of backups: an engine with content of every kind, its backups, and what is restored of them."""

from __future__ import annotations

import os

import pytest

from actorc.storage.models import ListQuery
from actorc.storage.rules import MiB
from actorc.storage.server.engines.base import CopySource
from actorc.storage.server.engines.local import restore


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "backups"


@pytest.fixture
def filled(local, put, assemble):
    """An engine with content of every kind."""
    put(local, "small", b"data", metadata={"colour": "grün"}, content_type="text/plain", ttl=3600)
    put(local, "large", os.urandom(MiB + 100_000))
    put(local, "empty")
    assemble(local, "joined", [b"p" * 20_000, b"q" * 70_000, b"r" * 30])
    local.copy(CopySource(bucket="bucket", key="large"), "bucket", "copy")
    local.create_bucket("another")
    return local


@pytest.fixture
def restored(tmp_path, open_local):
    """Restore a snapshot, and return an engine over the result, which is without any finding."""

    def make(target, name="restored", **options):
        assert restore(target, tmp_path / name, **options).findings == []
        engine = open_local(name)
        assert engine.maintenance.fsck() == []
        return engine

    return make


@pytest.fixture
def contents(get):
    """Return everything that users can see of the objects of an engine."""

    def all_of(engine):
        objects = engine.page(ListQuery(bucket="bucket", limit=1000)).objects
        return {info.key: (info, get(engine, info.key)) for info in objects}

    return all_of


@pytest.fixture(scope="session")
def blobs():
    """Return the paths of the blobs in a data directory or a directory of backups."""
    return lambda directory: sorted(path for path in (directory / "blobs").rglob("*") if path.is_file())


@pytest.fixture(scope="session")
def damage():
    """Flip a bit in a file."""

    def flip(path):
        path.chmod(0o600)
        with path.open("r+b") as file:
            first = file.read(1)
            file.seek(0)
            file.write(bytes([first[0] ^ 1]))

    return flip
