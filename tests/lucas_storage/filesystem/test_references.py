"""References to artifacts are paths, too: read only, and verified by their digest."""

from __future__ import annotations

import random

import pytest

from lucas_storage import Storage, storage_context
from lucas_storage.errors import DigestMismatchError, InvalidRefError
from lucas_storage.filesystem import paths

fsspec = pytest.importorskip("fsspec")

CONTENT = b"city,rain\nSeattle,3\n"


@pytest.fixture
def storage(endpoint, tmp_path):
    with storage_context(endpoint=endpoint, cache_dir=str(tmp_path / "cache")), Storage() as made:
        yield made


@pytest.fixture
def ref(storage, tmp_path):
    file = tmp_path / "weather table.csv"
    file.write_bytes(CONTENT)
    return storage.put(file)


def test_a_reference_opens_wherever_a_path_does(ref, tmp_path):
    with fsspec.open(ref.uri, "rt") as file:
        assert file.read() == CONTENT.decode()
    fs, path = fsspec.url_to_fs(ref.uri)
    assert fs.unstrip_protocol(path) == ref.uri
    assert fs.cat_file(path, 0, 4) == fs.cat_ranges([path], 0, 4)[0] == b"city"
    assert fs.cat(ref.uri) == CONTENT
    info = fs.info(ref.uri)
    assert (info["name"], info["size"], info["type"], info["etag"]) == (path, len(CONTENT), "file", ref.digest)
    assert fs.find(path) == fs.glob(path) == fs.ls(path, detail=False) == [path]
    assert (fs.exists(path), fs.isfile(path), fs.isdir(path), fs.size(path)) == (True, True, False, len(CONTENT))
    fs.get(ref.uri, str(tmp_path) + "/")
    fs.get(ref.uri, str(tmp_path / "named"))
    assert (tmp_path / ref.filename).read_bytes() == (tmp_path / "named").read_bytes() == CONTENT


@pytest.mark.usefixtures("small_parts")
def test_of_a_large_artifact_only_the_parts_are_fetched_that_are_asked_for(storage, fs, calls):
    content = random.Random(7).randbytes(20 * 4096)
    with storage.writer() as file:
        file.write(content)
    uri = file.ref.uri
    calls.clear()

    assert fs.cat_file(uri, -3) == content[-3:]
    last = calls.made(1, "GetObject").count("GetObject")
    assert fs.cat_ranges([uri] * 3, [0, 9, -9], [3, 5000, None]) == [content[:3], content[9:5000], content[-9:]]
    several = calls.made(3, "GetObject").count("GetObject")
    assert fs.cat_file(uri, len(content), len(content) + 9) == b""
    assert fs.cat_file(uri) == content

    assert (last, several) == (1, 3)


@pytest.mark.ecosystem
def test_pandas_reads_a_reference(ref):
    pandas = pytest.importorskip("pandas")

    assert pandas.read_csv(ref.uri)["city"].tolist() == ["Seattle"]


def test_a_file_system_with_an_endpoint_reads_references_from_there(ref, endpoint, monkeypatch, free_port):
    monkeypatch.setenv("STORAGE_ENDPOINT", f"127.0.0.1:{free_port}")

    assert fsspec.filesystem("lucas", endpoint=endpoint).cat_file(ref.uri) == CONTENT


def test_damaged_bytes_are_not_handed_out(ref, storage):
    storage.put_object(ref.bucket, ref.key, CONTENT.replace(b"3", b"4"))

    with pytest.raises(DigestMismatchError):
        fsspec.open(ref.uri).open().read()


def test_nothing_is_written_to_a_reference(ref, storage, tmp_path):
    fs, path = fsspec.url_to_fs(ref.uri)
    other = tmp_path / "other"
    other.write_bytes(b"")
    changes = [
        lambda: fs.open(path, "wb"),
        lambda: fs.pipe_file(path, b""),
        lambda: fs.put_file(other, path),
        lambda: fs.rm(path),
        lambda: fs.rm_file(path),
        lambda: fs.touch(path),
        lambda: fs.mv(path, "bucket/other"),
    ]

    for change in changes:
        with pytest.raises(PermissionError, match="reference"):
            change()
    assert fs.cat_file(path) == CONTENT


def test_a_reference_to_nothing_does_not_exist(ref, storage):
    storage.delete_object(ref.bucket, ref.key)
    fs, path = fsspec.url_to_fs(ref.uri)

    assert not fs.exists(path)
    with pytest.raises(FileNotFoundError):
        fs.info(path)


def test_a_directory_is_one(storage, tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_bytes(b"1")
    fs, path = fsspec.url_to_fs(storage.put(tmp_path / "tree").uri)

    assert fs.isdir(path)
    with pytest.raises(IsADirectoryError):
        fs.open(path)


def test_an_inline_reference_opens_too(storage):
    ref = storage.put({"a": 1})
    assert fsspec.filesystem("lucas").cat_file(ref.uri) == fsspec.filesystem("lucas").open(ref.uri).read()


def test_a_wrong_reference_is_told_apart_from_a_key_with_a_question_mark(fs):
    with pytest.raises(InvalidRefError):
        fs.open("lucas://default/bucket/key?d=sha256:short&n=1&f=bytes%401")
    fs.pipe_file("bucket/key?n=1", b"1")

    assert fs.cat_file("lucas://bucket/key?n=1") == b"1"
    assert not paths.is_reference("bucket/key?n=1")
