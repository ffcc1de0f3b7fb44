"""An index that is lost is made anew from what the blobs say of themselves, and from what is left of it."""

from __future__ import annotations

import errno
import os
import random
import shutil
from contextlib import closing, suppress
from dataclasses import replace

import pytest

from actorc.storage.errors import IntegrityError, ObjectNotFoundError, StorageError
from actorc.storage.models import ListQuery, ObjectAttributes
from actorc.storage.rules import KiB, MiB
from actorc.storage.server.engines.base import CopySource, PartChoice
from actorc.storage.server.engines.local import Rebuild
from actorc.storage.server.engines.local.index.schema import connect

LARGE = 40 * KiB


@pytest.fixture
def rebuild(tmp_path, disk, clock):
    def rebuilt(*, commit=True, fsops=disk):
        with closing(Rebuild(tmp_path / "data", fsops=fsops, clock=clock)) as rebuilding:
            return rebuilding.run(commit=commit)

    return rebuilt


def lose_index(tmp_path):
    shutil.rmtree(tmp_path / "data" / "meta")


def listing(engine):
    """Return all objects, as far as a blob knows them: their times differ by what a commit takes."""
    objects = engine.page(ListQuery(bucket="bucket")).objects
    return [one._replace(last_modified=None, expires_at=None) for one in objects]


def kinds(findings):
    return sorted((finding.kind, finding.subject) for finding in findings)


def blobs(tmp_path):
    return sorted(path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file())


def put_away(tmp_path):
    return sorted(path for path in (tmp_path / "data" / "quarantine").rglob("*") if path.is_file())


def test_a_lost_index_is_rebuilt_with_everything_that_has_a_blob(
    open_local, local, put, get, assemble, rebuild, tmp_path
):
    for number in range(20):
        put(local, f"dir/ключ {number}", os.urandom(LARGE + number), metadata={"n": str(number)}, content_type="a/b")
    put(local, "large", os.urandom(2 * MiB + 9), ttl=1000)
    assemble(local, "parts", [os.urandom(MiB + 5), b"small", os.urandom(LARGE)], metadata={"a": "ä"})
    assemble(local, "one part", [os.urandom(LARGE)])
    assemble(local, "small parts", [b"1", b"2"])
    expected = listing(local)
    contents = {one.key: get(local, one.key) for one in expected}
    local.close()
    lose_index(tmp_path)

    findings = rebuild()

    engine = open_local()
    assert expected == listing(engine)
    assert contents == {one.key: get(engine, one.key) for one in expected}
    assert [finding.kind for finding in findings].count("restored") == len(expected)
    assert [finding.subject for finding in findings if finding.kind == "lost"] == ["meta.db"]
    assert engine.maintenance.fsck() == []
    assert engine.head("bucket", "large").expires_at is not None
    assert put(engine, "new").generation > max(one.generation for one in expected)


def test_without_yes_nothing_is_changed(local, put, rebuild, tmp_path, files):
    put(local, "key", bytes(LARGE))
    local.close()
    (tmp_path / "data" / "meta" / "meta.db").write_bytes(b"")
    before = files(tmp_path / "data")

    assert ("restored", "bucket/key") in kinds(rebuild(commit=False))

    assert before == files(tmp_path / "data")
    assert (tmp_path / "data" / "meta" / "meta.db").read_bytes() == b""


def test_what_an_old_index_still_proves_is_kept(open_local, local, put, get, assemble, rebuild, tmp_path):
    put(local, "small", b"small", metadata={"a": "b"})
    put(local, "large", bytes(LARGE))
    put(local, "empty")
    assemble(local, "parts", [bytes(LARGE), b"small"])
    local.copy(CopySource(bucket="bucket", key="large"), "bucket", "copy")
    local.copy(CopySource(bucket="bucket", key="parts"), "bucket", "copied parts")
    expected = local.page(ListQuery(bucket="bucket"))
    local.close()

    findings = rebuild()

    engine = open_local()
    assert expected == engine.page(ListQuery(bucket="bucket"))
    assert [finding.detail for finding in findings] == ["6 objects of which the old index still had all"]
    assert engine.maintenance.fsck() == []
    engine.delete("bucket", "large")
    assert bytes(LARGE) == get(engine, "copy")
    engine.delete_many("bucket", ["copy", "parts", "copied parts"])
    engine.sweep()
    assert (blobs(tmp_path), put_away(tmp_path)) == ([], [])


def test_a_row_that_contradicts_its_blob_or_its_bytes_is_not_believed(open_local, local, put, get, rebuild, tmp_path):
    put(local, "name", bytes(LARGE))
    put(local, "inline", b"data")
    local.close()
    with connect(tmp_path / "data" / "meta" / "meta.db") as connection:
        connection.execute("UPDATE content SET data = ? WHERE data IS NOT NULL", (b"dbta",))
    connection.close()

    findings = rebuild()

    engine = open_local()
    assert ("lost", "bucket/inline") in kinds(findings)
    assert bytes(LARGE) == get(engine, "name")
    with pytest.raises(ObjectNotFoundError):
        engine.head("bucket", "inline")
    assert [path.name[:13] for path in (tmp_path / "data").glob("meta.*")] == ["meta.damaged-"]


def test_a_flipped_bit_in_the_file_of_an_index_costs_no_more_than_its_row(
    open_local, local, put, get, rebuild, tmp_path
):
    for number in range(5):
        put(local, f"small {number}", b"small", metadata={"name": f"value {number}"})
    put(local, "large", bytes(LARGE), metadata={"name": "value of the large one"})
    local.close()
    file = tmp_path / "data" / "meta" / "meta.db"
    file.write_bytes(file.read_bytes().replace(b"value 3", b"value 7").replace(b"the large", b"ths large"))
    with pytest.raises(IntegrityError, match="--rebuild"):
        open_local()

    findings = rebuild()

    engine = open_local()
    assert [finding.subject for finding in findings if finding.kind == "lost"] == ["bucket/large", "bucket/small 3"]
    assert [finding.subject for finding in findings if finding.kind == "restored"] == ["bucket/large"]
    assert [one.key for one in engine.page(ListQuery(bucket="bucket")).objects] == [
        "large",
        *(f"small {number}" for number in (0, 1, 2, 4)),
    ]
    assert engine.head("bucket", "large").metadata == {"name": "value of the large one"}
    assert engine.maintenance.fsck() == []


def test_of_an_index_that_was_cut_short_what_is_left_is_kept(open_local, local, put, get, rebuild, tmp_path):
    database = tmp_path / "data" / "meta" / "meta.db"
    numbers = range(60)
    for number in numbers:
        put(local, f"key{number}", bytes([number]) * 2000)
    local.close()
    os.truncate(database, database.stat().st_size - 2 * 4096)

    rebuild()

    engine = open_local()
    kept = {info.key for info in engine.page(ListQuery(bucket="bucket", limit=100)).objects}
    assert len(kept) > 40
    assert all(get(engine, f"key{number}") == bytes([number]) * 2000 for number in numbers if f"key{number}" in kept)
    assert engine.maintenance.fsck() == []


def test_of_two_generations_the_later_one_is_restored_and_the_other_one_kept(
    open_local, local, put, get, rebuild, tmp_path
):
    put(local, "key", b"1" * LARGE)
    put(local, "key", b"2" * LARGE)
    local.close()
    lose_index(tmp_path)

    findings = rebuild()

    engine = open_local()
    assert get(engine, "key") == b"2" * LARGE
    assert [kind for kind, _ in kinds(findings)] == ["lost", "restored", "superseded"]
    assert [path.read_bytes()[:1] for path in put_away(tmp_path)] == [b"1"]


def test_deleted_objects_come_back_only_if_nothing_tells_that_they_were(open_local, local, put, rebuild, tmp_path):
    put(local, "key", bytes(LARGE))
    local.delete("bucket", "key")
    local.close()
    shutil.copytree(tmp_path / "data", tmp_path / "copy")

    assert ("restored", "bucket/key") not in kinds(rebuild())
    assert len(put_away(tmp_path)) == 1

    shutil.rmtree(tmp_path / "data")
    shutil.move(tmp_path / "copy", tmp_path / "data")
    lose_index(tmp_path)
    assert ("restored", "bucket/key") in kinds(rebuild())
    assert open_local().head("bucket", "key").size == LARGE


def test_what_cannot_be_rebuilt_is_told_and_kept(open_local, local, put, part, rebuild, tmp_path):
    upload_id = local.create_upload("bucket", "key", ObjectAttributes())
    part(local, upload_id, 1, bytes(LARGE))
    put(local, "old", bytes(LARGE + 1))
    put(local, "flipped", bytes(LARGE + 2))
    for blob in blobs(tmp_path):
        data = bytearray(blob.read_bytes())
        blob.chmod(0o600)
        if b'"old"' in data:
            os.truncate(blob, LARGE + 1)
        elif b'"flipped"' in data:
            data[-40] ^= 1
            blob.write_bytes(data)
    local.close()
    lose_index(tmp_path)

    findings = rebuild()

    assert [kind for kind, _ in kinds(findings)] == ["incomplete", "lost", "unlabelled", "unlabelled"]
    assert "bucket/key, part 1 of an upload" in [finding.subject for finding in findings]
    assert len(put_away(tmp_path)) == 3
    assert open_local().buckets() == []


def test_an_object_with_damaged_bytes_is_restored_as_damaged(open_local, local, put, get, rebuild, tmp_path):
    data = os.urandom(2 * MiB)
    put(local, "key", data)
    (blob,) = blobs(tmp_path)
    blob.chmod(0o600)
    with blob.open("r+b") as file:
        file.seek(MiB + 5)
        file.write(b"damage")
    local.close()
    lose_index(tmp_path)

    assert ("damaged", "bucket/key") in kinds(rebuild())

    engine = open_local()
    with engine.read("bucket", "key") as reader:
        chunks = reader.chunks()
        assert next(chunks).data == data[:MiB]
        with pytest.raises(IntegrityError):
            next(chunks)


class Stopping:
    """The real disk up to the n-th change, which fails, as do all behind it."""

    def __init__(self, disk, left):
        self._disk, self._left = disk, left

    def __getattr__(self, name):
        real = getattr(self._disk, name)
        if name not in {"create", "rename", "sync_directory", "make_directory", "unlink", "commit", "sync", "write"}:
            return real

        def call(*args):
            self._left -= 1
            if self._left < 0:
                raise OSError(errno.EIO, "stopped")
            return real(*args)

        return call


def test_a_rebuild_that_stops_anywhere_can_be_done_again(open_local, disk, put, get, rebuild, tmp_path, thorough):
    engine = open_local()
    engine.create_bucket("bucket")
    put(engine, "small", b"small")
    put(engine, "large", b"1" * LARGE)
    put(engine, "large", b"2" * LARGE)
    engine.close()
    shutil.copytree(tmp_path / "data", tmp_path / "kept")
    calls, done = 0, False
    while not done:
        shutil.rmtree(tmp_path / "data")
        shutil.copytree(tmp_path / "kept", tmp_path / "data")
        with suppress(StorageError):
            rebuild(fsops=Stopping(disk, calls))
            done = True
        if not (tmp_path / "data" / "meta" / "meta.db").exists():
            with pytest.raises(StorageError, match="--rebuild"):
                open_local()
        rebuild()
        engine = open_local()
        assert (get(engine, "small"), get(engine, "large")) == (b"small", b"2" * LARGE)
        assert len(blobs(tmp_path)) + len(put_away(tmp_path)) == 2
        assert [finding for finding in engine.maintenance.fsck() if finding.kind != "quarantined"] == []
        engine.close()
        calls += 1 if thorough else 7
    assert calls > 10


def test_a_directory_that_is_in_use_is_not_rebuilt(local, rebuild):
    with pytest.raises(StorageError, match="in use"):
        rebuild()


def forget(tmp_path, key):
    with connect(tmp_path / "data" / "meta" / "meta.db") as connection:
        where = "(SELECT content_id FROM object WHERE key = ?)"
        connection.execute(f"DELETE FROM content WHERE id = {where}", (key.encode(),))
        connection.execute("DELETE FROM object WHERE key = ?", (key.encode(),))
    connection.close()


def test_what_the_index_lost_is_adopted_under_its_key(local, put, get, tmp_path):
    info = put(local, "key", b"1" * LARGE, metadata={"a": "b"})
    forget(tmp_path, "key")
    local.sweep()
    assert len(put_away(tmp_path)) == 1

    assert kinds(local.maintenance.adopt()) == [("restored", "bucket/key")]

    assert local.head("bucket", "key").etag == info.etag
    assert get(local, "key") == b"1" * LARGE
    assert (len(blobs(tmp_path)), put_away(tmp_path)) == (1, [])
    assert local.maintenance.adopt() == []


def test_adopting_never_replaces_an_object(local, put, get, tmp_path):
    put(local, "key", b"1" * LARGE)
    forget(tmp_path, "key")
    put(local, "key", b"2" * LARGE)

    assert kinds(local.maintenance.adopt()) == [("superseded", "bucket/key")]
    assert get(local, "key") == b"2" * LARGE
    assert len(put_away(tmp_path)) == 1


def test_a_later_object_is_adopted_beside_the_one_that_is_there(local, put, get, tmp_path):
    put(local, "key", b"2" * LARGE)
    later = put(local, "later", b"3" * LARGE)
    (blob,) = [path for path in blobs(tmp_path) if path.read_bytes().startswith(b"3")]
    forget(tmp_path, "later")
    rename(blob, "later", "key")

    (finding,) = local.maintenance.adopt()

    assert finding.detail.endswith(f"as key.adopted-{later.generation:x}, since another object is there")
    assert get(local, "key") == b"2" * LARGE
    assert get(local, f"key.adopted-{later.generation:x}") == b"3" * LARGE


def rename(blob, before, after):
    """Let a blob say that it has another key."""
    from actorc.storage.server.engines.local.disk.fsops import FsOps
    from actorc.storage.server.engines.local.disk.trailer import pack_trailer, read_trailer

    descriptor = os.open(blob, os.O_RDONLY)
    trailer = read_trailer(FsOps(), descriptor)
    os.close(descriptor)
    assert trailer.key == before
    payload = blob.read_bytes()[: trailer.size]
    blob.chmod(0o600)
    blob.write_bytes(payload + pack_trailer(replace(trailer, key=after)))


def test_an_older_copy_of_the_index_gets_what_came_after_it(open_local, local, put, get, part, rebuild, tmp_path):
    put(local, "stays", b"0" * LARGE)
    put(local, "replaced", b"1" * LARGE)
    upload_id = local.create_upload("bucket", "parts", ObjectAttributes())
    one = part(local, upload_id, 1, b"4" * LARGE, key="parts")
    local.close()
    shutil.copytree(tmp_path / "data" / "meta", tmp_path / "older")
    engine = open_local()
    put(engine, "replaced", b"2" * LARGE)
    put(engine, "new", b"3" * LARGE)
    engine.complete_upload("bucket", "parts", upload_id, [PartChoice(one.number, one.etag)])
    expected = listing(engine)
    engine.close()
    for blob in blobs(tmp_path):
        if blob.read_bytes().startswith(b"1"):
            blob.unlink()  # as the sweeper would have in time
    lose_index(tmp_path)
    shutil.move(tmp_path / "older", tmp_path / "data" / "meta")

    engine = open_local(repairing=True)
    findings = engine.maintenance.adopt()

    assert kinds(findings) == [("restored", f"bucket/{key}") for key in ("new", "parts", "replaced")]
    assert expected == listing(engine)
    assert get(engine, "replaced") == b"2" * LARGE
    assert get(engine, "parts") == b"4" * LARGE


def test_adopting_that_stops_anywhere_can_be_done_again(open_local, disk, put, get, assemble, tmp_path, thorough):
    engine = open_local()
    engine.create_bucket("bucket")
    put(engine, "key", b"1" * LARGE)
    assemble(engine, "parts", [b"2" * LARGE, b"small"])
    for key in ("key", "parts"):
        forget(tmp_path, key)
    with connect(tmp_path / "data" / "meta" / "meta.db") as connection:
        connection.execute("DELETE FROM segment")
        connection.execute("DELETE FROM content")
    connection.close()
    engine.sweep()
    engine.close()
    shutil.copytree(tmp_path / "data", tmp_path / "kept")
    calls, done = 0, False
    while not done:
        shutil.rmtree(tmp_path / "data")
        shutil.copytree(tmp_path / "kept", tmp_path / "data")
        stopping = Stopping(disk, 1 << 30)
        engine = open_local(fsops=stopping, repairing=True)
        stopping._left = calls
        with suppress(StorageError):
            engine.maintenance.adopt()
            done = True
        stopping._left = 1 << 30
        engine.close()
        engine = open_local(repairing=True)
        engine.maintenance.adopt()
        assert (get(engine, "key"), get(engine, "parts")) == (b"1" * LARGE, b"2" * LARGE + b"small")
        assert len(blobs(tmp_path)) + len(put_away(tmp_path)) == 3
        assert engine.maintenance.fsck() == []
        engine.close()
        calls += 1 if thorough else 5
    assert calls > 4


def test_the_quarantine_is_emptied_when_told_to(local, put, tmp_path):
    put(local, "key", bytes(LARGE))
    forget(tmp_path, "key")
    assert local.maintenance.accept() == 1

    assert local.maintenance.empty_quarantine() == 1
    assert (blobs(tmp_path), put_away(tmp_path)) == ([], [])


def test_damage_anywhere_in_a_trailer_never_makes_a_wrong_object(local, put, rebuild, tmp_path, thorough):
    put(local, "key", os.urandom(LARGE), metadata={"a": "b"})
    local.close()
    (blob,) = blobs(tmp_path)
    intact = blob.read_bytes()
    random_ = random.Random(3)
    for _ in range(100 if thorough else 5):
        lose_index(tmp_path)
        damaged = bytearray(intact)
        damaged[random_.randrange(LARGE, len(intact))] ^= 1 << random_.randrange(8)
        blob.chmod(0o600)
        blob.write_bytes(damaged)
        assert "unlabelled" in [finding.kind for finding in rebuild()]
        (kept,) = put_away(tmp_path)
        kept.rename(blob)
