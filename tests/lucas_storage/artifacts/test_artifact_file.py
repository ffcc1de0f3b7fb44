"""`Storage.writer`: a file that becomes an artifact when its ``with`` body ends."""

from __future__ import annotations

import array
import csv
import io
import itertools
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from actorc.storage.errors import InvalidParameterError
from lucas_storage import Storage, with_storage
from lucas_storage.errors import NoFormatError, UnknownFormatError, UnsafeFormatError

pytestmark = pytest.mark.usefixtures("settings")


def stored(storage):
    return list(storage.iter_objects(storage.bucket)) if storage.bucket_exists(storage.bucket) else []


@pytest.mark.parametrize(
    "pieces", [[], [b""], [b"one", bytearray(b" two"), memoryview(b" three")], [array.array("i", [7])]]
)
def test_the_bytes_written_are_the_artifact(storage, pieces):
    whole = b"".join(map(bytes, pieces))

    with storage.writer() as file:
        for piece in pieces:
            assert file.write(piece) == len(bytes(piece))
        assert file.tell() == len(whole)

    assert (file.ref, storage.get(file.ref)) == (storage.put(whole), whole)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("size", [4095, 4096, 4097, 100_000])
def test_a_long_file_is_stored_in_parts_and_comes_back_whole(storage, size):
    data = os.urandom(size)

    with storage.writer(name="data.bin") as file:
        for start in range(0, size, 777):
            file.write(data[start : start + 777])

    path = storage.path(file.ref)
    assert (path.name, path.read_bytes(), storage.get(file.ref, as_=bytes)) == ("data.bin", data, data)
    assert file.ref.kind == ("blob" if size < 4096 else "manifest")


@pytest.mark.usefixtures("small_parts")
def test_parts_are_stored_while_the_rest_is_written(storage):
    with storage.writer() as file:
        for _ in range(20):
            file.write(os.urandom(4096))
        assert len(stored(storage)) >= 10

    assert len(stored(storage)) == 21


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("size", [0, 100, 10_000])
def test_a_body_that_raises_leaves_no_artifact(storage, size):
    data = os.urandom(size)
    with pytest.raises(KeyError), storage.writer() as file:  # noqa: PT012
        file.write(data)
        raise KeyError

    with pytest.raises(ValueError, match="no reference before the end of its with block, or after an error"):
        _ = file.ref
    assert [one for one in stored(storage) if one["size"] == size or "manifest" in one["content_type"]] == []


def test_a_file_takes_no_more_when_its_block_has_ended(storage):
    with storage.writer() as file:
        file.write(b"abc")
        with pytest.raises(ValueError, match="no reference before"):
            _ = file.ref

    with pytest.raises(ValueError, match="write to a closed file"):
        file.write(b"d")


def test_a_file_may_be_closed_by_the_library_that_writes_it(storage):
    with storage.writer("text", name="table.csv") as file, io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
        csv.writer(text).writerows([["a", "ü"], [1, 2]])

    assert (storage.get(file.ref), storage.path(file.ref).name) == ("a,ü\r\n1,2\r\n", "table.csv")


def test_libraries_write_to_it(storage):
    with storage.writer() as zipped, zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.txt", b"abc")
    with storage.writer("npy") as saved:
        np.save(saved, np.arange(5))
    with storage.writer() as pickled:
        pickle.dump([1, 2], pickled)

    with storage.open(zipped.ref) as file, zipfile.ZipFile(file) as archive:
        assert archive.read("a.txt") == b"abc"
    assert storage.get(saved.ref).tolist() == [0, 1, 2, 3, 4]
    assert pickle.loads(storage.get(pickled.ref)) == [1, 2]


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"format": "pickle5"}, UnsafeFormatError, "cannot be declared to be pickle5@"),
        ({"format": "tree"}, NoFormatError, "cannot be declared to be tree@1"),
        ({"format": "stream"}, NoFormatError, "cannot be declared to be stream@1"),
        ({"format": "no-such"}, UnknownFormatError, "'no-such' is not installed here"),
        ({"name": "a/b"}, InvalidParameterError, "'a/b' is not a file name"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(storage, wrong, error, message):
    with pytest.raises(error, match=message):
        storage.writer(**wrong)


@pytest.mark.parametrize("data", ["text", 1, None, {}])
def test_only_buffers_are_written(storage, data):
    with storage.writer() as file:
        with pytest.raises(TypeError, match="bytes-like"):
            file.write(data)
        file.write(b"ok")

    assert storage.get(file.ref) == b"ok"


def test_a_step_returns_what_it_wrote(storage):
    @with_storage
    def writes(storage: Storage):
        with storage.writer(name="out.bin") as file:
            file.write(b"x" * 10_000)
        return file.ref

    @with_storage
    def reads(file: Path) -> list:
        return [file.name, file.stat().st_size]

    assert reads(file=writes()) == ["out.bin", 10_000]


def test_a_part_that_cannot_be_stored_ends_the_writing(storage, monkeypatch):
    from lucas_storage.artifacts import part_transfer

    monkeypatch.setattr(part_transfer, "PART", 4096)
    monkeypatch.setattr(type(storage), "put_object", lambda *_, **__: 1 / 0)

    with pytest.raises(ZeroDivisionError), storage.writer() as file:
        file.writelines(os.urandom(4096) for _ in itertools.count())
