"""A data directory in careless hands: files removed, exchanged or put back, and what is said and done about it."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import closing

import pytest

from actorc.storage.errors import IntegrityError, ReadOnlyError, StorageError
from actorc.storage.models import ListQuery
from actorc.storage.rules import KiB
from actorc.storage.server.engines.local import LocalEngine, Rebuild

LARGE = 40 * KiB


@pytest.fixture
def data(local, put, tmp_path):
    """A data directory with a small and a large object, and no engine."""
    put(local, "small", b"small")
    put(local, "large", b"l" * LARGE)
    local.close()
    return tmp_path / "data"


@pytest.fixture
def rebuild(disk, clock):
    def rebuilt(path, *, commit=True):
        with closing(Rebuild(path, fsops=disk, clock=clock)) as rebuilding:
            return rebuilding.run(commit=commit)

    return rebuilt


def keys(engine):
    return [one.key for one in engine.page(ListQuery(bucket="bucket")).objects]


def label(data):
    return json.loads((data / "FORMAT").read_text())


@pytest.mark.parametrize("removed", [["meta"], ["meta", "blobs"], ["meta", "blobs", "staging"], ["meta/meta.db"]])
def test_a_directory_that_was_in_use_never_starts_again_as_an_empty_one(open_local, put, tmp_path, removed):
    engine = open_local()
    engine.create_bucket("bucket")
    put(engine, "small", b"small")  # which no blob tells of
    engine.close()
    for name in removed:
        path = tmp_path / "data" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    with pytest.raises(StorageError, match=r"meta\.db is missing.*fsck .*--rebuild"):
        open_local()
    with pytest.raises(StorageError, match=r"meta\.db is missing"):
        open_local()


def test_a_directory_that_was_never_used_starts_after_a_kill_between_its_label_and_its_index(open_local, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "FORMAT").write_text('{"format": 2, "store": "one"}')

    assert open_local().buckets() == []
    assert label(tmp_path / "data") == {"format": 2, "store": "one", "index": True}


def test_a_directory_labelled_by_an_earlier_version_is_labelled_anew(data, open_local):
    (data / "FORMAT").write_text(json.dumps({"format": 2, "store": label(data)["store"]}))

    open_local().close()

    assert label(data)["index"] is True


@pytest.mark.few(2)
@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"format": 2', b"\xff\xfe", b'{"format": 2}'])
def test_a_lost_label_is_written_anew_by_a_rebuild_and_nothing_is_lost(data, open_local, rebuild, get, content):
    before = label(data)
    if content is None:
        (data / "FORMAT").unlink()
    else:
        (data / "FORMAT").write_bytes(content)
    with pytest.raises(StorageError, match=r"FORMAT is (missing|damaged).*fsck .*--rebuild"):
        open_local()
    rebuild(data, commit=False)
    with pytest.raises(StorageError, match=r"FORMAT is (missing|damaged)"):
        open_local()

    rebuild(data)

    engine = open_local()
    assert label(data) == before
    assert (get(engine, "small"), get(engine, "large")) == (b"small", b"l" * LARGE)
    assert engine.maintenance.fsck() == []


def test_a_rebuild_leaves_the_directories_of_others_alone(rebuild, tmp_path):
    (tmp_path / "other" / "blobs").mkdir(parents=True)

    with pytest.raises(StorageError, match="no data directory"):
        rebuild(tmp_path / "other")


def test_the_index_of_another_store_is_not_rebuilt_into_this_one(data, open_local, put, get, rebuild):
    other = open_local("other")
    other.create_bucket("bucket")
    put(other, "foreign", b"foreign")
    other.close()
    shutil.rmtree(data / "meta")
    shutil.copytree(data.parent / "other" / "meta", data / "meta")
    with pytest.raises(StorageError, match="belongs to another data directory"):
        open_local()

    with pytest.raises(StorageError, match=r"belongs to another data directory than FORMAT; .* meta away"):
        rebuild(data)

    shutil.rmtree(data / "meta")
    rebuild(data)
    engine = open_local()
    assert keys(engine) == ["large"]
    assert get(engine, "large") == b"l" * LARGE


def test_an_earlier_mark_does_not_stand_in_for_a_log_that_is_gone(data, open_local, put, disk, clock):
    mark = (data / "meta" / "clean").read_bytes()
    # what was carried over since is in the file; what was not would be lost
    with closing(LocalEngine(data, fsops=disk, clock=clock, sweep_interval=None)) as engine:
        put(engine, "later", b"1")
    (data / "meta" / "clean").write_bytes(mark)

    with pytest.raises(IntegrityError, match="is missing, and the mark of a clean stop is of an earlier one"):
        open_local()


@pytest.mark.parametrize("carried_over", [False, True])
def test_a_rebuild_without_the_log_tells_that_what_was_written_last_is_lost(
    open_local, put, rebuild, tmp_path, carried_over
):
    engine = open_local()
    engine.create_bucket("bucket")
    if carried_over:  # so that some rows can be read
        put(engine, "small", b"small")
        engine.close()
        engine = open_local()
    put(engine, "later", b"later")
    killed = tmp_path / "killed"
    shutil.copytree(tmp_path / "data", killed)
    (killed / "meta" / "meta.db-wal").unlink()

    findings = rebuild(killed)

    assert ("lost", "meta.db-wal") in {(finding.kind, finding.subject) for finding in findings}
    assert (("lost", "meta.db") in {(finding.kind, finding.subject) for finding in findings}) is not carried_over


def test_a_copy_of_a_directory_at_rest_is_as_good_as_the_directory(data, open_local, get):
    shutil.copytree(data, data.parent / "copy", copy_function=shutil.copyfile)  # without modes, times and attributes

    engine = open_local("copy")

    assert (get(engine, "small"), get(engine, "large")) == (b"small", b"l" * LARGE)
    assert engine.maintenance.fsck() == []


def test_a_truncated_blob_is_told_by_its_length(data, open_local):
    (blob,) = (path for path in (data / "blobs").rglob("*") if path.is_file())
    os.truncate(blob, LARGE - 1)

    (finding,) = open_local().maintenance.fsck()

    assert (finding.kind, finding.subject, finding.detail) == (
        "damaged",
        "large",
        f"{LARGE - 1} bytes are stored instead of {LARGE}",
    )


def test_nothing_is_published_in_another_directory_that_took_the_place_of_this_one(
    open_local, local, put, get, files, tmp_path
):
    put(local, "large", b"l" * LARGE)
    (tmp_path / "data").rename(tmp_path / "moved")
    other = open_local()
    other.create_bucket("bucket")
    put(other, "other", b"o" * LARGE)
    before = files(tmp_path / "data" / "blobs")

    with pytest.raises(StorageError, match="the data directory was moved"):
        put(local, "late", b"e" * LARGE)
    with pytest.raises(ReadOnlyError, match="the data directory was moved"):
        put(local, "small", b"small")
    with pytest.raises(StorageError):
        local.maintenance.accept()

    assert files(tmp_path / "data" / "blobs") == before
    assert get(other, "other") == b"o" * LARGE
    assert other.maintenance.fsck() == []
    local.close()
    moved = open_local("moved")
    assert keys(moved) == ["large"]
    assert get(moved, "large") == b"l" * LARGE
    assert moved.maintenance.fsck() == []


def test_a_directory_that_was_moved_away_is_told_and_not_a_lost_object(local, put, get, tmp_path):
    put(local, "large", b"l" * LARGE)
    (tmp_path / "data").rename(tmp_path / "moved")

    with pytest.raises(StorageError, match="the data directory was moved") as raised:
        get(local, "large")

    assert not isinstance(raised.value, IntegrityError)
