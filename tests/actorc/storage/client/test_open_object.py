"""Objects as file objects, used by what people use files with."""

from __future__ import annotations

import csv
import gc
import io
import subprocess
import zipfile

import numpy as np
import pandas as pd
import pytest

from actorc.storage import (
    AlreadyExistsError,
    InvalidParameterError,
    NotFoundError,
    PreconditionFailedError,
    StorageClient,
)
from actorc.storage.testing import local_server

MiB = 1 << 20
CONTENT = bytes(range(256)) * (5 * MiB // 256) + b"end"


@pytest.fixture
def client(server):
    with StorageClient(server.endpoint) as it:
        it.put_object("files", "key", CONTENT)
        yield it


def test_reading_and_seeking_is_that_of_a_local_file(client, tmp_path):
    (tmp_path / "local").write_bytes(CONTENT)
    steps = [
        lambda file: file.read(10),
        lambda file: file.seek(-3, io.SEEK_END),
        lambda file: file.read(),
        lambda file: file.read(1),
        lambda file: file.seek(MiB - 5),
        lambda file: file.read(10),
        lambda file: file.seek(100, io.SEEK_CUR),
        lambda file: file.read(3 * MiB),
        lambda file: file.tell(),
        lambda file: file.seek(len(CONTENT) + 10),
        lambda file: file.read(5),
        lambda file: file.seek(0),
        lambda file: bytes(file.peek(1)[:1]),
        lambda file: file.read(),
    ]
    with client.open_object("files", "key") as remote, (tmp_path / "local").open("rb") as local:
        for step in steps:
            assert step(remote) == step(local)


def test_a_whole_file_is_read_in_small_pieces(client):
    with client.open_object("files", "key", chunk_size=64 * 1024) as file:
        pieces = iter(lambda: file.read(50_001), b"")

        assert b"".join(pieces) == CONTENT


def test_a_position_before_the_beginning_is_refused(client):
    with client.open_object("files", "key") as file, pytest.raises((ValueError, OSError)):
        file.seek(-1)


def test_what_is_read_is_of_one_generation(tmp_path):
    with local_server((tmp_path / "data").as_uri()) as server, server.client() as client:
        client.put_object("files", "changing", CONTENT)
        with client.open_object("files", "changing") as file:
            client.put_object("files", "changing", b"other")

            assert file.read() == CONTENT


def test_an_open_file_tells_which_generation_it_is_of(client):
    stored = client.put_object("bucket", "key", b"older")
    with client.open_object("bucket", "key") as file:
        client.put_object("bucket", "key", b"newer")

        assert file.generation == stored["generation"]


def test_conditions_of_reading_are_judged_when_the_file_is_opened(client):
    with pytest.raises(NotFoundError):
        client.open_object("files", "missing")
    with pytest.raises(NotFoundError):
        client.open_object("files", "key", generation=1)
    with pytest.raises(PreconditionFailedError):
        client.open_object("files", "key", if_match="other")
    with client.open_object("files", "key", if_match=client.head_object("files", "key")["etag"]) as file:
        assert file.read(1) == CONTENT[:1]


@pytest.mark.parametrize("mode", ["a", "r+", "rw", "rbt", "wbb", "w+", "rb+", "b", "", None, 3])
def test_other_modes_are_refused(client, mode):
    with pytest.raises(InvalidParameterError, match="mode"):
        client.open_object("files", "key", mode)


@pytest.mark.parametrize("size", [0, 5, 3 * MiB])
def test_a_closed_file_is_an_object(client, size):
    with client.open_object("files", "new", "wb", content_type="x/y", metadata={"a": "b"}, chunk_size=MiB) as file:
        for start in range(0, size, 700_000):
            file.write(CONTENT[start : min(start + 700_000, size)])
        told = file.tell()
    head = client.head_object("files", "new")

    assert client.get_object("files", "new") == CONTENT[:size]
    assert (told, file.result["etag"], file.closed) == (size, head["etag"], True)
    assert (head["content_type"], head["metadata"]) == ("x/y", {"a": "b"})


@pytest.mark.parametrize("mode", ["wb", "w"])
@pytest.mark.parametrize("size", [5, 3 * MiB])
def test_a_body_that_raises_publishes_nothing(client, mode, size):
    data = "x" * size if mode == "w" else b"x" * size
    file = client.open_object("files", "half", mode, chunk_size=MiB)

    def body():
        with file:
            file.write(data)
            raise KeyError

    with pytest.raises(KeyError):
        body()
    assert not client.object_exists("files", "half")
    assert client.list_multipart_uploads("files", "half")["uploads"] == []
    assert file.closed


@pytest.mark.few(1)
@pytest.mark.parametrize("mode", ["wb", "w"])
@pytest.mark.parametrize("size", [5, 3 * MiB])
def test_a_file_that_is_forgotten_publishes_nothing(client, mode, size):
    file = client.open_object("files", "forgotten", mode, chunk_size=MiB)
    file.write("x" * size if mode == "w" else b"x" * size)
    del file
    gc.collect()

    assert not client.object_exists("files", "forgotten")


def test_a_condition_that_does_not_hold_is_raised_by_close_and_the_file_is_closed(client):
    file = client.open_object("files", "key", "wb", if_absent=True)
    file.write(b"x")
    with pytest.raises(AlreadyExistsError):
        file.close()
    file.close()

    assert file.closed
    with pytest.raises(ValueError, match="closed"):
        file.write(b"x")


def test_a_condition_is_judged_when_the_first_part_is_full(client):
    file = client.open_object("files", "key", "wb", if_absent=True)
    with file, pytest.raises(AlreadyExistsError):
        file.writelines(bytes(MiB) for _ in range(1000))

    assert file.tell() < 20 * MiB
    assert client.get_object("files", "key") == CONTENT


def test_a_file_for_a_new_object_is_refused_at_once_if_the_key_is_taken(client):
    with pytest.raises(FileExistsError):
        client.open_object("files", "key", "xb")
    with client.open_object("files", "fresh", "x") as file:
        file.write("text")
        client.put_object("files", "fresh", b"first")
        with pytest.raises(AlreadyExistsError):
            file.close()

    assert client.get_object("files", "fresh") == b"first"


@pytest.mark.parametrize(
    ("mode", "usual"),
    [("rt", "rt"), ("tr", "rt"), ("br", "rb"), ("wt", "wt"), ("bw", "wb"), ("xt", "xt"), ("wb+", "w+b")],
)
def test_the_letters_of_a_mode_stand_in_any_order(client, mode, usual):
    file = client.open_object("files", "key" if "r" in mode else "fresh text", mode)

    assert file.mode == usual
    assert isinstance(file, io.TextIOBase) == ("b" not in mode)
    file.close() if "r" in mode else file.abort()


@pytest.mark.parametrize("wrong", [{"encoding": "utf-8"}, {"errors": "ignore"}, {"newline": ""}])
def test_what_is_for_text_is_refused_for_bytes(client, wrong):
    with pytest.raises(InvalidParameterError, match="text"):
        client.open_object("files", "key", "rb", **wrong)


@pytest.mark.parametrize(
    "wrong", [{"encoding": "klingon"}, {"errors": "sometimes"}, {"newline": "\t"}, {"encoding": 8}]
)
def test_text_that_nobody_knows_is_refused_before_anything_is_opened(client, wrong):
    with pytest.raises(InvalidParameterError):
        client.open_object("files", "missing", "r", **wrong)


def test_errors_of_text_are_treated_as_asked_for(client):
    with client.open_object("files", "latin", "wt", encoding="latin-1", errors="replace") as file:
        file.write("grün €")
    assert client.get_object("files", "latin") == "grün ?".encode("latin-1")
    with client.open_object("files", "latin", "rt", encoding="ascii", errors="ignore") as file:
        assert file.read() == "grn ?"
    with client.open_object("files", "latin", "rt", encoding="ascii") as file, pytest.raises(UnicodeDecodeError):
        file.read()


def test_what_is_no_bytes_is_refused_and_the_file_goes_on(client):
    with client.open_object("files", "tried", "wb") as file:
        with pytest.raises(TypeError):
            file.write("text")
        with pytest.raises(InvalidParameterError):
            file.write(np.arange(10)[::2])
        file.write(b"bytes")

    assert client.get_object("files", "tried") == b"bytes"


def test_numbers_are_written_as_text_to_a_binary_file(client):
    with client.open_object("files", "numbers.txt", "wb") as file:
        np.savetxt(file, np.arange(3))
    with client.open_object("files", "numbers.txt") as file:
        np.testing.assert_array_equal(np.loadtxt(file), np.arange(3))


@pytest.mark.parametrize("mode", ["wb", "w+b", "x+b"])
@pytest.mark.parametrize("size", [0, 5, 3 * MiB])
def test_a_program_may_go_back_in_what_it_has_written(client, mode, size):
    client.delete_object("files", "patched")
    with client.open_object("files", "patched", mode) as file:
        file.write(CONTENT[:size])
        assert file.seek(0, io.SEEK_END) == size
        assert file.truncate(size + 3) == size + 3
        file.seek(1)
        assert file.write(b"XY") == 2
        assert (file.tell(), file.readable(), file.seekable(), file.seek(-2, io.SEEK_CUR)) == (3, True, True, 1)
        buffer = bytearray(1)
        assert (file.readinto(buffer), bytes(buffer), file.read(1), file.tell()) == (1, b"X", b"Y", 3)
    expected = bytearray(CONTENT[:size] + bytes(3))
    expected[1:3] = b"XY"

    assert client.get_object("files", "patched") == expected
    assert file.result["size"] == size + 3


@pytest.mark.parametrize("mode", ["wb", "w+b"])
def test_what_was_written_by_a_body_that_goes_back_and_raises_is_not_published(client, mode):
    def body():
        with client.open_object("files", "half", mode) as file:
            file.write(b"12345")
            file.seek(0, io.SEEK_END)
            raise KeyError

    with pytest.raises(KeyError):
        body()
    assert not client.object_exists("files", "half")


def test_nothing_is_published_if_what_was_written_cannot_go_to_a_temporary_file(client, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    file = client.open_object("files", "gap", "wb")
    file.write(b"the beginning")
    with pytest.raises(FileNotFoundError):
        file.seek(3)
    # as a program does that takes this for a file in which nobody goes back
    with pytest.raises(ValueError, match="closed"):
        file.write(b"the end")
    file.close()

    assert not client.object_exists("files", "gap")


@pytest.fixture
def full_directory(tmp_path, monkeypatch):
    """A directory for temporary files on a disk without room."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "other").write_bytes(bytes(64 << 10))
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


def test_a_full_disk_for_temporary_files_is_an_error_and_publishes_nothing(client, full_directory):
    def written(size, then):
        with client.open_object("files", "full", "w+b") as file:
            file.write(bytes(size))
            then(file)

    for size, then in [(MiB, lambda _: None), (10, lambda _: None), (10, lambda file: file.seek(0))]:
        with pytest.raises(OSError, match="No space left"):
            written(size, then)
    with pytest.raises(KeyError):
        written(10, lambda _: {}["of the body"])

    assert not client.object_exists("files", "full")
    (full_directory / "other").unlink()
    written(10, lambda _: None)
    assert client.get_object("files", "full") == bytes(10)


def test_nobody_goes_back_once_a_part_was_sent(client):
    with client.open_object("files", "sent", "wb", chunk_size=MiB) as file:
        file.write(CONTENT)
        assert (file.seekable(), file.readable()) == (False, False)
        assert file.seek(len(CONTENT)) == file.seek(0, io.SEEK_CUR) == len(CONTENT)
        for refused in (lambda: file.seek(0), lambda: file.truncate(5), file.read):
            with pytest.raises(io.UnsupportedOperation, match=r"w\+b"):
                refused()

    assert client.get_object("files", "sent") == CONTENT


def test_text_goes_both_ways(client):
    rows = [["name", "wert"], ["größe", "3\n4"]]
    with client.open_object("files", "table.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    with client.open_object("files", "table.csv", "r", newline="") as file:
        assert list(csv.reader(file)) == rows
    assert client.head_object("files", "table.csv")["content_type"] == "text/csv"
    assert client.get_object("files", "table.csv").decode() == 'name,wert\r\ngröße,"3\n4"\r\n'


def test_an_archive_is_written_and_read_in_place(client):
    with client.open_object("files", "a.zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("big", CONTENT)
        archive.writestr("small", "text")
    with client.open_object("files", "a.zip") as file, zipfile.ZipFile(file) as archive:
        assert archive.read("small") == b"text"
        assert archive.read("big") == CONTENT


def test_arrays_and_tables_are_written_and_read_in_place(client):
    array, table = np.arange(300_000.0), pd.DataFrame({"a": range(1000), "b": ["x"] * 1000})
    with client.open_object("files", "a.npy", "wb") as file:
        np.save(file, array)
    with client.open_object("files", "t.parquet", "wb") as file:
        table.to_parquet(file)
    with client.open_object("files", "a.npy") as file:
        np.testing.assert_array_equal(np.load(file), array)
    with client.open_object("files", "t.parquet") as file:
        pd.testing.assert_frame_equal(pd.read_parquet(file), table)
