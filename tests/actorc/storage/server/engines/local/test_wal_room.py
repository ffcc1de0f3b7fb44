"""The log of the index has its room in advance, is overwritten again and again, and loses nothing in a power cut."""

from __future__ import annotations

import errno
import random
import shutil
import sqlite3
import threading
from contextlib import closing

import pytest

from actorc.storage.server.engines.local.index.changes.group_commit import GroupCommit
from actorc.storage.server.engines.local.index.wal import wal_room
from actorc.storage.server.engines.local.index.wal.wal_check import HEADER_SIZE
from actorc.storage.testing.faults.faulty_disk import FaultyDisk

ROOM = 256 * 1024
SECTOR = 512


@pytest.fixture(autouse=True)
def _small_room(monkeypatch):
    monkeypatch.setattr(wal_room, "SIZE", ROOM)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "data" / "meta" / "meta.db-wal"


def begun(log):
    """Return how many times SQLite began the log anew."""
    return int.from_bytes(log.read_bytes()[12:16], "big")


def test_puts_leave_the_log_as_large_as_it_was_opened(local, put, log):
    before = log.stat().st_size
    for number in range(4):
        put(local, f"key{number}", b"data")

    assert ROOM - 8192 < before <= ROOM
    assert log.stat().st_size == before


def test_a_clean_stop_gives_the_room_back(local, put, log):
    put(local, "key", b"data")
    local.close()

    assert not log.exists() or log.stat().st_size == 0


def test_a_log_grows_no_more_while_changes_go_on(local, put, log, monkeypatch):
    monkeypatch.setattr(GroupCommit, "checkpoint_rows", 30)
    put(local, "key", b"data")
    for number in range(200):
        put(local, f"key{number % 7}", b"data")

    assert begun(log) > 10
    assert log.stat().st_size <= ROOM


def test_a_reader_keeps_the_log_from_beginning_anew_and_nobody_from_writing(local, put, log, problems):
    put(local, "key", b"data")
    reader = local._index._readers.lend()
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM object").fetchone()
    put(local, "key", b"more data")
    before = begun(log)

    local._index.checkpoint()
    put(local, "key", b"data")
    held = begun(log)
    reader.execute("COMMIT")
    local._index._readers.take_back(reader)
    local._index.checkpoint()
    put(local, "key", b"data")

    assert (held, begun(log)) == (before, before + 1)
    assert problems(local) == []


def test_no_process_can_write_during_a_checkpoint_of_another(open_local, disk, put, log, monkeypatch):
    """SQLite before 3.51.3 may else lose what a log has that begins anew at that moment."""
    monkeypatch.setattr(GroupCommit, "checkpoint_rows", 30)

    class Watched(type(disk)):
        refused = ()

        def checkpoint(self, connection, mode):
            if mode == "PASSIVE":
                with closing(sqlite3.connect(log.with_name("meta.db"), timeout=0)) as other:
                    try:
                        other.execute("BEGIN IMMEDIATE")
                    except sqlite3.OperationalError as error:
                        self.refused = (*self.refused, str(error))
                    else:
                        self.refused = (*self.refused, "")
            super().checkpoint(connection, mode)

    watched = Watched()
    engine = open_local(fsops=watched)
    engine.create_bucket("bucket")
    for number in range(50):
        put(engine, f"key{number}", b"data")
    engine._index.checkpoint()

    assert len(watched.refused) > 2
    assert set(watched.refused) == {"database is locked"}


def test_changes_wait_for_the_end_of_a_checkpoint_and_then_go_on(local, put, get, monkeypatch):
    monkeypatch.setattr(GroupCommit, "checkpoint_rows", 10)
    done = threading.Semaphore(0)

    def checkpoint_after_each():
        for _ in range(3 * 40):
            assert done.acquire(timeout=60)
            local._index.checkpoint()

    def put_some(name):
        for number in range(40):
            put(local, f"{name}{number}", b"data")
            done.release()

    threads = [threading.Thread(target=checkpoint_after_each)]
    threads += [threading.Thread(target=put_some, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert all(get(local, f"{name}{number}") == b"data" for name in "abc" for number in range(40))


def test_a_killed_server_leaves_room_that_the_next_start_takes_for_no_damage(
    open_local, local, put, get, log, tmp_path, caplog
):
    shutil.copytree(tmp_path / "data", tmp_path / "unused")
    put(local, "key", b"data")
    shutil.copytree(tmp_path / "data", tmp_path / "killed")

    survivor = open_local("killed")

    assert get(survivor, "key") == b"data"
    assert survivor.maintenance.fsck() == []
    assert open_local("unused").maintenance.fsck() == []
    assert "damaged" not in caplog.text


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_refuses_the_room_serves_without_it(open_local, disk, put, get, log, error):
    class Refusing(type(disk)):
        def write(self, descriptor, data, offset):
            if len(data) > ROOM // 2:
                raise OSError(error, "refused")
            super().write(descriptor, data, offset)

    engine = open_local(fsops=Refusing())
    engine.create_bucket("bucket")
    put(engine, "key", b"data")

    assert get(engine, "key") == b"data"
    assert log.stat().st_size < ROOM // 2


def test_a_full_disk_is_left_what_it_has(open_local, local, log):
    local.close()
    full = FaultyDisk()
    full.is_full = True
    open_local(fsops=full)

    assert log.stat().st_size < ROOM


@pytest.mark.parametrize("seed", range(6))
def test_a_power_cut_within_a_commit_loses_nothing_that_was_acknowledged(
    open_local, disk, put, get, log, tmp_path, seed, monkeypatch
):
    """The last commit may be there in part, sector by sector, in room that was new or has been used before."""
    monkeypatch.setattr(GroupCommit, "checkpoint_rows", 60)

    class Recording(type(disk)):
        before = after = b""

        def commit(self, connection):
            self.before = self.content()
            super().commit(connection)
            self.after = self.content()

        def content(self):
            return log.read_bytes() if log.exists() else b""

        def checkpoint(self, connection, mode):
            super().checkpoint(connection, mode)
            # the database changed as well, so this is no state between two commits
            self.before = self.after

    recording = Recording()
    engine = open_local(fsops=recording)
    engine.create_bucket("bucket")
    chance = random.Random(seed)
    number = 0
    for _ in range(4):
        for _ in range(chance.randrange(1, 12)):
            number += 1
            put(engine, f"key{number}", bytes([number]) * chance.choice([10, 5000]))
        before, after = recording.before, recording.after
        left = bytearray(before.ljust(len(after), b"\0"))
        # SQLite syncs the header of a log that begins anew before it writes a frame
        left[:HEADER_SIZE] = after[:HEADER_SIZE]
        for at in range(0, len(after), SECTOR):
            if chance.random() < 0.5:
                left[at : at + SECTOR] = after[at : at + SECTOR]
        copy = tmp_path / f"cut{number}"
        shutil.copytree(tmp_path / "data", copy, ignore=shutil.ignore_patterns("*-shm", "open.lock"))
        (copy / "meta" / "meta.db-wal").write_bytes(left)

        survivor = open_local(copy.name)

        keys = {f"key{each}" for each in range(1, number)}
        assert all(len(set(get(survivor, key))) == 1 for key in keys)
        assert [found for found in survivor.maintenance.fsck() if found.kind != "dropped"] == []
        survivor.close()
