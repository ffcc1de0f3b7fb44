"""Backups of a data directory that is in use, has come down, or is of an earlier version."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from actorc.storage.errors import (
    IntegrityError,
    InvalidParameterError,
    NotFoundError,
    ObjectNotFoundError,
    StorageError,
)
from actorc.storage.models import ObjectAttributes
from actorc.storage.server.auth.access import EVERYTHING
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.server.engines.base import PartChoice
from actorc.storage.server.engines.local import back_up, check, restore, snapshots
from actorc.storage.server.engines.local.disk import removal_pause
from actorc.storage.server.engines.local.disk.removal_pause import RemovalPause

OLD_FORMATS = [Path(__file__).parents[1] / "data" / f"format-{number}.tar.xz" for number in (1, 2, 3)]


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
    again.complete_upload("bucket", "later", upload, [PartChoice(1, first.etag), PartChoice(2, second.etag)])

    assert get(again, "later") == b"a" * 6_000_000 + b"b"
    assert again.head("bucket", "later").content_type == "text/plain"


def test_what_is_deleted_during_a_backup_is_in_it_and_is_removed_afterwards(
    filled, data, target, restored, contents, blobs
):
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


def test_what_was_replaced_before_is_not_in_a_backup(filled, data, target, put, restored, contents, blobs, assemble):
    put(filled, "replaced", os.urandom(100_000))
    put(filled, "replaced", os.urandom(100_000))
    assemble(filled, "parts", [os.urandom(20_000), os.urandom(30_000)])
    assemble(filled, "parts", [os.urandom(20_000), os.urandom(30_000)])
    before = contents(filled)

    back_up(data, target)

    assert contents(restored(target)) == before
    assert len(blobs(data)) - len(blobs(target)) == 4


def test_an_object_that_was_deleted_before_is_not_in_a_backup(filled, data, target, restored, blobs):
    filled.delete("bucket", "large")
    filled.delete("bucket", "joined")
    filled.delete("bucket", "copy")
    back_up(data, target)

    again = restored(target)
    with pytest.raises(ObjectNotFoundError):
        again.head("bucket", "large")
    assert blobs(target) == []


def test_a_backup_that_hangs_does_not_keep_deleted_objects_for_ever(filled, data, blobs):
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root backs up what belongs to another user")
def test_a_backup_by_root_leaves_nothing_of_root_in_the_directory_of_another_user(filled, data, target):
    filled.close()
    for path in (data, *data.rglob("*")):
        os.chown(path, 65534, 65534)

    back_up(data, target)

    assert {path.stat().st_uid for path in (data, *data.rglob("*"))} == {65534}


def test_a_second_backup_copies_what_is_new_only(filled, data, target, put, restored, contents):
    first = back_up(data, target)
    put(filled, "new", os.urandom(100_000))

    second = back_up(data, target)

    assert (first.copied.blobs, second.copied.blobs) == (4, 1)
    assert contents(restored(target)) == contents(filled)


def test_an_earlier_snapshot_stays_as_long_as_it_is_kept(filled, data, target, put, restored, contents, blobs):
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
    with pytest.raises(InvalidParameterError, match="no directory of backups"):
        check(full)
    with pytest.raises(NotFoundError, match="no directory of backups"):
        check(tmp_path / "missing")


@pytest.mark.parametrize("name", ["incoming", "snapshots", "blobs"])
def test_a_target_that_is_led_elsewhere_within_is_refused_and_what_is_there_stays(filled, data, target, tmp_path, name):
    back_up(data, target)
    elsewhere = tmp_path / "elsewhere"
    (target / name).rename(elsewhere)
    (elsewhere / "precious").touch()
    (target / name).symlink_to(elsewhere)

    with pytest.raises(InvalidParameterError, match=f"{name} is a symbolic link, and a backup is one directory"):
        back_up(data, target)
    assert (elsewhere / "precious").exists()


def test_a_target_may_be_a_link_but_not_to_nothing(filled, data, tmp_path, restored):
    link, place = tmp_path / "link", tmp_path / "disk"
    link.symlink_to(place)
    with pytest.raises(InvalidParameterError, match="is a symbolic link to nothing; mount its disk"):
        back_up(data, link)
    place.mkdir()
    back_up(data, link)

    restored(link)


def test_a_snapshot_that_is_a_link_is_removed_and_what_it_leads_to_stays(filled, data, target, tmp_path):
    first = target / "snapshots" / back_up(data, target).manifest.snapshot
    elsewhere = tmp_path / "elsewhere"
    first.rename(elsewhere)
    first.symlink_to(elsewhere)
    second = back_up(data, target, keep=1)

    assert second.pruned.snapshots == 1
    assert [path.name for path in (target / "snapshots").iterdir()] == [second.manifest.snapshot]
    assert (elsewhere / "manifest.json").exists()


def test_a_target_that_another_directory_took_meanwhile_is_refused(filled, data, target, tmp_path, disk, open_local):
    open_local("another").close()

    class Overtaken(type(disk)):
        def sync_directory(self, path):
            if not (target / "BACKUP").exists():
                back_up(tmp_path / "another", target)
            super().sync_directory(path)

    with pytest.raises(InvalidParameterError, match="has the backups of another data directory"):
        back_up(data, target, fsops=Overtaken())

    assert len(snapshots(target)) == 1


def test_a_directory_whose_server_was_killed_is_backed_up_with_its_log(
    filled, data, target, tmp_path, restored, get, put
):
    put(filled, "last", b"only in the log")
    killed = tmp_path / "killed"
    shutil.copytree(data, killed)

    back_up(killed, target)

    assert get(restored(target), "last") == b"only in the log"


def test_a_backup_of_an_index_whose_last_change_a_kill_cut_off_restores(
    filled, data, target, tmp_path, open_local, contents, put
):
    before = contents(filled)
    put(filled, "last", b"cut off")
    shutil.copytree(data, tmp_path / "killed")
    log = tmp_path / "killed" / "meta" / "meta.db-wal"
    written = bytearray(log.read_bytes())
    written[len(written.rstrip(b"\0")) - 1] ^= 1
    log.write_bytes(written)
    engine = open_local("killed")
    assert [finding.kind for finding in engine.maintenance.fsck()] == ["dropped"]

    back_up(tmp_path / "killed", target)

    assert restore(target, tmp_path / "restored").findings == []
    assert contents(open_local("restored")) == contents(engine) == before


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


def test_a_blob_in_quarantine_is_backed_up(filled, data, target, restored, get, tmp_path, blobs):
    blob = blobs(data)[0]
    place = data / "quarantine" / "2026-01-01"
    place.mkdir(parents=True)
    blob.rename(place / blob.name)

    back_up(data, target)

    assert len(blobs(target)) == 4
    assert get(restored(target), "large") == get(filled, "large")
