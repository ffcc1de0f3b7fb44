"""Objects as files: read-only descriptors of blobs, with what proves their bytes, and files that are copied in."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import closing

import pytest

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import IntegrityError, ResourceExhaustedError
from actorc.storage.models import ObjectAttributes
from actorc.storage.rules import KiB, MiB
from actorc.storage.server.engines.base import CopySource
from actorc.storage.server.engines.blocks import block_length
from actorc.storage.server.engines.local import INLINE_MAX, Rebuild

BIG = b"begin" + os.urandom(2 * MiB + 12)


def content(files):
    """Read all of the files, and check the sum of every block."""
    found = []
    for file in files:
        data = file.data if file.descriptor < 0 else os.pread(file.descriptor, file.size, 0)
        for index, crc in enumerate(file.sums):
            assert crc32c(data[index * MiB :][: block_length(file.size, index)]) == crc
        found.append(data)
    return b"".join(found)


def blobs(tmp_path):
    return [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(BIG)
    with path.open("r+b") as file:
        yield file


@pytest.fixture
def import_it():
    def put_file(engine, key, file, *, idempotency_key=""):
        with engine.writer("bucket", key) as writer:
            writer.import_file(file.fileno(), 0, len(BIG))
            assert writer.size == len(BIG)
            return writer.commit(ObjectAttributes(), idempotency_key=idempotency_key)

    return put_file


def test_a_large_object_is_a_file_whose_blocks_are_proved(local, put):
    put(local, "key", BIG)

    with local.read("bucket", "key") as reader:
        files = reader.files()

        assert content(files) == BIG
        assert [file.is_unchanged for file in files] == [True]


def test_a_descriptor_of_a_blob_cannot_be_written_to(local, put, tmp_path):
    put(local, "key", BIG)

    with local.read("bucket", "key") as reader:
        (file,) = reader.files()

        assert fcntl.fcntl(file.descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(file.descriptor, b"data")
    (blob,) = blobs(tmp_path)
    assert stat.S_IMODE(blob.stat().st_mode) == 0o400


def test_a_small_object_has_no_file(local, put):
    put(local, "key", bytes(INLINE_MAX))

    with local.read("bucket", "key") as reader:
        assert reader.files() is None


def test_an_object_of_parts_is_a_list_of_files_with_small_parts_among_them(local, assemble):
    pieces = [BIG, b"small", bytes(20 * KiB)]
    assemble(local, "key", pieces)

    with local.read("bucket", "key") as reader:
        files = reader.files()

        assert content(files) == b"".join(pieces)
        assert [file.size for file in files] == [len(piece) for piece in pieces]
        assert [file.is_unchanged for file in files] == [True, False, True]


def test_descriptors_of_parts_do_not_share_the_lock_that_keeps_them(local, assemble):
    assemble(local, "key", [BIG, BIG])

    with local.read("bucket", "key") as reader:
        for file in reader.files():
            fcntl.flock(file.descriptor, fcntl.LOCK_UN)
        local.delete("bucket", "key")
        local.sweep()

        assert b"".join(chunk.data for chunk in reader.chunks()) == BIG * 2


@pytest.mark.parametrize("parts", [1, 2])
def test_an_open_file_outlives_the_object(local, put, assemble, tmp_path, parts):
    if parts == 1:
        put(local, "key", BIG)
    else:
        assemble(local, "key", [BIG] * parts)
    with local.read("bucket", "key") as reader:
        handed = [os.dup(file.descriptor) for file in reader.files()]

    local.delete("bucket", "key")
    local.sweep()

    assert blobs(tmp_path) == []
    assert [os.pread(descriptor, len(BIG), 0) for descriptor in handed] == [BIG] * parts
    for descriptor in handed:
        os.close(descriptor)


def test_an_object_that_is_replaced_before_its_file_is_asked_for_still_has_it(local, put):
    put(local, "key", BIG)
    with local.read("bucket", "key") as reader:
        put(local, "key", b"other")
        local.delete("bucket", "key")
        local.sweep()

        assert content(reader.files()) == BIG


def test_a_file_that_was_written_to_is_not_called_unchanged(local, put, tmp_path):
    put(local, "key", BIG)
    (blob,) = blobs(tmp_path)
    blob.chmod(0o600)
    with blob.open("r+b") as file:
        file.write(b"x")

    with local.read("bucket", "key") as reader:
        assert [file.is_unchanged for file in reader.files()] == [False]
    assert local.maintenance.scrub().damaged == 1
    with local.read("bucket", "key") as reader:
        assert [file.is_unchanged for file in reader.files()] == [False]


def test_a_scrub_vouches_for_a_file_that_was_moved_and_is_whole(local, put, tmp_path):
    put(local, "key", BIG)
    (blob,) = blobs(tmp_path)
    os.utime(blob, (0, 0))
    with local.read("bucket", "key") as reader:
        assert [file.is_unchanged for file in reader.files()] == [False]

    local.maintenance.scrub()

    with local.read("bucket", "key") as reader:
        assert [file.is_unchanged for file in reader.files()] == [True]
    assert local.maintenance.fsck() == []


def test_a_scrub_that_was_interrupted_within_a_file_does_not_vouch_for_it(local, put, open_local, tmp_path):
    put(local, "key", BIG)
    os.utime(blobs(tmp_path)[0], (0, 0))
    with closing(local.maintenance.scrubber.blocks()) as blocks:
        next(blocks)
    local.close()

    again = open_local()
    again.maintenance.scrub()

    with again.read("bucket", "key") as reader:
        assert [file.is_unchanged for file in reader.files()] == [False]


def test_a_rebuilt_index_knows_no_stamps_before_it_is_scrubbed(local, put, open_local, disk, clock, tmp_path):
    put(local, "key", BIG)
    local.close()
    with closing(Rebuild(tmp_path / "data", fsops=disk, clock=clock)) as rebuild:
        rebuild.run(commit=True)
    again = open_local()
    with again.read("bucket", "key") as reader:
        assert [file.is_unchanged for file in reader.files()] == [False]

    again.maintenance.scrub()

    with again.read("bucket", "key") as reader:
        assert [file.is_unchanged for file in reader.files()] == [True]


def test_a_copy_shares_the_file(local, put):
    put(local, "key", BIG)
    local.copy(CopySource(bucket="bucket", key="key"), "bucket", "copy")

    with local.read("bucket", "copy") as reader:
        (file,) = reader.files()
        assert content([file]) == BIG
        assert file.is_unchanged


def test_a_lost_file_is_not_handed_out(local, assemble, tmp_path):
    assemble(local, "key", [BIG, BIG])
    with local.read("bucket", "key") as reader:
        for blob in blobs(tmp_path):
            blob.unlink()

        assert reader.files() is None
        with pytest.raises(IntegrityError, match="damaged"):
            list(reader.chunks())


def test_too_few_descriptors_are_no_error(local, assemble, disk, monkeypatch):
    assemble(local, "key", [BIG, BIG])
    with local.read("bucket", "key") as reader:

        def none_left(_path):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        with monkeypatch.context() as patch:
            patch.setattr(disk, "open", none_left)
            assert reader.files() is None
        assert b"".join(chunk.data for chunk in reader.chunks()) == BIG * 2


def test_readers_leave_no_descriptor_open(local, put, assemble, tmp_path, open_below, thorough):
    put(local, "one", BIG)
    assemble(local, "two", [BIG, BIG])
    before = open_below(tmp_path)

    for number in range(1000 if thorough else 30):
        with local.read("bucket", "two" if number % 10 else "one") as reader:
            reader.files()

    assert open_below(tmp_path) == before


def test_a_file_is_copied_in_and_is_one_blob(local, get, source, import_it, tmp_path):
    info = import_it(local, "key", source)

    assert get(local, "key") == BIG
    assert (info.size, info.crc32c) == (len(BIG), crc32c(BIG))
    assert len(blobs(tmp_path)) == 1
    assert local.maintenance.fsck() == []
    assert local.maintenance.scrub().damaged == 0


def test_the_position_of_the_file_does_not_matter_and_is_not_moved(local, get, source, import_it):
    source.seek(5)

    import_it(local, "key", source)

    assert get(local, "key") == BIG
    assert source.tell() == 5


def test_files_and_bytes_can_be_mixed(local, get, source):
    with local.writer("bucket", "key") as writer:
        writer.write(b"begin", crc32c(b"begin"))
        writer.import_file(source.fileno(), 7, MiB)
        writer.import_file(source.fileno(), 0, 10)
        writer.write(b"end", crc32c(b"end"))
        info = writer.commit(ObjectAttributes())

    whole = b"begin" + BIG[7 : MiB + 7] + BIG[:10] + b"end"
    assert get(local, "key") == whole
    assert info.crc32c == crc32c(whole)


def test_a_file_that_is_shared_on_the_medium_is_summed_as_it_is_in_the_blob(open_local, disk, get, source, import_it):
    class Sharing(type(disk)):
        def clone(self, source, source_offset, descriptor, offset, length):
            os.pwrite(descriptor, os.pread(source, length, source_offset), offset)
            os.pwrite(source, b"changed at once", 0)
            return True

    engine = open_local(fsops=Sharing())
    engine.create_bucket("bucket")

    info = import_it(engine, "key", source)

    assert get(engine, "key") == BIG
    assert info.crc32c == crc32c(BIG)


def test_what_becomes_of_the_file_afterwards_does_not_matter(local, get, source, import_it):
    import_it(local, "key", source)

    source.write(b"other")
    source.flush()

    assert get(local, "key") == BIG


def test_a_file_that_is_cut_stores_nothing(local, source, files, tmp_path):
    os.ftruncate(source.fileno(), MiB)
    with local.writer("bucket", "key", declared_size=len(BIG)) as writer:
        with pytest.raises(IntegrityError, match="became shorter"):
            writer.import_file(source.fileno(), 0, len(BIG))
        with pytest.raises(Exception, match="aborted"):
            writer.commit(ObjectAttributes())

    assert files(tmp_path / "data" / "blobs") == files(tmp_path / "data" / "staging") == []


def test_a_file_that_does_not_fit_is_refused_before_it_is_copied(local, source, disk, monkeypatch):
    monkeypatch.setattr(disk, "room", lambda _path: MiB)

    with pytest.raises(ResourceExhaustedError, match="full"):
        local.writer("bucket", "key", declared_size=len(BIG))
    with local.writer("bucket", "key") as writer, pytest.raises(ResourceExhaustedError, match="full"):
        writer.import_file(source.fileno(), 0, len(BIG))


def test_an_import_that_is_repeated_gets_the_first_answer(local, source, import_it, tmp_path):
    first = import_it(local, "key", source, idempotency_key="call")

    assert import_it(local, "key", source, idempotency_key="call") == first
    assert len(blobs(tmp_path)) == 1


def test_abandoned_imports_leave_neither_descriptors_nor_files(local, source, files, tmp_path, open_below, thorough):
    before = open_below(tmp_path)

    for _ in range(1000 if thorough else 30):
        with local.writer("bucket", "key") as writer:
            writer.import_file(source.fileno(), 0, 20 * KiB)

    assert open_below(tmp_path) == before
    assert files(tmp_path / "data" / "staging") == []
