"""A disk that is full, fails to sync, or returns other bytes than were written."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import IntegrityError, ResourceExhaustedError, StorageError
from actorc.storage.models import ByteRange, ObjectAttributes, SmallObject
from actorc.storage.rules import KiB, MiB
from actorc.storage.server.engines.base import CopySource, PartChoice
from actorc.storage.server.engines.local import LocalEngine
from actorc.storage.server.engines.local.index import startup
from actorc.storage.server.engines.local.index.row_checksums import register

WRITES = (
    "create",
    "allocate",
    "write",
    "truncate",
    "sync",
    "sync_directory",
    "make_directory",
    "rename",
    "commit",
)
SYNCS = ("sync", "sync_directory", "commit")
BIG = MiB + 10


@pytest.fixture
def faulty(disk):
    """The real disk, with an error at one call of some kinds."""

    class Faulty(type(disk)):
        def __init__(self):
            self.left = 0
            self.kinds = ()
            self.number = 0
            self.failed = ""

        def fail(self, call, kinds, number):
            self.left, self.kinds, self.number, self.failed = call, kinds, number, ""

        def __getattribute__(self, name):
            if name in WRITES and name in self.kinds:
                self.left -= 1
                if self.left == 0:
                    self.failed = name
                    raise OSError(self.number, os.strerror(self.number))
            return super().__getattribute__(name)

    return Faulty()


BEFORE = b"before" * 10_000
NOW = 1_700_000_000.0


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, put):
    """A data directory with an object, and with an upload that has a part."""
    directory = tmp_path_factory.mktemp("prepared") / "data"
    with closing(LocalEngine(directory, clock=lambda: NOW, sweep_interval=None)) as engine:
        engine.create_bucket("bucket")
        put(engine, "key", BEFORE)
        begin(engine)
        add_part(engine, put)
    return directory


@pytest.fixture
def open_prepared(prepared, open_local, tmp_path, faulty):
    """Open a copy of the directory, on a disk that may fail."""

    def opened(name="data"):
        shutil.copytree(prepared, tmp_path / name)
        return open_local(name, fsops=faulty)

    return opened


@pytest.fixture
def engine(open_prepared):
    return open_prepared()


def begin(engine):
    return engine.create_upload("bucket", "key", ObjectAttributes(), idempotency_key="begin")


def add_part(engine, _put):
    with engine.part_writer("bucket", "key", begin(engine), 1) as writer:
        for data in (bytes(MiB), bytes(BIG - MiB)):
            writer.write(data, crc32c(data))
        writer.commit()


def small(key, data):
    return SmallObject(key, data, crc32c(data))


def complete(engine, _put):
    choices = [PartChoice(one.number, one.etag) for one in engine.list_parts("bucket", "key", begin(engine))]
    engine.complete_upload("bucket", "key", begin(engine), choices)


def import_file(engine, _put):
    with TemporaryFile() as file, engine.writer("bucket", "key") as writer:
        file.truncate(BIG)
        writer.import_file(file.fileno(), 0, BIG)
        writer.commit(ObjectAttributes())


CHANGES = {
    "inline": lambda engine, put: put(engine, "key", b"after"),
    "large": lambda engine, put: put(engine, "key", bytes(BIG)),
    "declared": lambda engine, put: put(engine, "key", bytes(BIG), declared_size=BIG),
    "declared too large": lambda engine, put: put(engine, "key", bytes(BIG), declared_size=2 * BIG),
    "import": import_file,
    "delete": lambda engine, _put: engine.delete("bucket", "key"),
    "bucket": lambda engine, _put: engine.create_bucket("other-bucket"),
    "batch put": lambda engine, _put: engine.put_many("bucket", [small("key", b"after"), small("other", b"1")]),
    "batch delete": lambda engine, _put: engine.delete_many("bucket", ["key", "missing"]),
    "copy": lambda engine, _put: engine.copy(CopySource(bucket="bucket", key="key"), "bucket", "copy"),
    "upload": lambda engine, _put: engine.create_upload("bucket", "other", ObjectAttributes()),
    "part": add_part,
    "complete": complete,
    "abort": lambda engine, _put: engine.abort_upload("bucket", "key", begin(engine)),
}
EXPECTED = {
    "inline": b"after",
    "batch put": b"after",
    "large": bytes(BIG),
    "declared": bytes(BIG),
    "declared too large": bytes(BIG),
    "import": bytes(BIG),
    "copy": BEFORE,
    "part": BEFORE,
    "complete": bytes(BIG),
}


def error_of(call, *args):
    try:
        call(*args)
    except StorageError as error:
        return error
    return None


@pytest.mark.few(8)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_at_any_call_is_told_and_leaves_nothing(engine, faulty, put, get, files, tmp_path, change, number):
    call = 0
    while True:
        call += 1
        faulty.fail(call, WRITES, number)
        error = error_of(CHANGES[change], engine, put)
        if error is None:
            break
        assert (type(error), error.retryable) == (ResourceExhaustedError, True)
        assert faulty.failed
        assert files(tmp_path / "data" / "staging") == []
        assert engine.healthy
        assert get(engine, "key") == BEFORE

    assert call > 1
    faulty.fail(0, (), 0)
    if change in EXPECTED:
        assert EXPECTED[change] == get(engine, "key")
    engine.sweep()
    assert engine.maintenance.fsck() == []


@pytest.mark.few(4)
@pytest.mark.parametrize("change", CHANGES)
def test_a_failed_sync_fails_the_call_and_is_never_repeated(
    open_prepared, open_local, disk, faulty, put, get, problems, change
):
    call, failed = 0, "any"
    while failed:
        call += 1
        engine = open_prepared(f"data{call}")
        faulty.fail(call, SYNCS, errno.EIO)
        error = error_of(CHANGES[change], engine, put)
        failed = faulty.failed
        assert bool(failed) == (error is not None)
        if error:
            assert not error.retryable
            assert get(engine, "key") == BEFORE
        assert engine.healthy == (failed in {"", "sync"})
        for again in CHANGES.values() if not engine.healthy else ():
            with pytest.raises(StorageError, match="read-only"):
                again(engine, put)
        faulty.fail(0, (), 0)
        engine.close()
        reopened = open_local(f"data{call}", fsops=disk)
        assert put(reopened, "key", b"now") == reopened.head("bucket", "key")
        reopened.sweep()
        assert problems(reopened) == []
        reopened.close()

    assert call > 1


def test_an_index_that_cannot_grow_refuses_and_goes_on(local, put, get):
    connection = local._index._idempotency.commits._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    put(local, "small", b"1")

    with pytest.raises(ResourceExhaustedError):
        put(local, "key", bytes(16 * KiB))

    connection.execute("PRAGMA max_page_count = 1000000")
    assert local.healthy
    assert get(local, "small") == b"1"
    put(local, "key", bytes(16 * KiB))
    assert local.maintenance.fsck() == []


def test_a_file_system_that_cannot_reserve_is_written_to_all_the_same(engine, faulty, put, get):
    faulty.fail(1, ("allocate",), errno.EOPNOTSUPP)

    put(engine, "key", bytes(BIG), declared_size=BIG)

    assert bytes(BIG) == get(engine, "key")


def test_a_leftover_that_cannot_be_removed_does_not_hide_the_error(open_local, disk, tmp_path, files, put):
    class Stubborn(type(disk)):
        stubborn = False

        def sync(self, descriptor):
            if self.stubborn:
                raise OSError(errno.ENOSPC, "full")
            super().sync(descriptor)

        def unlink(self, path):
            if self.stubborn:
                raise OSError(errno.EIO, "broken")
            super().unlink(path)

    stubborn = Stubborn()
    engine = open_local(fsops=stubborn)
    engine.create_bucket("bucket")
    stubborn.stubborn = True

    with pytest.raises(ResourceExhaustedError):
        put(engine, "key", bytes(BIG))

    stubborn.stubborn = False
    assert len(files(tmp_path / "data" / "staging")) == 1
    engine.close()
    assert open_local().maintenance.fsck() == []


def blob(tmp_path):
    (found,) = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
    found.chmod(0o600)
    return found


def flip(path, position):
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)
        file.seek(position)
        file.write(bytes((byte[0] ^ 0x10,)))


@pytest.mark.parametrize("position", [0, MiB - 1, MiB, 2 * MiB + 9])
def test_a_flipped_bit_is_an_error_and_no_wrong_byte_comes_out(local, put, get, tmp_path, position):
    data = os.urandom(2 * MiB + 10)
    put(local, "key", data)
    flip(blob(tmp_path), position)
    seen = b""

    def read_all():
        nonlocal seen
        with local.read("bucket", "key") as reader:
            for chunk in reader.chunks():
                assert crc32c(chunk.data) == chunk.crc32c
                seen += chunk.data

    error = error_of(read_all)

    assert (type(error), error.bucket, error.key) == (IntegrityError, "bucket", "key")
    assert data[: position // MiB * MiB] == seen
    with pytest.raises(IntegrityError):
        get(local, "key", part=ByteRange(position, 1))
    assert [(finding.kind, finding.subject) for finding in local.maintenance.fsck()] == [("damaged", "key")]


def test_a_file_cut_short_is_an_error(local, put, get, tmp_path):
    put(local, "key", bytes(2 * MiB))
    os.truncate(blob(tmp_path), MiB + 5)

    assert bytes(MiB) == get(local, "key", part=ByteRange(0, MiB))
    with pytest.raises(IntegrityError):
        get(local, "key")
    assert [finding.kind for finding in local.maintenance.fsck()] == ["damaged"]


@pytest.mark.parametrize("size", [MiB + 5, MiB, 0])
def test_a_block_that_is_too_short_is_an_error_also_for_who_verifies_it(local, put, tmp_path, size):
    put(local, "key", bytes(2 * MiB))
    os.truncate(blob(tmp_path), size)

    with local.read("bucket", "key") as reader:
        chunks = reader.recorded_chunks()
        assert [len(next(chunks).data) for _ in range(size // MiB)] == [MiB] * (size // MiB)
        with pytest.raises(IntegrityError):
            next(chunks)


def test_a_part_of_a_block_is_verified_also_for_who_verifies_blocks(local, put, tmp_path):
    data = bytes(range(256)) * (2 * MiB // 256)
    put(local, "key", data)
    flip(blob(tmp_path), 5)

    with local.read("bucket", "key") as reader:
        (wrong,) = reader.recorded_chunks(ByteRange(0, MiB))
        assert (len(wrong.data), crc32c(wrong.data) == wrong.crc32c) == (MiB, False)
        with pytest.raises(IntegrityError):
            list(reader.recorded_chunks(ByteRange(0, MiB - 1)))


def test_a_lost_file_is_an_error_and_not_a_missing_object(local, put, get, tmp_path):
    info = put(local, "key", bytes(BIG))
    blob(tmp_path).unlink()

    with pytest.raises(IntegrityError):
        get(local, "key")

    assert info == local.head("bucket", "key")
    assert [finding.kind for finding in local.maintenance.fsck()] == ["damaged"]


@pytest.mark.parametrize("damaged", [b"othxr", b"othe", b""])
def test_damaged_inline_bytes_are_an_error(local, put, get, tmp_path, damaged):
    put(local, "key", b"other")
    with sqlite3.connect(tmp_path / "data" / "meta" / "meta.db") as connection:
        register(connection)
        connection.execute("UPDATE content SET data = ?", (damaged,))
    connection.close()

    with pytest.raises(IntegrityError):
        get(local, "key")
    with pytest.raises(IntegrityError):
        get(local, "key", part=ByteRange(1, 2))

    assert [finding.kind for finding in local.maintenance.fsck()] == ["damaged"]


def test_a_block_that_reads_well_the_second_time_is_handed_out(open_local, disk, put, get):
    class Flaky(type(disk)):
        def __init__(self):
            self.reads = 0

        def read(self, descriptor, length, offset):
            self.reads += 1
            data = super().read(descriptor, length, offset)
            return bytes(length) if self.reads % 2 else data

    flaky = Flaky()
    engine = open_local(fsops=flaky)
    engine.create_bucket("bucket")
    data = os.urandom(2 * MiB)
    put(engine, "key", data)

    assert data == get(engine, "key")
    assert flaky.reads == 4


def test_the_sweep_thread_outlives_a_failing_disk(open_local, disk, put, get, files, tmp_path, caplog):
    class Failing(type(disk)):
        failing = True

        def unlink(self, path):
            if self.failing and "blobs" in path.parts:
                self.failing = False
                raise OSError(errno.EIO, "broken")
            super().unlink(path)

    engine = open_local(fsops=Failing(), sweep_interval=0.001)
    engine.create_bucket("bucket")
    put(engine, "key", bytes(BIG))
    engine.delete("bucket", "key")

    while files(tmp_path / "data" / "blobs"):
        pass

    assert "sweeping failed" in caplog.text
    assert [finding for finding in engine.maintenance.fsck() if finding.kind != "leftover"] == []


@pytest.mark.parametrize(
    ("text", "left", "kind", "told"),
    [
        ("disk I/O error", 0, ResourceExhaustedError, "is full, so its index cannot be opened; free 64 KiB there"),
        ("disk I/O error", 1 << 20, IntegrityError, "is damaged, disk I/O error"),
        ("database disk image is malformed", 0, IntegrityError, "is damaged, database disk image is malformed"),
    ],
)
def test_an_index_on_a_full_disk_is_not_called_damaged(text, left, kind, told):
    found = startup.failure(sqlite3.OperationalError(text), Path("/data/meta/meta.db"), left=left)

    assert (type(found), told in found.message) == (kind, True), found.message
