"""Fixtures of the engines' tests: engines, and functions that put and get through them."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from actorc.storage._wire.checksum import crc32c
from actorc.storage.models import ANY, WHOLE, ObjectAttributes
from actorc.storage.rules import MiB
from actorc.storage.server.engines.base import PartChoice
from actorc.storage.server.engines.local import FsOps, LocalEngine
from actorc.storage.server.engines.memory import MemoryEngine


class Clock:
    """A clock that the test sets."""

    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


class RoomyDisk(FsOps):
    """The real disk, never short of room, so that retention does not depend on the machine."""

    free = 0.5

    def free_fraction(self, path):
        assert 0.0 <= super().free_fraction(path) <= 1.0
        return self.free


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def disk():
    return RoomyDisk()


@pytest.fixture
def open_local(tmp_path, clock, disk):
    """Open a local engine under the test's directory; engines that are still open at the end are closed."""
    opened = []

    def open_it(name="data", *, fsops=disk, clock=clock, sweep_interval=None, **options):
        engine = LocalEngine(tmp_path / name, fsops=fsops, clock=clock, sweep_interval=sweep_interval, **options)
        opened.append(engine)
        return engine

    yield open_it
    for engine in opened:
        engine.close()


@pytest.fixture
def group(tmp_path, clock, disk):
    """Open an engine of the group that has the directory; all are closed at the end."""
    founder = LocalEngine(tmp_path / "data", clock=clock, fsops=disk, sweep_interval=None)
    founder.create_bucket("bucket")
    lock = founder.share()
    opened = []

    def member(*, fsops=disk, sweep_interval=None, **options):
        engine = LocalEngine(
            tmp_path / "data", clock=clock, fsops=fsops, sweep_interval=sweep_interval, group=os.dup(lock), **options
        )
        opened.append(engine)
        return engine

    member.lock = lock
    yield member
    for engine in opened:
        engine.close()
    os.close(lock)


@pytest.fixture
def pair(group):
    return group(), group()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A data directory with an empty bucket; to open a copy of it takes half as long as to make one."""
    directory = tmp_path_factory.mktemp("empty") / "data"
    with closing(LocalEngine(directory, clock=Clock(), sweep_interval=None)) as engine:
        engine.create_bucket("bucket")
    return directory


@pytest.fixture
def local(empty_store, open_local, tmp_path):
    shutil.copytree(empty_store, tmp_path / "data")
    return open_local()


@pytest.fixture
def open_remote(clock):
    """Open a remote engine over a store in memory, the same one each time; all are closed at the end."""
    pytest.importorskip("obstore", reason="remote engines need obstore, which is not installed")
    from actorc.storage.server.engines.remote import RemoteEngine
    from actorc.storage.server.engines.remote.store_url import StoreUrl

    address = StoreUrl.of(urlsplit("remote+memory://"))
    backend = address.connect()
    opened = []

    def open_it(*, backend=backend, clock=clock, sweep_interval=None, **options):
        engine = RemoteEngine(address, backend, clock=clock, sweep_interval=sweep_interval, **options)
        opened.append(engine)
        return engine

    yield open_it
    for engine in opened:
        engine.close()


@pytest.fixture(params=["memory", "local", "remote"])
def engine(request, clock):
    if request.param == "memory":
        engine = MemoryEngine(clock=clock)
    elif request.param == "remote":
        engine = request.getfixturevalue("open_remote")()
    else:
        engine = request.getfixturevalue("local")
    needed = {name for mark in request.node.iter_markers("needs") for name in mark.args}
    if lacking := needed - engine.capabilities:
        pytest.skip(f"the engine lacks {', '.join(sorted(lacking))}")
    engine.create_bucket("bucket", exist_ok=True)
    return engine


@pytest.fixture(scope="session")
def put():
    def put_it(engine, key, data=b"", *, condition=ANY, idempotency_key="", declared_size=None, **attributes):
        with engine.writer("bucket", key, declared_size=declared_size) as writer:
            for start in range(0, len(data), MiB):
                piece = data[start : start + MiB]
                writer.write(piece, crc32c(piece))
            return writer.commit(ObjectAttributes(**attributes), condition, idempotency_key=idempotency_key)

    return put_it


@pytest.fixture
def part():
    """Store one part; return its head."""

    def put_part(engine, upload_id, number, data=b"", *, key="key", idempotency_key="", declared_size=None):
        with engine.part_writer("bucket", key, upload_id, number, declared_size=declared_size) as writer:
            for start in range(0, len(data), MiB):
                piece = data[start : start + MiB]
                writer.write(piece, crc32c(piece))
            return writer.commit(idempotency_key=idempotency_key)

    return put_part


@pytest.fixture
def assemble(part):
    """Store an object of parts."""

    def assembled(engine, key, pieces, **attributes):
        upload_id = engine.create_upload("bucket", key, ObjectAttributes(**attributes))
        parts = [part(engine, upload_id, number, data, key=key) for number, data in enumerate(pieces, 1)]
        return engine.complete_upload("bucket", key, upload_id, [PartChoice(one.number, one.etag) for one in parts])

    return assembled


@pytest.fixture
def get():
    def get_it(engine, key, *, part=WHOLE, generation=None):
        with engine.read("bucket", key, generation=generation) as reader:
            return b"".join(chunk.data for chunk in reader.chunks(part))

    return get_it


@pytest.fixture
def files():
    """Return the names of the files below a directory."""

    def below(path):
        return sorted(found.name for found in path.rglob("*") if found.is_file())

    return below


@pytest.fixture
def problems():
    """Return what `fsck` finds, blobs in quarantine aside: a crash or a failed disk may leave some."""

    def found(engine):
        return [finding for finding in engine.maintenance.fsck() if finding.kind != "quarantined"]

    return found
