"""An object whose files are open here is read, mapped and copied, and no wrong byte comes out."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from actorc.storage._rpc.files.object_files import ObjectFiles, Segment
from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import DamagedMessageError, IntegrityError
from actorc.storage.files.seekable_reader import BlobFile
from actorc.storage.models import WHOLE, ByteRange, ObjectAttributes
from actorc.storage.rules import MiB
from actorc.storage.server.engines.base import PartChoice
from actorc.storage.server.engines.local import LocalEngine

BIG = os.urandom(2 * MiB + 17)
PIECES = [BIG, b"small", BIG[:MiB]]
JOINED = b"".join(PIECES)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("engine") / "data"


@pytest.fixture(scope="module")
def engine(directory):
    with closing(LocalEngine(directory, sweep_interval=None)) as engine:
        engine.create_bucket("bucket")
        yield engine


def write(writer, data):
    for start in range(0, len(data), MiB):
        writer.write(data[start : start + MiB], crc32c(data[start : start + MiB]))


@pytest.fixture
def stored(engine):
    """Store one object of one blob, and one of several."""
    with engine.writer("bucket", "one") as writer:
        write(writer, BIG)
        writer.commit(ObjectAttributes())
    upload_id = engine.create_upload("bucket", "several", ObjectAttributes())
    parts = []
    for number, piece in enumerate(PIECES, 1):
        with engine.part_writer("bucket", "several", upload_id, number) as writer:
            write(writer, piece)
            parts.append(PartChoice(number, writer.commit().etag))
    engine.complete_upload("bucket", "several", upload_id, parts)


@pytest.fixture
def segments(engine, stored):
    def of(key):
        with engine.read("bucket", key) as reader:
            return reader.info, [
                Segment(
                    size=file.size,
                    sums=file.sums,
                    descriptor=-1 if file.descriptor < 0 else os.dup(file.descriptor),
                    is_unchanged=file.is_unchanged,
                    data=file.data or b"",
                )
                for file in reader.files()
            ]

    return of


@pytest.fixture
def opened(segments):
    """Open the files of an object as a client does."""
    found = []

    def open_it(key):
        found.append(ObjectFiles(*segments(key)))
        return found[-1]

    yield open_it
    for files in found:
        files.close()


@pytest.fixture
def damage(directory, segments):
    """Change a byte of the blob that holds the first segment; its stamps change with it, as with any write."""

    def damaged(key, position):
        _, found = segments(key)
        path = Path(f"/proc/self/fd/{found[0].descriptor}").readlink()
        for segment in found:
            if segment.descriptor >= 0:
                os.close(segment.descriptor)
        path.chmod(0o600)
        with path.open("r+b") as file:
            file.seek(position)
            byte = file.read(1)
            file.seek(position)
            file.write(bytes([byte[0] ^ 1]))
        return path

    return damaged


RANGES = [
    (0, None),
    (0, 1),
    (MiB - 1, 2),
    (MiB, MiB),
    (7, 2 * MiB),
    (2 * MiB + 10, 20),
    (len(BIG) - 1, 7),
    (len(BIG) + 5, None),
    (0, 0),
    (len(JOINED), 5),
]


@pytest.mark.parametrize(("key", "whole"), [("one", BIG), ("several", JOINED)], ids=["one", "several"])
@pytest.mark.parametrize(("offset", "length"), RANGES)
def test_a_range_is_cut_exactly(opened, key, whole, offset, length):
    files, part = opened(key), ByteRange(offset, length)
    expected = whole[offset:][:length]

    assert files.read(part) == expected
    assert files.view(part) == expected
    assert b"".join(files.pieces(part)) == expected


@pytest.mark.parametrize(("key", "whole"), [("one", BIG), ("several", JOINED)], ids=["one", "several"])
def test_a_copy_has_all_bytes_at_their_place(opened, key, whole, tmp_path):
    with (tmp_path / "copy").open("w+b") as target:
        assert opened(key).copy(target.fileno(), 5, len(whole) - 7) == crc32c(whole[5:-2])

        assert target.read() == bytes(5) + whole[5:-2]


def test_bytes_are_read_without_a_copy_of_them_and_belong_to_the_caller(opened):
    data = opened("one").read(WHOLE)

    assert type(data) is bytes
    assert hash(data) == hash(BIG)
    assert {data: 1}[BIG] == 1


@pytest.mark.parametrize("position", [0, MiB - 1, MiB, len(BIG) - 1])
def test_a_changed_byte_is_an_error_that_names_its_block(opened, damage, position):
    damage("one", position)
    files, block = opened("one"), position // MiB

    for read in (files.read, files.view, lambda part: b"".join(files.pieces(part))):
        with pytest.raises(IntegrityError, match=f"block {block} of the object is damaged") as error:
            read(WHOLE)
        assert (error.value.bucket, error.value.key) == ("bucket", "one")
    with pytest.raises(IntegrityError):
        files.read(ByteRange(position, 1))


def test_damage_elsewhere_does_not_hinder_the_reading_of_a_range(opened, damage):
    damage("several", 0)

    assert opened("several").read(ByteRange(MiB, 5)) == JOINED[MiB : MiB + 5]


@pytest.mark.parametrize("key", ["one", "several"])
def test_a_file_that_was_cut_is_an_error(opened, damage, key, tmp_path):
    os.truncate(damage(key, 0), MiB + 5)
    files = opened(key)

    with pytest.raises(IntegrityError, match="block 0"):
        files.read(WHOLE)
    with pytest.raises(IntegrityError):
        files.view(WHOLE)
    with (tmp_path / "copy").open("w+b") as target, pytest.raises(IntegrityError, match="block 1"):
        files.copy(target.fileno(), 0, files.info.size)


def test_bytes_that_the_disk_cannot_read_are_an_error_that_names_the_object(segments, tmp_path):
    info, (segment, *_) = segments("one")
    # no address of a process is zero, so reading there fails as it does on a broken disk
    os.dup2(unreadable := os.open("/proc/self/mem", os.O_RDONLY), segment.descriptor)
    os.close(unreadable)

    with ObjectFiles(info, [segment]) as files, (tmp_path / "copy").open("wb") as copy:
        for call in (
            lambda: files.read(WHOLE),
            lambda: files.read(ByteRange(5, 10)),
            lambda: files.copy(copy.fileno(), 0, info.size),
        ):
            with pytest.raises(IntegrityError, match="block 0 of the object is damaged") as refused:
                call()
            assert (refused.value.bucket, refused.value.key) == ("bucket", "one")


def test_a_view_of_a_file_that_was_cut_after_it_was_opened_is_refused(opened, damage):
    files = opened("one")
    os.truncate(damage("one", 0), MiB + 5)

    with pytest.raises(IntegrityError):
        files.view(WHOLE)


def test_a_file_that_is_called_unchanged_is_mapped_unread(opened, damage, segments):
    info, (segment,) = segments("one")
    damage("one", 0)

    with ObjectFiles(info, [replace(segment, is_unchanged=True)]) as files:
        assert files.view(WHOLE)[1:] == BIG[1:]
        with pytest.raises(IntegrityError):
            files.read(WHOLE)


def test_blocks_that_are_right_each_and_not_those_of_the_object_are_an_error(segments):
    info, found = segments("one")

    with ObjectFiles(info._replace(crc32c=info.crc32c ^ 1), found) as files:
        with pytest.raises(IntegrityError, match="does not match its checksum"):
            files.read(WHOLE)
        assert files.read(ByteRange(0, 5)) == BIG[:5]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda found: found[:-1],
        lambda found: [*found, Segment(size=1, sums=(0,), data=b"x")],
        lambda found: [replace(found[0], sums=found[0].sums[:-1]), *found[1:]],
        lambda found: [replace(found[0], size=found[0].size - 1), *found[1:]],
        lambda found: [found[0], replace(found[1], data=b""), *found[2:]],
    ],
    ids=["one less", "one more", "a sum less", "a byte less", "no bytes"],
)
def test_files_that_are_not_those_of_the_object_are_refused(segments, wrong):
    info, found = segments("several")

    with pytest.raises(DamagedMessageError):
        ObjectFiles(info, wrong(found))

    for segment in found:
        if segment.descriptor >= 0:
            os.close(segment.descriptor)


def test_a_view_stays_valid_when_the_files_are_closed_and_the_object_is_gone(engine, opened):
    files = opened("one")
    view = files.view(WHOLE)
    files.close()
    engine.delete("bucket", "one")
    engine.sweep()

    assert view == BIG
    with pytest.raises(TypeError, match="read-only"):
        view[0] = 0


def test_nothing_stays_open(segments, directory, open_below):
    before = open_below(directory)

    for _ in range(20):
        with ObjectFiles(*segments("several")) as files:
            files.read(ByteRange(0, 1))
        with ObjectFiles(*segments("one")) as files:
            view = files.view(ByteRange(0, 1))
        del view

    assert open_below(directory) == before


def test_the_only_file_is_handed_over_and_one_of_several_is_not(opened):
    one, several = opened("one"), opened("several")

    with BlobFile(*one.take_only_file()) as file:
        one.close()
        assert file.read() == BIG
    assert several.take_only_file() is None
    assert several.read(WHOLE) == JOINED
