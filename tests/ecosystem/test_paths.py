"""Paths, archives and caches of other libraries over ``lucas://``."""

from __future__ import annotations

import pickle
import tarfile
import zipfile

import pytest

pytestmark = pytest.mark.ecosystem


def test_universal_pathlib(fs):
    from upath import UPath

    folder = UPath("lucas://data/folder")
    (folder / "a b.txt").write_text("übung")
    (folder / "deep" / "c.bin").write_bytes(b"1")

    file = folder / "a b.txt"
    assert (type(file).__name__, str(file), file.name, file.suffix) == (
        "LucasPath",
        "lucas://data/folder/a b.txt",
        "a b.txt",
        ".txt",
    )
    assert (file.read_text(), file.exists(), file.is_file(), file.is_dir()) == ("übung", True, True, False)
    assert (file.stat().st_size, file.stat().st_mtime > 0) == (6, True)
    assert sorted(path.name for path in folder.iterdir()) == ["a b.txt", "deep"]
    assert sorted(path.name for path in folder.rglob("*")) == ["a b.txt", "c.bin", "deep"]
    assert [path.name for path in folder.glob("*.txt")] == ["a b.txt"]
    assert (file.parent, file.parent.parent) == (folder, UPath("lucas://data/"))
    assert (folder.is_dir(), UPath("lucas://data").is_dir(), (folder / "none").exists()) == (True, True, False)
    odd = folder / "50%?x#y"
    odd.write_text("odd")
    assert fs.cat_file("data/folder/50%?x#y") == UPath(str(odd)).read_bytes() == b"odd"
    assert pickle.loads(pickle.dumps(file)).read_text() == "übung"
    moved = file.rename(folder / "moved.txt")
    assert (moved.read_text(), file.exists()) == ("übung", False)
    with pytest.raises(FileNotFoundError):
        file.unlink()
    with pytest.raises(FileExistsError):
        moved.touch(exist_ok=False)
    moved.touch()
    assert moved.read_text() == "übung"
    with moved.open("x" if not moved.exists() else "a") as opened:
        opened.write("!")
    assert moved.read_text() == "übung!"
    moved.unlink()
    folder.rmdir(recursive=True)
    assert not folder.exists()
    assert UPath("lucas://data/x", endpoint=fs.client.endpoint).fs.client.endpoint == fs.client.endpoint


def test_archives(fs):
    import fsspec

    with fs.open("data/a.zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "first")
        archive.writestr("b/c.txt", "x" * 100_000)
    with fs.open("data/a.tar.gz", "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("empty"))

    assert fsspec.filesystem("zip", fo="lucas://data/a.zip").find("") == ["a.txt", "b/c.txt"]
    with fsspec.open("zip://a.txt::lucas://data/a.zip", "rt") as file:
        assert file.read() == "first"
    with fs.open("data/a.tar.gz") as file, tarfile.open(fileobj=file) as archive:
        assert archive.getnames() == ["empty"]


def test_caches_of_fsspec(fs, tmp_path):
    import fsspec

    fs.pipe_file("data/key", b"older")
    options = {"cache_storage": str(tmp_path), "check_files": True, "expiry_time": 0}

    def read():
        with fsspec.open("filecache::lucas://data/key", filecache=options) as file:
            return file.read()

    assert read() == read() == b"older"
    fs.pipe_file("data/key", b"newer")
    assert read() == b"newer"
    with fsspec.open("simplecache::lucas://data/key", simplecache={"cache_storage": str(tmp_path / "simple")}) as file:
        assert file.read() == b"newer"


def test_the_shell_of_directories(fs, tmp_path):
    import fsspec.generic

    local = tmp_path / "tree"
    (local / "deep").mkdir(parents=True)
    (local / "a").write_text("1")
    (local / "deep" / "b").write_text("2")

    fsspec.generic.rsync(f"file://{local}", "lucas://data/tree")
    within = fsspec.filesystem("dir", path="data/tree", fs=fs)

    assert within.find("") == ["a", "deep/b"]
    assert within.cat_file("deep/b") == b"2"
