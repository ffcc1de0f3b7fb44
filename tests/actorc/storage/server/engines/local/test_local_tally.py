"""Objects and bytes of each bucket are counted with every change, proven with the rows, and corrected if wrong."""

from __future__ import annotations

import shutil
from contextlib import closing

import pytest

from actorc.storage.errors import IntegrityError, StorageError
from actorc.storage.models import ObjectAttributes
from actorc.storage.server.engines.base import CopySource
from actorc.storage.server.engines.local import Rebuild
from actorc.storage.server.engines.local.index.schema import connect

WRONG_BYTES = "UPDATE tally SET bytes = 7 WHERE name GLOB 'object/*'"


@pytest.fixture
def database(tmp_path):
    return tmp_path / "data" / "meta" / "meta.db"


def change(database, statement):
    with closing(connect(database)) as connection:
        connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def test_every_change_of_an_object_is_counted_in_its_bucket_alone(local, put, assemble):
    local.create_bucket("other")
    put(local, "small", b"data")
    put(local, "large", bytes(100_000))
    assert local.bucket_totals() == [("bucket", 2, 100_004), ("other", 0, 0)]
    put(local, "small", b"overwritten")
    local.copy(CopySource(bucket="bucket", key="large"), "other", "copy")
    assert local.bucket_totals() == [("bucket", 2, 100_011), ("other", 1, 100_000)]
    assemble(local, "joined", [bytes(50_000), bytes(3)])
    local.delete("bucket", "large")
    local.delete_many("other", ["copy", "missing"])
    assert local.bucket_totals() == [("bucket", 2, 50_014), ("other", 0, 0)]


def test_only_objects_that_can_be_listed_are_counted(local, put, part):
    put(local, "key", b"first")
    put(local, "key", b"replaced, and still readable for a while")
    upload_id = local.create_upload("bucket", "later", ObjectAttributes())
    part(local, upload_id, 1, bytes(50_000), key="later")

    assert local.bucket_totals() == [("bucket", 1, 40)]


def test_an_object_counts_until_the_sweep_that_removes_it(local, put, clock):
    put(local, "brief", b"data", ttl=60)
    clock.now += 61
    assert local.bucket_totals() == [("bucket", 1, 4)]

    local.sweep()

    assert local.bucket_totals() == [("bucket", 0, 0)]


def test_a_bucket_made_again_begins_at_nothing(local, put):
    put(local, "key", b"data")
    local.delete("bucket", "key")
    local.delete_bucket("bucket")
    assert local.bucket_totals() == []

    local.create_bucket("bucket")

    assert local.bucket_totals() == [("bucket", 0, 0)]


def test_a_change_that_fails_is_not_counted(local, put):
    def failing(connection):
        connection.execute("DELETE FROM object")
        raise StorageError("failed after a change")

    put(local, "key", b"data")
    with pytest.raises(StorageError, match="failed after"):
        local._index.run(failing)

    assert local.bucket_totals() == [("bucket", 1, 4)]


def test_fsck_tells_and_corrects_bytes_that_were_counted_wrong(local, put):
    put(local, "key", b"data")
    local._index.run(lambda connection: connection.execute(WRONG_BYTES))
    assert local.bucket_totals() == [("bucket", 1, 7)]

    (finding,) = local.maintenance.fsck()

    assert (finding.kind, finding.subject) == ("inconsistent", "bucket")
    assert finding.detail == (
        "1 objects of 7 bytes were counted in the bucket bucket, and 1 of 4 are there; it is corrected now"
    )
    assert local.bucket_totals() == [("bucket", 1, 4)]
    assert local.maintenance.fsck() == []


def test_bytes_that_were_counted_wrong_are_corrected_by_a_start_that_verifies(local, put, open_local, database, caplog):
    put(local, "key", b"data")
    local.close()
    change(database, WRONG_BYTES)

    engine = open_local()

    assert engine.bucket_totals() == [("bucket", 1, 4)]
    assert "1 objects of 7 bytes were counted in the bucket bucket, and 1 of 4 are there" in caplog.text


def test_a_count_that_differs_from_the_rows_is_damage_and_not_corrected(local, put, open_local, database):
    put(local, "key", b"data")
    local.close()
    change(database, "UPDATE tally SET entries = 2 WHERE name GLOB 'object/*'")

    with pytest.raises(IntegrityError, match="object: 1 rows are there and 2 are counted"):
        open_local()


@pytest.mark.parametrize("buckets", [[], ["empty"]])
def test_an_index_without_objects_is_sound_after_a_kill(open_local, tmp_path, buckets):
    engine = open_local()
    for bucket in buckets:
        engine.create_bucket(bucket)
    shutil.copytree(tmp_path / "data", tmp_path / "killed")

    again = open_local("killed")

    assert again._index.verified
    assert again.bucket_totals() == [(bucket, 0, 0) for bucket in buckets]
    assert again.maintenance.fsck() == []


def test_a_row_of_the_tally_that_is_gone_comes_back_while_its_bucket_is_empty(open_local, local, database):
    local.close()
    change(database, "DELETE FROM tally WHERE name GLOB 'object/*'")

    engine = open_local()

    assert engine.bucket_totals() == [("bucket", 0, 0)]
    assert engine.maintenance.fsck() == []


def test_a_rebuilt_index_has_counted_what_it_was_given(local, put, open_local, tmp_path, disk, clock):
    put(local, "small", b"data")
    put(local, "large", bytes(100_000))
    local.create_bucket("empty")
    local.close()

    with closing(Rebuild(tmp_path / "data", fsops=disk, clock=clock)) as rebuild:
        rebuild.run(commit=True)

    assert open_local().bucket_totals() == [("bucket", 2, 100_004), ("empty", 0, 0)]
