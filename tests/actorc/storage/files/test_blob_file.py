"""The file in which a server keeps an object: what is read ends with the object, and never with the file."""

from __future__ import annotations

import io
import mmap
import os

import pytest

from actorc.storage import IntegrityError
from actorc.storage.files.seekable_reader import BlobFile

DATA = bytes(range(256)) * 100


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "blob"
    path.write_bytes(DATA + b"a trailer of the server")
    return path


@pytest.fixture
def blob(path):
    with BlobFile(os.open(path, os.O_RDONLY), len(DATA)) as file:
        yield file


def test_it_is_read_up_to_the_end_of_the_object(blob):
    assert blob.read() == DATA
    assert (blob.read(), blob.seek(-3, os.SEEK_END), blob.read(10)) == (b"", len(DATA) - 3, DATA[-3:])
    assert b"".join(iter(lambda: blob.read(1000), b"")) == b""


def test_a_map_ends_with_the_object_and_outlives_the_file(blob):
    seen, own = blob.map(mmap.ACCESS_READ), blob.map(mmap.ACCESS_COPY)
    own[0] = 7
    blob.close()

    assert (bytes(seen), seen.readonly) == (DATA, True)
    assert bytes(own[1:]) == DATA[1:]


def test_it_gives_no_descriptor_with_which_more_than_the_object_could_be_read(blob):
    with pytest.raises(io.UnsupportedOperation):
        blob.fileno()


def test_a_file_that_was_cut_off_is_damaged_and_never_mapped(blob, path):
    os.truncate(path, 10)

    with pytest.raises(IntegrityError, match="ends before the object does"):
        blob.map(mmap.ACCESS_READ)
    with pytest.raises(IntegrityError, match="ends before the object does"):
        blob.read()


def test_it_stays_what_it_was_when_the_object_is_removed(blob, path):
    path.unlink()

    assert blob.read() == DATA


def test_closing_it_closes_the_descriptor_once(path):
    descriptor = os.open(path, os.O_RDONLY)
    blob = BlobFile(descriptor, 1)
    blob.close()
    blob.close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
