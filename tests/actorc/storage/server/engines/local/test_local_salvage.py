"""Of a damaged index all rows come back that are on a whole page, whatever leads there."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing

import pytest

from actorc.storage.models import WHOLE, ListQuery
from actorc.storage.rules import KiB
from actorc.storage.server.engines.local import LocalEngine, Rebuild

PAGE = 4096
ON_ONE_PAGE = 60
"""More rows than a page has."""


@pytest.fixture(scope="module")
def stored():
    """The bytes of each key; most are kept in the index, some of them on overflow pages."""
    chooser = random.Random(1)
    sizes = [*(chooser.randrange(300) for _ in range(400)), *(chooser.randrange(16 * KiB) for _ in range(20)), 40 * KiB]
    return {f"dir/ключ {number}": chooser.randbytes(size) for number, size in enumerate(sizes)}


@pytest.fixture(scope="module")
def closed(tmp_path_factory, put, stored):
    """A data directory with what is stored, and free pages with rows of objects that were deleted."""
    directory = tmp_path_factory.mktemp("closed") / "data"
    with closing(LocalEngine(directory, sweep_interval=None)) as engine:
        engine.create_bucket("bucket")
        for key, data in stored.items():
            put(engine, key, data)
        for number in range(300):
            put(engine, f"deleted {number}", b"deleted" * 20)
        engine.delete_many("bucket", [f"deleted {number}" for number in range(300)])
    return directory


@pytest.fixture
def damaged(closed, tmp_path):
    """Copy the directory and overwrite pages of its index, which are counted from 1; without bytes, with zeros."""

    def copy(*pages, data=bytes(PAGE)):
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        shutil.copytree(closed, tmp_path / "data")
        with (tmp_path / "data" / "meta" / "meta.db").open("r+b") as file:
            for page in pages:
                file.seek((page - 1) * PAGE)
                file.write(data)
        return tmp_path / "data"

    return copy


@pytest.fixture
def rebuilt():
    """Rebuild the index of a directory; return the bytes that it then has by bucket and key, and the findings."""

    def rebuild(directory):
        with closing(Rebuild(directory)) as rebuilding:
            findings = rebuilding.run(commit=True)
        with closing(LocalEngine(directory, sweep_interval=None)) as engine:
            assert [finding for finding in engine.maintenance.fsck() if finding.kind == "damaged"] == []
            kept = {bucket.name: dict(everything(engine, bucket.name)) for bucket in engine.buckets()}
        return kept, findings

    return rebuild


def everything(engine, bucket):
    page = None
    while page is None or page.next_after:
        page = engine.page(ListQuery(bucket=bucket, after=page.next_after if page else ""))
        for one in page.objects:
            with engine.read(bucket, one.key) as reader:
                yield one.key, b"".join(chunk.data for chunk in reader.chunks(WHOLE))


def root_of(directory, table):
    with closing(sqlite3.connect(f"file:{directory}/meta/meta.db?mode=ro&immutable=1", uri=True)) as connection:
        return connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]


def pages_of(directory):
    return range(1, (directory / "meta" / "meta.db").stat().st_size // PAGE + 1)


def test_without_the_root_of_the_contents_all_small_objects_come_back(closed, damaged, rebuilt, stored):
    kept, findings = rebuilt(damaged(root_of(closed, "content")))

    assert kept == {"bucket": stored}
    assert [finding.detail for finding in findings if finding.kind == "salvaged"][-1] == (
        "421 objects of pages that nothing leads to any more"
    )
    assert [finding for finding in findings if finding.kind == "lost"] == []


def test_without_the_root_of_the_objects_those_on_other_pages_come_back(closed, damaged, rebuilt, stored):
    kept, findings = rebuilt(damaged(root_of(closed, "object")))

    assert len(stored) - ON_ONE_PAGE < len(kept["bucket"]) < len(stored)
    lost = len(stored) - len(kept["bucket"])
    assert f"the rows of {lost} more objects" in [finding for finding in findings if finding.kind == "lost"][-1].detail
    assert kept["bucket"].items() <= stored.items()


def test_without_the_first_page_all_objects_come_back_and_deleted_ones_may(damaged, rebuilt, stored):
    kept, findings = rebuilt(damaged(1))

    assert stored.items() <= kept["bucket"].items()
    assert "may have been deleted or replaced before" in findings[0].detail


def test_a_bucket_whose_name_is_lost_has_the_name_that_its_blobs_tell(closed, damaged, rebuilt, stored):
    kept, _ = rebuilt(damaged(root_of(closed, "bucket")))

    assert kept == {"bucket": stored}


def test_a_bucket_whose_name_is_lost_and_that_has_no_blobs_gets_another_one(open_local, local, put, rebuilt, tmp_path):
    put(local, "key", b"data")
    local.close()
    with (tmp_path / "data" / "meta" / "meta.db").open("r+b") as file:
        file.seek((root_of(tmp_path / "data", "bucket") - 1) * PAGE)
        file.write(bytes(PAGE))

    kept, findings = rebuilt(tmp_path / "data")

    assert kept == {"recovered-1": {"key": b"data"}}
    assert "recovered-1" in [finding.subject for finding in findings]


def test_any_page_costs_its_own_rows_only_and_brings_nothing_back(closed, damaged, rebuilt, stored, thorough):
    pages = list(pages_of(closed))[1:]
    for page in pages if thorough else random.Random(2).sample(pages, 6):
        kept, _ = rebuilt(damaged(page))

        assert len(kept["bucket"]) > len(stored) - ON_ONE_PAGE
        assert kept["bucket"].items() <= stored.items()


def test_pages_of_garbage_never_make_a_wrong_object(closed, damaged, rebuilt, stored, thorough):
    chooser = random.Random(3)
    for _ in range(40 if thorough else 3):
        number = chooser.choice(pages_of(closed)[1:])
        page = bytearray((closed / "meta" / "meta.db").read_bytes()[(number - 1) * PAGE : number * PAGE])
        for _ in range(chooser.randrange(1, 200)):
            page[chooser.randrange(PAGE) if chooser.random() < 0.5 else chooser.randrange(100)] = chooser.randrange(256)

        kept, _ = rebuilt(damaged(number, data=bytes(page)))

        deleted = {key for key in kept["bucket"] if key.startswith("deleted")}
        assert {key: data for key, data in kept["bucket"].items() if key not in deleted}.items() <= stored.items()
        assert all(kept["bucket"][key] == b"deleted" * 20 for key in deleted)
