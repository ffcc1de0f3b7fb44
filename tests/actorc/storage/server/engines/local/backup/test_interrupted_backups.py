"""Backups and restores that are interrupted, killed, or find the disk full."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from contextlib import closing

import pytest

from actorc.storage.errors import (
    AlreadyExistsError,
    ResourceExhaustedError,
    StorageError,
)
from actorc.storage.server.engines.local import FsOps, LocalEngine, back_up, check, restore, snapshots


def test_an_interrupted_backup_leaves_the_earlier_one_and_goes_on_where_it_was(
    filled, data, target, put, get, restored
):
    earlier = back_up(data, target).manifest.snapshot
    for number in range(40):
        put(filled, f"{number:02}", os.urandom(17_000))

    def interrupt(done, total):
        if done > total - 20 * 17_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(data, target, on_progress=interrupt)

    assert [each.snapshot for each in snapshots(target)] == [earlier]
    assert check(target).findings == []
    assert 0 < back_up(data, target).copied.blobs < 40
    assert get(restored(target), "39") == get(filled, "39")


KILLED = """
import os, sys
from pathlib import Path
from actorc.storage.server.engines.local import FsOps, back_up

class Killing(FsOps):
    left = int(sys.argv[3])

    def __getattribute__(self, name):
        if name in ("create", "write", "sync", "sync_directory", "make_directory", "rename", "commit", "unlink"):
            Killing.left -= 1
            if Killing.left < 0:
                os._exit(9)
        return super().__getattribute__(name)

back_up(Path(sys.argv[1]), Path(sys.argv[2]), keep=1, fsops=Killing())
"""


@pytest.mark.slow
def test_a_backup_that_is_killed_at_any_moment_leaves_a_whole_snapshot(
    filled, data, target, put, restored, contents, thorough
):
    back_up(data, target)
    put(filled, "new", os.urandom(100_000))
    put(filled, "large", os.urandom(100_000))
    filled.delete("bucket", "joined")
    codes = []
    for call in range(0, 1000, 1 if thorough else 5):
        copy = target.with_name(f"copy-{call}")
        shutil.copytree(target, copy)
        codes.append(subprocess.run([sys.executable, "-c", KILLED, data, copy, str(call)], check=False).returncode)
        assert check(copy).findings == []
        assert back_up(data, copy, keep=1).manifest is not None
        assert contents(restored(copy, f"restored-{call}")) == contents(filled)
        if codes[-1] == 0:
            break

    assert codes == [9] * (len(codes) - 1) + [0]
    assert len(codes) > 3


class Broken(FsOps):
    """A disk on which the n-th call that changes it fails, and all after that."""

    changes = ("create", "write", "sync", "sync_directory", "make_directory", "rename", "commit")

    def __init__(self, left):
        self.left = left

    def __getattribute__(self, name):
        if name in Broken.changes:
            self.left -= 1
            if self.left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().__getattribute__(name)


def test_a_full_disk_at_any_moment_leaves_the_earlier_snapshot_whole(filled, data, target, put, restored, contents):
    first = contents(filled)
    earlier = back_up(data, target).manifest.snapshot
    put(filled, "new", os.urandom(100_000))
    put(filled, "large", os.urandom(100_000))
    failures, messages = 0, set()
    for call in range(1000):
        disk = Broken(call)
        try:
            back_up(data, target, keep=1, fsops=disk)
        except ResourceExhaustedError as error:
            messages.add(error.message)
            failures += 1
        if disk.left >= 0:
            break
        assert check(target).findings == []
        assert check(target, snapshot=snapshots(target)[0].snapshot).findings == []

    assert failures > 10
    assert all(message.startswith(f"the disk of {target} is full; free space there") for message in messages)
    assert snapshots(target)[0].snapshot != earlier
    assert contents(restored(target)) == contents(filled) != first


def test_a_full_disk_during_a_restore_leaves_nothing(filled, data, target, tmp_path, thorough):
    back_up(data, target)
    place = tmp_path / "place"
    failures = 0
    for call in range(0, 1000, 1 if thorough else 8):
        try:
            restore(target, place, fsops=(disk := Broken(call)))
        except ResourceExhaustedError:
            assert not place.exists()
            failures += 1
        if disk.left >= 0:
            break
        # an engine opens and closes on a full disk, too; it has checked what was restored by then
        shutil.rmtree(place, ignore_errors=True)

    assert failures > 3
    with closing(LocalEngine(place, sweep_interval=None)) as engine:
        assert engine.maintenance.fsck() == []


def test_a_directory_whose_restore_was_killed_is_no_data_directory(filled, data, target, tmp_path):
    back_up(data, target)
    place = tmp_path / "place"
    killed = []

    def copy_away(_done, _total):
        if not killed:
            shutil.copytree(place, tmp_path / "killed")
            killed.append(1)

    restore(target, place, on_progress=copy_away)

    with pytest.raises(StorageError, match="FORMAT is missing"):
        LocalEngine(tmp_path / "killed")
    with pytest.raises(AlreadyExistsError, match="is not empty"):
        restore(target, tmp_path / "killed")


def test_a_copy_of_a_backup_that_can_only_be_read_is_restored(filled, data, target, tmp_path, restored, contents):
    back_up(data, target)
    copy = tmp_path / "copy"
    shutil.copytree(target, copy)
    (copy / "LOCK").unlink()
    files = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}

    assert contents(restored(copy)) == contents(filled)

    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == files


def test_a_directory_that_is_restored_into_is_used_by_nobody_else(filled, data, target, tmp_path, disk):
    back_up(data, target)
    place = tmp_path / "place"
    refused = []

    class Overtaken(type(disk)):
        def make_directory(self, path):
            super().make_directory(path)
            if path == place / "meta":
                for other in (LocalEngine, lambda directory: restore(target, directory)):
                    with pytest.raises((AlreadyExistsError, StorageError)) as caught:
                        other(place)
                    refused.append(caught.value.message)

    restore(target, place, fsops=Overtaken())

    assert f"{place} is in use by process {os.getpid()}" in refused[0]
    with closing(LocalEngine(place, sweep_interval=None)) as engine:
        assert engine.maintenance.fsck() == []


def test_a_restore_clears_nothing_of_another_one_that_was_quicker(filled, data, target, tmp_path, get, monkeypatch):
    back_up(data, target)
    place = tmp_path / "place"
    mkdir = type(place).mkdir

    def overtaken(path, *given, **options):
        mkdir(path, *given, **options)
        if path == place and not any(place.iterdir()):
            monkeypatch.undo()
            restore(target, place)

    monkeypatch.setattr(type(place), "mkdir", overtaken)
    with pytest.raises(AlreadyExistsError, match="is not empty"):
        restore(target, place)

    with closing(LocalEngine(place, sweep_interval=None)) as engine:
        assert get(engine, "large") == get(filled, "large")


def test_only_an_empty_directory_is_restored_into(filled, data, target, tmp_path):
    back_up(data, target)
    place = tmp_path / "place"
    place.mkdir()
    (place / "mine").write_text("text")

    with pytest.raises(AlreadyExistsError, match="place is not empty, it has 'mine'"):
        restore(target, place)

    assert [path.name for path in place.iterdir()] == ["mine"]
