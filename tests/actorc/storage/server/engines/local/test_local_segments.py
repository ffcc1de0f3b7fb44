"""Objects of several files, and several objects of the same files."""

from __future__ import annotations

import os
import random
import threading

import pytest

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import IntegrityError, InvalidParameterError, ObjectNotFoundError, UploadNotFoundError
from actorc.storage.models import ByteRange, ObjectAttributes
from actorc.storage.rules import MAX_OBJECT_SIZE, MiB
from actorc.storage.server.engines.base import CopySource, PartChoice
from actorc.storage.server.engines.local import INLINE_MAX
from actorc.storage.server.engines.local.index.index import Index

LARGE = INLINE_MAX + 1
PIECES = [b"a" * (2 * MiB + 3), b"b" * 7, b"c" * LARGE, b"", b"d" * MiB]
WHOLE = b"".join(PIECES)


def copy(engine, source, target, **options):
    return engine.copy(CopySource(bucket="bucket", key=source), "bucket", target, **options)


def counted(engine, table):
    with engine._index.reading() as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


@pytest.fixture
def watched(open_local, disk):
    """An engine that counts the bytes written to its disk."""

    class Counting(type(disk)):
        written = 0

        def write(self, descriptor, data, offset):
            self.written += len(data)
            super().write(descriptor, data, offset)

    counting = Counting()
    engine = open_local(fsops=counting)
    engine.create_bucket("bucket")
    return engine, counting


def test_neither_completing_nor_copying_touches_a_byte(watched, part, get):
    engine, counting = watched
    upload_id = engine.create_upload("bucket", "key", ObjectAttributes())
    parts = [part(engine, upload_id, number, data) for number, data in enumerate(PIECES, 1)]
    counting.written = 0

    engine.complete_upload("bucket", "key", upload_id, [PartChoice(one.number, one.etag) for one in parts])
    for _ in range(3):
        copy(engine, "key", "copy")

    assert counting.written < 1000  # the manifest, whatever the bytes of the parts
    assert get(engine, "copy") == WHOLE
    assert engine.maintenance.fsck() == []


@pytest.mark.thorough
def test_a_ten_thousand_part_object_costs_its_parts(local, part, get):
    upload_id = local.create_upload("bucket", "key", ObjectAttributes())
    stored = part(local, upload_id, 1, b"x")
    ledger = local._index._idempotency
    row = stored.size, int(stored.etag.partition("-")[0], 16), stored.crc32c, 0

    def fill(connection):
        for number in range(2, 10_001):
            content = connection.execute(
                "INSERT INTO content (size, sums, data) SELECT size, sums, data FROM content LIMIT 1"
            ).lastrowid
            connection.execute("INSERT INTO part VALUES (1, ?, ?, ?, ?, ?, ?)", (number, *row, content))

    ledger.run(fill)

    info = local.complete_upload(
        "bucket", "key", upload_id, [PartChoice(number, stored.etag) for number in range(1, 10_001)]
    )

    assert (10_000, crc32c(b"x" * 10_000)) == (info.size, info.crc32c)
    assert get(local, "key", part=ByteRange(9_000, 3)) == b"x" * 3
    assert local.maintenance.fsck() == []


def test_an_object_is_no_larger_than_an_object_may_be(local, part):
    upload_id = local.create_upload("bucket", "key", ObjectAttributes())
    parts = [part(local, upload_id, number, b"x" * LARGE) for number in (1, 2)]
    local._index._idempotency.run(
        lambda connection: connection.execute("UPDATE part SET size = ? WHERE number = 1", (MAX_OBJECT_SIZE,))
    )

    with pytest.raises(InvalidParameterError, match=f"at most {MAX_OBJECT_SIZE}"):
        local.complete_upload("bucket", "key", upload_id, [PartChoice(one.number, one.etag) for one in parts])


def test_files_are_removed_with_the_last_that_needs_them(local, put, assemble, get, files, tmp_path):
    put(local, "single", b"1" * LARGE)
    assemble(local, "parts", PIECES)
    for key in ("single", "parts"):
        copy(local, key, f"{key}-copy")
        local.delete("bucket", key)
    local.sweep()

    assert len(files(tmp_path / "data" / "blobs")) == 5  # the manifest of the parts included
    assert (get(local, "single-copy"), get(local, "parts-copy")) == (b"1" * LARGE, WHOLE)
    assert local.maintenance.fsck() == []

    local.delete_many("bucket", ["single-copy", "parts-copy"])
    local.sweep()
    assert files(tmp_path / "data" / "blobs") == []
    assert (counted(local, "content"), counted(local, "segment"), counted(local, "garbage")) == (0, 0, 0)
    assert local.maintenance.fsck() == []


def test_a_copy_onto_itself_keeps_the_generation_before_readable(local, assemble, get, clock, files, tmp_path):
    before = assemble(local, "key", PIECES)
    after = copy(local, "key", "key", attributes=ObjectAttributes(content_type="text/x-new"))

    assert WHOLE == get(local, "key") == get(local, "key", generation=before.generation)
    clock.now += 3600
    local.sweep()
    with pytest.raises(ObjectNotFoundError):
        get(local, "key", generation=before.generation)
    assert after == local.head("bucket", "key")
    assert get(local, "key") == WHOLE
    assert len(files(tmp_path / "data" / "blobs")) == 4
    assert local.maintenance.fsck() == []


def test_a_replaced_dropped_or_aborted_part_leaves_no_file(local, part, get, files, tmp_path):
    upload_id = local.create_upload("bucket", "key", ObjectAttributes())
    aborted = local.create_upload("bucket", "key", ObjectAttributes())
    part(local, upload_id, 1, b"1" * LARGE)
    kept = part(local, upload_id, 1, b"2" * LARGE)
    part(local, upload_id, 2, b"3" * LARGE)
    part(local, aborted, 1, b"4" * LARGE)
    assert len(files(tmp_path / "data" / "blobs")) == 4

    local.complete_upload("bucket", "key", upload_id, [PartChoice(1, kept.etag)])
    local.abort_upload("bucket", "key", aborted)
    local.sweep()

    assert get(local, "key") == b"2" * LARGE
    assert len(files(tmp_path / "data" / "blobs")) == 2  # the part and the manifest
    assert (counted(local, "content"), counted(local, "segment")) == (3, 2)
    assert local.maintenance.fsck() == []


def test_parts_are_durable_before_they_are_part_of_an_object(open_local, local, part, get):
    upload_id = local.create_upload("bucket", "key", ObjectAttributes(metadata={"a": "ä"}))
    parts = [part(local, upload_id, number, data) for number, data in enumerate(PIECES, 1)]
    local.close()

    engine = open_local()

    assert parts == engine.list_parts("bucket", "key", upload_id)
    engine.complete_upload("bucket", "key", upload_id, [PartChoice(one.number, one.etag) for one in parts])
    assert get(engine, "key") == WHOLE
    assert engine.head("bucket", "key").metadata == {"a": "ä"}


def test_a_part_that_comes_too_late_is_refused_and_leaves_no_file(local, files, tmp_path):
    upload_id = local.create_upload("bucket", "key", ObjectAttributes())
    with local.part_writer("bucket", "key", upload_id, 1) as writer:
        writer.write(bytes(LARGE), crc32c(bytes(LARGE)))
        local.abort_upload("bucket", "key", upload_id)
        with pytest.raises(UploadNotFoundError):
            writer.commit()

    assert files(tmp_path / "data" / "blobs") == []
    assert files(tmp_path / "data" / "staging") == []


@pytest.mark.parametrize("change", ["delete", "replace"])
def test_a_reader_of_many_files_is_a_snapshot(local, put, assemble, files, tmp_path, change, open_below):
    data = [bytes([number]) * LARGE for number in range(1, 40)]
    assemble(local, "key", data)
    before = open_below(tmp_path)

    with local.read("bucket", "key") as reader:
        chunks = reader.chunks()
        first = next(chunks).data
        if change == "delete":
            local.delete("bucket", "key")
        else:
            for size in range(3):
                put(local, "key", bytes(size))
            local.delete("bucket", "key")
        local.sweep()
        local.sweep()

        assert b"".join(data) == first + b"".join(chunk.data for chunk in chunks)
        assert len(open_below(tmp_path)) - len(before) <= 2
        assert data[5] == b"".join(chunk.data for chunk in reader.chunks(ByteRange(5 * LARGE, LARGE)))
        assert len(files(tmp_path / "data" / "blobs")) == 40

    local.sweep()
    assert files(tmp_path / "data" / "blobs") == []
    assert local.maintenance.fsck() == []
    assert open_below(tmp_path) == before


def test_garbage_that_is_being_read_does_not_hold_up_the_rest(local, put, assemble, files, tmp_path, monkeypatch):
    monkeypatch.setattr(Index, "batch", 2)
    assemble(local, "key", [bytes([number]) * LARGE for number in range(7)])
    for number in range(5):
        put(local, f"key{number}", bytes(LARGE))
    with local.read("bucket", "key"):
        local.delete("bucket", "key")
        local.delete_many("bucket", [f"key{number}" for number in range(5)])
        local.sweep()

        assert len(files(tmp_path / "data" / "blobs")) == 8
    local.sweep()
    assert files(tmp_path / "data" / "blobs") == []


@pytest.mark.slow
def test_readers_and_a_sweep_that_race_never_meet_half_an_object(open_local, assemble, get, thorough):
    engine = open_local(sweep_interval=0.0005)
    engine.create_bucket("bucket")
    versions = [bytes([number]) * (LARGE * 3) for number in range(4)]
    stop, wrong = threading.Event(), []

    def read():
        while not stop.is_set():
            try:
                data = get(engine, "key")
            except ObjectNotFoundError:
                continue
            if data not in versions:
                wrong.append(len(data))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(25 if thorough else 1):
        for data in versions:
            assemble(engine, "key", [data[:LARGE], data[LARGE : 2 * LARGE], data[2 * LARGE :]])
        engine.delete("bucket", "key")
    stop.set()
    for reader in readers:
        reader.join()

    assert wrong == []


def blob_of(tmp_path, data):
    """Return the file that holds `data`, and a trailer."""
    blobs = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
    (found,) = [path for path in blobs if path.read_bytes().rpartition(b'{"kind"')[0] == data]
    found.chmod(0o600)
    return found


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_damaged_part_is_an_error_where_it_is_read(local, assemble, get, tmp_path, number):
    pieces = [random.Random(seed).randbytes(LARGE) for seed in range(3)]
    assemble(local, "key", pieces)
    with blob_of(tmp_path, pieces[number]).open("r+b") as file:
        file.write(bytes((pieces[number][0] ^ 1,)))

    for other in {0, 1, 2} - {number}:
        assert pieces[other] == get(local, "key", part=ByteRange(other * LARGE, LARGE))
    with pytest.raises(IntegrityError):
        get(local, "key", part=ByteRange(number * LARGE + 5, 1))
    assert [(finding.kind, finding.subject) for finding in local.maintenance.fsck()] == [("damaged", "key")]


@pytest.mark.parametrize("number", [0, 2])
def test_a_lost_part_is_an_error_and_not_a_missing_object(local, assemble, get, tmp_path, number):
    assemble(local, "key", [bytes([number]) * LARGE for number in range(3)])
    blob_of(tmp_path, bytes([number]) * LARGE).unlink()

    with pytest.raises(IntegrityError):
        get(local, "key")

    assert local.head("bucket", "key")
    assert [finding.kind for finding in local.maintenance.fsck()] == ["damaged"]


@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        ("UPDATE content SET refs = 2 WHERE file IS NULL AND data IS NULL", {"inconsistent"}),
        ("DELETE FROM segment WHERE position = 1", {"leftover", "damaged"}),
        ("DELETE FROM content WHERE file IS NULL AND data IS NULL", {"damaged", "inconsistent"}),
        ("UPDATE object SET size = size + 1", {"damaged"}),
        ("INSERT INTO content (size, sums, data) VALUES (0, x'', x'')", {"leftover"}),
    ],
)
def test_an_index_that_contradicts_itself_is_found(local, assemble, damage, kinds):
    assemble(local, "key", PIECES)
    local._index._idempotency.run(lambda connection: connection.execute(damage))

    assert kinds == {finding.kind for finding in local.maintenance.fsck()}


def test_a_part_of_an_upload_is_checked_as_well(local, part, tmp_path):
    upload_id = local.create_upload("bucket", "key", ObjectAttributes())
    part(local, upload_id, 1, bytes(LARGE))
    assert local.maintenance.fsck() == []
    os.truncate(blob_of(tmp_path, bytes(LARGE)), 5)

    assert [(finding.kind, finding.subject) for finding in local.maintenance.fsck()] == [("damaged", "key")]
