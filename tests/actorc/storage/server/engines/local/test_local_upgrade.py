"""Data directories that earlier versions made are opened, and brought to the present format once."""

from __future__ import annotations

import errno
import json
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from actorc.storage.errors import IntegrityError, StorageError
from actorc.storage.models import ListQuery
from actorc.storage.server.engines.local.index import schema

FORMAT_1 = Path(__file__).with_name("data") / "format-1.tar.xz"
"""A directory of format 1, whose index has no checksums: closed at the time that the clock of the tests begins at."""

FORMAT_2 = FORMAT_1.with_name("format-2.tar.xz")
"""One of format 2, whose index has no stamps, of the same time."""


FORMAT_3 = FORMAT_1.with_name("format-3.tar.xz")
"""One of format 2, whose index counts the objects of all buckets in one, of the same time."""


@pytest.fixture
def unpack(tmp_path):
    def unpacked(archive):
        with tarfile.open(archive) as opened:
            opened.extractall(tmp_path / "data", filter="data")
        return tmp_path / "data"

    return unpacked


@pytest.fixture
def old(unpack):
    return unpack(FORMAT_1)


@pytest.fixture
def older(unpack):
    return unpack(FORMAT_2)


def unchanged(engine, key):
    with engine.read("bucket", key) as reader:
        return [file.is_unchanged for file in reader.files()]


def test_a_directory_without_checksums_gets_them_and_loses_nothing(old, open_local, get, put):
    engine = open_local()

    assert json.loads((old / "FORMAT").read_text())["format"] == 2
    assert get(engine, "small") == b"data"
    assert engine.head("bucket", "small").metadata == {"colour": "grün"}
    assert get(engine, "large") == get(engine, "copy") == b"x" * 20000
    assert get(engine, "joined") == b"p" * 20000 + b"q" * 30
    assert [info.key for info in engine.page(ListQuery(bucket="bucket", limit=10)).objects] == [
        "brief",
        "copy",
        "joined",
        "large",
        "small",
    ]
    (upload,) = engine.list_uploads("bucket").uploads
    assert [part.size for part in engine.list_parts("bucket", "later", upload.upload_id)] == [5]
    assert [bucket.name for bucket in engine.buckets()] == ["bucket", "empty"]
    engine.sweep()
    assert engine.maintenance.fsck() == []
    assert put(engine, "after", b"data").generation > engine.head("bucket", "copy").generation
    engine.close()
    assert not open_local()._index.verified


def test_a_directory_without_stamps_gets_them_from_a_scrub_and_loses_nothing(older, open_local, get, put):
    engine = open_local()

    assert get(engine, "small") == b"data"
    assert get(engine, "large") == get(engine, "copy") == b"x" * 20000
    assert get(engine, "joined") == b"p" * 20000 + b"q" * 30
    assert unchanged(engine, "large") == [False]
    engine.maintenance.scrub()
    assert unchanged(engine, "large") == unchanged(engine, "copy") == [True]
    assert unchanged(engine, "joined") == [True, False]
    engine.sweep()
    assert engine.maintenance.fsck() == []
    assert put(engine, "after", b"data").generation > engine.head("bucket", "copy").generation
    engine.close()
    assert not open_local()._index.verified
    with closing(sqlite3.connect(older / "meta" / "meta.db")) as connection:
        assert schema.found(connection) == schema.expected()


@pytest.mark.parametrize(
    ("archive", "expected"),
    [
        (FORMAT_1, [("bucket", 5, 60038), ("empty", 0, 0)]),
        (FORMAT_2, [("bucket", 4, 60034)]),
        (FORMAT_3, [("bucket", 4, 60034), ("empty", 0, 0), ("other", 1, 7)]),
    ],
)
def test_a_directory_of_any_earlier_version_is_counted_when_it_is_opened(unpack, open_local, put, archive, expected):
    directory = unpack(archive)
    engine = open_local()

    assert engine.bucket_totals() == expected
    put(engine, "small", b"other data")
    put(engine, "new", bytes(20_000))
    counted = engine.bucket_totals()
    assert counted[0] == ("bucket", expected[0][1] + 1, expected[0][2] + 6 + 20_000)
    engine.sweep()
    assert engine.maintenance.fsck() == []
    engine.close()
    engine = open_local()
    assert engine.bucket_totals() == counted
    with closing(sqlite3.connect(directory / "meta" / "meta.db")) as connection:
        assert schema.found(connection) == schema.expected()


def test_every_row_of_an_index_without_stamps_is_verified_before_it_is_upgraded(older, open_local):
    with closing(sqlite3.connect(older / "meta" / "meta.db")) as connection:
        for name in ("object_guard_update", "object_count_update"):
            connection.execute(f"DROP TRIGGER {name}")
        connection.commit()

    with pytest.raises(IntegrityError, match="object_guard_update: its definition"):
        open_local()


def test_an_answer_that_an_earlier_version_remembered_is_still_given(old, open_local, put):
    assert old.is_dir()
    engine = open_local()
    before = engine.head("bucket", "small")

    assert put(engine, "small", b"anything", idempotency_key="call") == before == engine.head("bucket", "small")


def test_an_upgrade_that_fails_changes_nothing_and_is_made_by_the_next_start(old, open_local, disk, get):
    class Failing(type(disk)):
        left = 0

        def commit(self, connection):
            if self.left == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().commit(connection)

    with pytest.raises(StorageError, match="full"):
        open_local(fsops=Failing())

    assert json.loads((old / "FORMAT").read_text())["format"] == 1
    assert get(open_local(), "small") == b"data"


def test_an_upgraded_index_is_the_same_as_a_new_one(old, open_local, tmp_path):
    open_local().close()
    open_local("new").close()

    found = []
    for directory in (old, tmp_path / "new"):
        with closing(sqlite3.connect(directory / "meta" / "meta.db")) as connection:
            found.append(schema.found(connection))
    assert found[0] == found[1] == schema.expected()


def test_a_damaged_index_of_an_earlier_version_is_not_upgraded(old, open_local):
    database = old / "meta" / "meta.db"
    database.write_bytes(database.read_bytes()[: database.stat().st_size // 2])
    before = database.read_bytes()

    with pytest.raises(IntegrityError, match="damaged"):
        open_local()

    assert database.read_bytes() == before


def test_an_index_that_was_lost_before_it_was_upgraded_is_missed(old, open_local):
    shutil.rmtree(old / "meta")

    with pytest.raises(StorageError, match="missing"):
        open_local()
