"""Nothing is deleted because an index does not know it: such blobs are put away, told of, and come back if needed."""

from __future__ import annotations

import errno
import os
import random
import shutil
from contextlib import suppress

import pytest

from actorc.storage.errors import IntegrityError, StorageError
from actorc.storage.models import ObjectAttributes
from actorc.storage.rules import KiB, MiB
from actorc.storage.server.engines.base import CopySource
from actorc.storage.server.engines.local.index.schema import connect

DAY = 24 * 60 * 60
LARGE = 40 * KiB
ORPHAN = "abcd" + "0" * 28


def blobs(tmp_path):
    return sorted(path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file())


def put_away(tmp_path):
    return sorted(path for path in (tmp_path / "data" / "quarantine").rglob("*") if path.is_file())


def forget(tmp_path, key):
    """Let the index lose an object without a word of it, as a damaged one may."""
    with connect(tmp_path / "data" / "meta" / "meta.db") as connection:
        where = "(SELECT content_id FROM object WHERE key = ?)"
        connection.execute(f"DELETE FROM content WHERE id = {where}", (key.encode(),))
        connection.execute("DELETE FROM object WHERE key = ?", (key.encode(),))
    connection.close()


def plant(tmp_path, count):
    """Make so many blobs that no index knows."""
    for number in range(count):
        name = f"{number % 4:04x}{number:028x}"
        folder = tmp_path / "data" / "blobs" / name[:2] / name[2:4]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def damage(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << position % 8
    path.chmod(0o600)
    path.write_bytes(data)


def said(engine, kind):
    return [finding.detail for finding in engine.maintenance.fsck() if finding.kind == kind]


def test_a_blob_that_the_index_forgot_goes_to_quarantine_and_not_away(local, put, tmp_path):
    put(local, "dir/key", bytes(LARGE))
    before = blobs(tmp_path)[0].read_bytes()
    forget(tmp_path, "dir/key")

    local.sweep()

    (kept,) = put_away(tmp_path)
    assert kept.read_bytes() == before
    assert blobs(tmp_path) == []
    assert said(local, "quarantined") == [
        f"in quarantine since 2023-11-14, {len(before)} bytes, written as bucket/dir/key"
    ]


def test_quarantine_is_emptied_after_its_days_and_not_before(open_local, put, tmp_path, clock):
    engine = open_local(quarantine_days=2)
    engine.create_bucket("bucket")
    put(engine, "key", bytes(LARGE))
    forget(tmp_path, "key")
    engine.sweep()

    clock.now += 2 * DAY  # the day it came counts in full
    engine.sweep()
    assert len(put_away(tmp_path)) == 1

    clock.now += DAY
    engine.sweep()
    assert put_away(tmp_path) == []


def test_days_of_which_nothing_is_left_leave_no_directories(open_local, put, tmp_path, clock):
    engine = open_local(quarantine_days=2)
    engine.create_bucket("bucket")
    put(engine, "key", bytes(LARGE))
    forget(tmp_path, "key")
    engine.sweep()
    today = tmp_path / "data" / "quarantine" / "2023-11-14"
    put_away(tmp_path)[0].unlink()
    engine.sweep()
    assert today.is_dir()  # a blob may be on its way there

    clock.now += DAY
    engine.sweep()

    assert list((tmp_path / "data" / "quarantine").iterdir()) == []


def test_what_others_put_into_quarantine_is_left_alone(open_local, put, get, tmp_path, clock):
    engine = open_local()
    engine.create_bucket("bucket")
    put(engine, "key", bytes(LARGE))
    day = tmp_path / "data" / "quarantine" / "2020-01-01"
    (day / "sub").mkdir(parents=True)
    (day / "notes.txt").write_text("mine")
    shutil.copyfile(blobs(tmp_path)[0], day / f"{blobs(tmp_path)[0].name}.bak")
    expected = put_away(tmp_path)

    assert engine.maintenance.adopt() == []
    assert engine.maintenance.empty_quarantine() == 0
    engine.sweep()

    assert put_away(tmp_path) == expected
    assert engine.maintenance.fsck() == []


def test_a_file_in_the_place_of_the_quarantine_hides_nothing(local, put, get, tmp_path):
    put(local, "key", bytes(LARGE))
    put(local, "lost", bytes(LARGE))
    (tmp_path / "data" / "quarantine").write_text("")
    blobs(tmp_path)[0].unlink()
    blobs(tmp_path)[0].unlink()

    with pytest.raises(IntegrityError, match="missing on the disk"):
        get(local, "key")
    assert {finding.kind for finding in local.maintenance.fsck()} == {"damaged"}


def test_a_server_says_what_it_puts_into_quarantine_and_how_it_comes_back(local, put, tmp_path, caplog):
    put(local, "key", bytes(LARGE))
    forget(tmp_path, "key")

    local.sweep()

    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith("blobs that the index does not know were put into quarantine (1)")
    assert "--adopt" in said
    assert [finding.kind for finding in local.maintenance.adopt()] == ["restored"]


def test_quarantine_is_not_emptied_while_the_index_contradicts_itself(local, put, tmp_path, clock):
    put(local, "key", bytes(LARGE))
    put(local, "other", bytes(LARGE))
    forget(tmp_path, "key")
    local.sweep()
    with connect(tmp_path / "data" / "meta" / "meta.db") as connection:
        connection.execute("DELETE FROM content")
    connection.close()
    clock.now += 30 * DAY

    with pytest.raises(StorageError, match="contradicts itself"):
        local.sweep()

    assert len(put_away(tmp_path)) == 2


def test_what_is_read_comes_back_from_quarantine(open_local, put, get, tmp_path):
    engine = open_local()
    engine.create_bucket("bucket")
    data = os.urandom(LARGE)
    put(engine, "key", data)
    engine.close()
    shutil.copytree(tmp_path / "data" / "meta", tmp_path / "newer")
    forget(tmp_path, "key")
    engine = open_local()
    engine.sweep()
    engine.close()
    assert blobs(tmp_path) == []
    shutil.rmtree(tmp_path / "data" / "meta")
    shutil.move(tmp_path / "newer", tmp_path / "data" / "meta")

    engine = open_local()

    assert data == get(engine, "key")
    assert (len(blobs(tmp_path)), put_away(tmp_path)) == (1, [])
    assert engine.maintenance.fsck() == []


def test_what_is_needed_is_not_emptied_with_the_rest(open_local, put, get, tmp_path, clock):
    engine = open_local()
    engine.create_bucket("bucket")
    put(engine, "key", bytes(LARGE))
    (blob,) = blobs(tmp_path)
    day = tmp_path / "data" / "quarantine" / "2023-01-01"
    day.mkdir(parents=True)
    blob.rename(day / blob.name)
    (day / ORPHAN).touch()

    engine.sweep()

    assert (blobs(tmp_path), put_away(tmp_path)) == ([blob], [])
    assert bytes(LARGE) == get(engine, "key")


def test_an_engine_that_may_not_write_reads_what_is_in_quarantine_where_it_is(open_local, disk, put, get, tmp_path):
    class Failing(type(disk)):
        failing = False

        def commit(self, connection):
            if self.failing:
                raise OSError(errno.EIO, "broken")
            super().commit(connection)

    failing = Failing()
    engine = open_local(fsops=failing)
    engine.create_bucket("bucket")
    put(engine, "key", bytes(LARGE))
    (blob,) = blobs(tmp_path)
    day = tmp_path / "data" / "quarantine" / "2023-01-01"
    day.mkdir(parents=True)
    blob.rename(day / blob.name)
    failing.failing = True
    with pytest.raises(StorageError):
        put(engine, "other")
    failing.failing = False

    assert not engine.healthy
    assert bytes(LARGE) == get(engine, "key")
    assert len(put_away(tmp_path)) == 1


def test_a_row_of_garbage_that_names_a_blob_in_use_removes_nothing(local, put, get, tmp_path):
    put(local, "key", bytes(LARGE))
    (blob,) = blobs(tmp_path)
    with connect(tmp_path / "data" / "meta" / "meta.db") as connection:
        connection.execute("INSERT INTO garbage VALUES (?, ?)", (blob.name, ORPHAN))
        connection.execute("INSERT INTO garbage VALUES (?, ?)", (blob.name, blob.name))
    connection.close()

    local.sweep()

    assert bytes(LARGE) == get(local, "key")
    assert said(local, "inconsistent") == ["the blob is content and waits to be removed; it is not removed"]


@pytest.fixture
def few(monkeypatch):
    """Let a crash explain no more than eight blobs."""
    monkeypatch.setattr("actorc.storage.server.engines.local.maintenance.orphans.CRASH_LEFTOVERS", 8)


def crash(tmp_path, engine):
    """Leave what a killed process would."""
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    engine.close()
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "copy").rename(tmp_path / "data")


@pytest.mark.usefixtures("few")
def test_leftovers_of_a_crash_are_put_away_at_the_start(open_local, local, put, tmp_path):
    put(local, "key", bytes(LARGE))
    crash(tmp_path, local)
    plant(tmp_path, 8)

    engine = open_local()

    assert (len(blobs(tmp_path)), len(put_away(tmp_path))) == (1, 8)
    engine.sweep()


def test_leftovers_of_a_crash_that_cut_off_a_change_are_removed_after_their_days(
    open_local, local, put, tmp_path, clock
):
    put(local, "key", b"cut off")
    crash(tmp_path, local)
    plant(tmp_path, 1)
    log = tmp_path / "data" / "meta" / "meta.db-wal"
    written = bytearray(log.read_bytes())
    written[len(written.rstrip(b"\0")) - 1] ^= 1
    log.write_bytes(written)

    engine = open_local(quarantine_days=2)
    assert len(said(engine, "dropped")) == len(put_away(tmp_path)) == 1
    clock.now += 3 * DAY
    engine.sweep()

    assert put_away(tmp_path) == []


@pytest.mark.usefixtures("few")
def test_more_than_a_crash_leaves_refuses_the_start_and_moves_nothing(open_local, local, put, get, tmp_path):
    put(local, "key", bytes(LARGE))
    crash(tmp_path, local)
    plant(tmp_path, 9)

    for _ in range(2):  # that the first one closed it cleanly excuses nothing
        with pytest.raises(StorageError, match=r"does not know 9 blobs.*--adopt.*--accept"):
            open_local()

    assert (len(blobs(tmp_path)), put_away(tmp_path)) == (10, [])
    repairing = open_local(repairing=True)
    assert bytes(LARGE) == get(repairing, "key")
    with pytest.raises(StorageError, match="does not know 9 blobs"):
        repairing.sweep()
    assert repairing.maintenance.accept() == 9
    repairing.close()
    assert bytes(LARGE) == get(open_local(), "key")


def test_a_full_disk_does_not_keep_leftovers_from_letting_it_start(open_local, disk, local, put, get, tmp_path):
    class Full(type(disk)):
        def make_directory(self, path):
            if path.name == "quarantine":
                raise OSError(errno.ENOSPC, "full")
            super().make_directory(path)

    put(local, "key", bytes(LARGE))
    crash(tmp_path, local)
    plant(tmp_path, 1)

    assert bytes(LARGE) == get(open_local(fsops=Full()), "key")


def test_fsck_finds_a_blob_that_says_it_is_another_object(local, put, tmp_path):
    put(local, "one", bytes(LARGE))
    local.copy(CopySource(bucket="bucket", key="one"), "bucket", "copy")
    assert local.maintenance.fsck() == []
    with connect(tmp_path / "data" / "meta" / "meta.db") as connection:
        connection.execute("UPDATE object SET key = ? WHERE key = ?", (b"onf", b"one"))
    connection.close()

    assert [detail.partition(" says ")[2] for detail in said(local, "inconsistent")] == ["that it is bucket/one"]


def test_fsck_finds_a_blob_that_belongs_to_other_bytes(local, put, tmp_path):
    put(local, "one", b"1" * LARGE)
    (one,) = blobs(tmp_path)
    put(local, "two", b"2" * LARGE)
    (two,) = set(blobs(tmp_path)) - {one}
    trailer = two.read_bytes()[LARGE:]
    payload = one.read_bytes()[:LARGE]
    one.chmod(0o600)
    one.write_bytes(payload + trailer)

    assert [detail.partition(" says ")[2] for detail in said(local, "inconsistent")] == ["that it has other bytes"]


def test_a_blob_of_a_version_without_trailers_is_as_good_as_ever(local, put, get, tmp_path):
    data = os.urandom(MiB + 5)
    put(local, "key", data)
    (blob,) = blobs(tmp_path)
    blob.chmod(0o600)
    os.truncate(blob, len(data))

    assert data == get(local, "key")
    assert local.maintenance.fsck() == []
    local.maintenance.scrub()
    assert local.damaged == 0


def test_bytes_behind_the_payload_are_never_handed_out(local, put, get, tmp_path):
    put(local, "key", bytes(LARGE), metadata={"a": "b"}, ttl=60)

    assert blobs(tmp_path)[0].stat().st_size > LARGE
    assert bytes(LARGE) == get(local, "key")


def test_a_flipped_bit_anywhere_in_a_blob_is_told_and_never_served(local, put, get, tmp_path, thorough):
    data = os.urandom(LARGE)
    put(local, "key", data, metadata={"name": "value"})
    (blob,) = blobs(tmp_path)
    intact = blob.read_bytes()
    random_ = random.Random(7)
    tail = [random_.randrange(LARGE, len(intact)) for _ in range(150 if thorough else 10)]
    for position in [*(random_.randrange(LARGE) for _ in range(150 if thorough else 10)), *tail, len(intact) - 1]:
        damage(blob, position)
        if position < LARGE:
            with pytest.raises(IntegrityError):
                get(local, "key")
            local.maintenance.scrub()
            assert local.damaged
        else:
            assert data == get(local, "key")
        assert [finding.kind for finding in local.maintenance.fsck()] == [
            "damaged" if position < LARGE else "inconsistent"
        ]
        local.sweep()
        assert [blob] == blobs(tmp_path)
        blob.write_bytes(intact)


@pytest.mark.few(1)
@pytest.mark.parametrize("call", ["make_directory", "sync_directory", "rename"])
def test_a_disk_that_fails_while_blobs_are_put_away_loses_none(open_local, disk, put, get, tmp_path, call):
    class Failing(type(disk)):
        left = 0

        def __getattribute__(self, name):
            if name == call and self.left:
                self.left -= 1
                if not self.left:
                    raise OSError(errno.EIO, "broken")
            return super().__getattribute__(name)

    for number in range(1, 5):
        failing = Failing()
        engine = open_local(fsops=failing)
        engine.create_bucket("bucket", exist_ok=True)
        for key in ("one", "two"):
            put(engine, key, key.encode() * LARGE)
            forget(tmp_path, key)
        failing.left = number
        with suppress(StorageError):
            engine.sweep()
        assert len(blobs(tmp_path)) + len(put_away(tmp_path)) == 2 * number
        engine.close()
    engine = open_local()
    engine.sweep()
    assert (len(blobs(tmp_path)), len(put_away(tmp_path))) == (0, 8)
    assert {detail.rpartition(" as ")[2] for detail in said(engine, "quarantined")} == {"bucket/one", "bucket/two"}


def test_the_generation_is_the_one_the_blob_names_unless_another_write_came_between(local, put, tmp_path):
    info = put(local, "key", bytes(LARGE))
    assert f'"order": {info.generation}'.encode() in blobs(tmp_path)[0].read_bytes()

    with local.writer("bucket", "late") as writer:
        writer.write(bytes(LARGE), 0)
        between = put(local, "between", bytes(LARGE))
        assert writer.commit(ObjectAttributes()).generation > between.generation
