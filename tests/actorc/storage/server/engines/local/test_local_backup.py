"""Backups of a data directory that is in use, and what becomes of them again."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import tarfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from actorc.storage.errors import (
    AlreadyExistsError,
    IntegrityError,
    InvalidParameterError,
    NotFoundError,
    ObjectNotFoundError,
    ResourceExhaustedError,
    StorageError,
)
from actorc.storage.models import ListQuery, ObjectAttributes
from actorc.storage.rules import MiB
from actorc.storage.server.auth.access import EVERYTHING
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.server.engines.base import CopySource
from actorc.storage.server.engines.local import FsOps, LocalEngine, back_up, check, restore, snapshots
from actorc.storage.server.engines.local.disk import removal_pause
from actorc.storage.server.engines.local.disk.removal_pause import RemovalPause

LARGE = MiB + 100_000
OLD_FORMATS = [Path(__file__).with_name("data") / f"format-{number}.tar.xz" for number in (1, 2)]


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
    put(local, "large", os.urandom(LARGE))
    put(local, "empty")
    assemble(local, "joined", [b"p" * 20_000, b"q" * 5_000_000, b"r" * 30])
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


def blobs(directory):
    return sorted(path for path in (directory / "blobs").rglob("*") if path.is_file())


def damage(path):
    path.chmod(0o600)
    with path.open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))


def test_a_snapshot_of_a_directory_in_use_has_everything(filled, data, target, restored, contents):
    before = contents(filled)

    done = back_up(data, target)

    assert (done.manifest.totals.objects, done.manifest.totals.buckets) == (5, 2)
    again = restored(target)
    assert contents(again) == before
    assert [bucket.name for bucket in again.buckets()] == ["another", "bucket"]


def test_an_upload_under_way_goes_on_after_a_restore(filled, data, target, restored, part, get):
    upload = filled.create_upload("bucket", "later", ObjectAttributes(content_type="text/plain"))
    first = part(filled, upload, 1, b"a" * 6_000_000, key="later")
    back_up(data, target)
    again = restored(target)

    second = part(again, upload, 2, b"b", key="later")
    again.complete_upload("bucket", "later", upload, [_choice(1, first), _choice(2, second)])

    assert get(again, "later") == b"a" * 6_000_000 + b"b"
    assert again.head("bucket", "later").content_type == "text/plain"


def _choice(number, part):
    from actorc.storage.server.engines.base import PartChoice

    return PartChoice(number, part.etag)


def test_what_is_deleted_during_a_backup_is_in_it_and_is_removed_afterwards(filled, data, target, restored, contents):
    before = contents(filled)
    calls = []

    def delete_all(_done, _total):
        if not calls:
            for key in before:
                filled.delete("bucket", key)
            filled.sweep()
        calls.append(1)

    back_up(data, target, on_progress=delete_all)

    assert calls
    assert contents(restored(target)) == before
    assert blobs(data) != []
    filled.sweep()
    assert blobs(data) == []


def test_what_is_written_during_a_backup_does_not_disturb_it(filled, data, target, restored, contents, put):
    before = contents(filled)

    def overwrite(done, _total):
        put(filled, "small", str(done).encode())
        put(filled, "large", os.urandom(70_000))

    back_up(data, target, on_progress=overwrite)

    assert contents(restored(target)) == before


def test_a_backup_that_hangs_does_not_keep_deleted_objects_for_ever(filled, data):
    with closing(RemovalPause(data / "meta" / "removal.lock")):
        filled.delete_many("bucket", ["large", "copy", "joined"])
        filled.sweep()
        assert blobs(data) != []
        long_ago = time.time() - removal_pause.EXPIRY_SECONDS - 1
        os.utime(data / "meta" / "removal.lock", (long_ago, long_ago))

        filled.sweep()

    assert blobs(data) == []


def test_a_backup_whose_pause_is_over_fails_with_advice(filled, data, target, monkeypatch):
    monkeypatch.setattr(removal_pause, "EXPIRY_SECONDS", -1.0)

    with pytest.raises(StorageError, match=r"no progress for .* start it again"):
        back_up(data, target)


def test_two_backups_of_a_directory_at_once_are_refused(filled, data, target, tmp_path, monkeypatch):
    monkeypatch.setattr(removal_pause, "_PATIENCE_SECONDS", 0.0)
    problems = []

    def second(_done, _total):
        for other in (target, tmp_path / "elsewhere"):
            with pytest.raises(StorageError) as caught:
                back_up(data, other)
            problems.append(caught.value.message)

    back_up(data, target, on_progress=second)

    assert "in use by another backup or a restore" in problems[0]
    assert "another backup of" in problems[1]


def test_a_second_backup_copies_what_is_new_only(filled, data, target, put, restored, contents):
    first = back_up(data, target)
    put(filled, "new", os.urandom(100_000))

    second = back_up(data, target)

    assert (first.copied.blobs, second.copied.blobs) == (4, 1)
    assert contents(restored(target)) == contents(filled)


def test_an_earlier_snapshot_stays_as_long_as_it_is_kept(filled, data, target, put, restored, contents):
    before = contents(filled)
    first = back_up(data, target).manifest.snapshot
    for key in before:
        filled.delete("bucket", key)
    put(filled, "new", os.urandom(100_000))
    back_up(data, target, keep=2)

    assert contents(restored(target, "earlier", snapshot=first)) == before
    assert contents(restored(target, "later")) == contents(filled)
    third = back_up(data, target, keep=1)
    assert (third.pruned.snapshots, third.pruned.blobs, len(blobs(target))) == (2, 4, 1)
    assert [each.snapshot for each in snapshots(target)] == [third.manifest.snapshot]
    with pytest.raises(NotFoundError, match=f"no snapshot {first!r}; it has {third.manifest.snapshot}"):
        check(target, snapshot=first)


def test_snapshots_are_in_order_even_if_the_clock_was_set_back(filled, data, target):
    first = back_up(data, target).manifest.snapshot
    (target / "snapshots" / first).rename(target / "snapshots" / "000001-29990101T000000Z")

    second = back_up(data, target, keep=1).manifest.snapshot

    assert second.startswith("000002-")
    assert check(target).manifest.snapshot == second


def test_damage_in_the_data_directory_is_named_and_makes_no_snapshot(filled, data, target, put):
    earlier = back_up(data, target).manifest.snapshot
    known = set(blobs(data))
    put(filled, "damaged", os.urandom(100_000))
    put(filled, "lost", os.urandom(200_000))
    first, second = sorted(set(blobs(data)) - known, key=lambda path: path.stat().st_size)
    damage(first)
    second.unlink()

    done = back_up(data, target)

    assert done.manifest is None
    assert [(each.kind, each.subject, each.detail) for each in done.findings] == [
        ("damaged", "bucket/damaged", f"the bytes of blob {first.name} do not match their checksums"),
        ("damaged", "bucket/lost", f"blob {second.name} is missing"),
    ]
    assert check(target).manifest.snapshot == earlier
    for key in ("damaged", "lost"):
        filled.delete("bucket", key)
    assert back_up(data, target).manifest.snapshot == snapshots(target)[1].snapshot != earlier


def test_a_file_of_an_earlier_snapshot_that_was_damaged_is_mended_by_verify(filled, data, target):
    back_up(data, target)
    blob = blobs(target)[0]
    damage(blob)

    assert back_up(data, target).copied.blobs == 0
    assert check(target).findings != []
    assert back_up(data, target, verify=True).copied.blobs == 1
    assert check(target).findings == []


def test_a_damaged_blob_of_a_backup_is_named_and_nothing_is_restored(filled, data, target, tmp_path):
    back_up(data, target)
    for blob in blobs(target):
        damage(blob)
    place = tmp_path / "place"
    place.mkdir()

    found = restore(target, place)

    # the manifest blob of a joined object has no bytes, so the damage is that of its trailer
    assert {each.subject for each in found.findings} == {"bucket/copy", "bucket/joined"}
    assert found.findings == check(target).findings
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("name", ["meta.db", "manifest.json", "keys.json", ".signing.key", "FORMAT"])
@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_a_backup_with_a_bad_file_is_refused_by_its_name(filled, data, target, tmp_path, name, how):
    add_key(data / "keys.json", [EVERYTHING])
    (data / ".signing.key").write_text("secret\n")
    folder = target / "snapshots" / back_up(data, target).manifest.snapshot
    damage(folder / name) if how == "damaged" else (folder / name).unlink()

    with pytest.raises(IntegrityError, match=f"{name} is {how}"):
        restore(target, tmp_path / "place")

    assert not (tmp_path / "place").exists()


def test_keys_are_in_a_backup_and_nobody_else_can_read_them(filled, data, target, tmp_path):
    add_key(data / "keys.json", [EVERYTHING])
    (data / ".signing.key").write_text("secret\n")
    folder = target / "snapshots" / back_up(data, target).manifest.snapshot

    restore(target, tmp_path / "place")

    for name in ("keys.json", ".signing.key"):
        for path in (folder / name, tmp_path / "place" / name):
            assert path.read_bytes() == (data / name).read_bytes()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for path in (target, tmp_path / "place"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_only_an_empty_directory_is_restored_into(filled, data, target, tmp_path):
    back_up(data, target)
    place = tmp_path / "place"
    place.mkdir()
    (place / "mine").write_text("text")

    with pytest.raises(AlreadyExistsError, match="place is not empty, it has 'mine'"):
        restore(target, place)

    assert [path.name for path in place.iterdir()] == ["mine"]


def test_a_place_that_holds_other_things_is_no_target(filled, data, target, tmp_path, open_local):
    open_local("another").close()
    back_up(tmp_path / "another", target)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("text")

    for place, reason in (
        (target, "has the backups of another data directory"),
        (full, "holds other things, such as 'mine'"),
        (data / "backups", "one within the other"),
        (tmp_path, "one within the other"),
    ):
        with pytest.raises(InvalidParameterError, match=reason):
            back_up(data, place)
    with pytest.raises(InvalidParameterError, match="is no data directory"):
        back_up(full, target)
    with pytest.raises(NotFoundError, match="no directory of backups"):
        check(full)


def test_a_backup_by_a_later_version_is_refused(filled, data, target, tmp_path):
    folder = target / "snapshots" / back_up(data, target).manifest.snapshot
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 2}))

    with pytest.raises(StorageError, match="has format 2 and this version of lucas-storage knows 1 at most; update it"):
        restore(target, tmp_path / "place")


def test_fields_that_a_later_version_adds_to_a_manifest_are_ignored(filled, data, target):
    folder = target / "snapshots" / back_up(data, target).manifest.snapshot
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "colour": "green"}))

    assert check(target).findings == []


def test_a_directory_whose_server_was_killed_is_backed_up_with_its_log(
    filled, data, target, tmp_path, restored, get, put
):
    put(filled, "last", b"only in the log")
    killed = tmp_path / "killed"
    shutil.copytree(data, killed)

    back_up(killed, target)

    assert get(restored(target), "last") == b"only in the log"


def test_a_directory_whose_index_has_lost_its_log_is_refused(filled, data, target, tmp_path):
    killed = tmp_path / "killed"
    shutil.copytree(data, killed)
    (killed / "meta" / "meta.db-wal").unlink()

    with pytest.raises(IntegrityError, match=r"meta\.db-wal is missing"):
        back_up(killed, target)


def test_a_directory_that_no_server_uses_is_backed_up_and_opens_as_before(
    filled, data, target, restored, contents, open_local
):
    before = contents(filled)
    filled.close()

    back_up(data, target)

    assert contents(restored(target)) == before
    assert not open_local()._index.verified


@pytest.mark.parametrize("archive", OLD_FORMATS, ids=lambda path: path.stem)
def test_a_directory_of_an_earlier_version_is_backed_up_as_it_is(archive, tmp_path, target, restored, get):
    with tarfile.open(archive) as file:
        file.extractall(tmp_path / "data", filter="data")
    label, index = ((tmp_path / "data" / name).read_bytes() for name in ("FORMAT", "meta/meta.db"))

    back_up(tmp_path / "data", target)

    assert (tmp_path / "data" / "FORMAT").read_bytes() == label
    assert (tmp_path / "data" / "meta" / "meta.db").read_bytes() == index
    (folder,) = (target / "snapshots").iterdir()
    assert (folder / "FORMAT").read_bytes() == label
    assert get(restored(target), "joined") == b"p" * 20000 + b"q" * 30


def test_a_blob_in_quarantine_is_backed_up(filled, data, target, restored, get, tmp_path):
    blob = blobs(data)[0]
    place = data / "quarantine" / "2026-01-01"
    place.mkdir(parents=True)
    blob.rename(place / blob.name)

    back_up(data, target)

    assert len(blobs(target)) == 4
    assert get(restored(target), "large") == get(filled, "large")


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


def test_an_object_that_was_deleted_before_is_not_in_a_backup(filled, data, target, restored):
    filled.delete("bucket", "large")
    filled.delete("bucket", "joined")
    filled.delete("bucket", "copy")
    back_up(data, target)

    again = restored(target)
    with pytest.raises(ObjectNotFoundError):
        again.head("bucket", "large")
    assert blobs(target) == []
