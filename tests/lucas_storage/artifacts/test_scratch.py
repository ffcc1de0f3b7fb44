"""`Storage.scratch(copy_of=…)`: writable copies of what is shared and read-only."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from actorc.storage.errors import InvalidParameterError
from lucas_storage import ArtifactRef, Storage, with_storage
from lucas_storage.artifacts import private_copies

pytestmark = pytest.mark.usefixtures("settings")


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "data"
    (root / "deep" / "none").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"a" * 5000)
    (root / "deep" / "run.sh").write_bytes(b"#!/bin/sh\n")
    (root / "deep" / "run.sh").chmod(0o755)
    return root


def seen_in(root):
    return {
        path.relative_to(root).as_posix(): path.is_dir() or (path.read_bytes(), path.stat().st_mode & 0o100)
        for path in root.rglob("*")
    }


def test_a_step_edits_a_copy_of_a_file_and_the_original_stays(storage, folder):
    ref = storage.put(folder / "a.txt")
    seen = []

    @with_storage
    def edits(file: Path, storage: Storage) -> Path:
        copy = storage.scratch(copy_of=file)
        seen.append(copy)
        with copy.open("ab") as more:
            more.write(b"more")
        return copy

    out = ArtifactRef.parse(edits(file=ref.to_json()))

    assert (out.filename, storage.get(out)) == ("a.txt", b"a" * 5000 + b"more")
    assert (storage.get(ref), seen[0].exists(), seen[0].parent.exists()) == (b"a" * 5000, False, False)


def test_a_step_edits_a_copy_of_a_directory_and_the_original_stays(storage, folder):
    ref = storage.put(folder)
    seen = []

    @with_storage
    def edits(root: Path, storage: Storage) -> Path:
        copy = storage.scratch(copy_of=root)
        seen.append((copy, seen_in(copy)))
        (copy / "deep" / "added").write_bytes(b"added")
        (copy / "a.txt").write_bytes(b"edited")
        (copy / "deep" / "run.sh").unlink()
        return copy

    out = storage.path(edits(root=ref.to_json()))

    assert (out.name, sorted(seen_in(out))) == ("data", ["a.txt", "deep", "deep/added", "deep/none"])
    assert seen_in(storage.path(ref)) == seen[0][1] == seen_in(folder)
    assert not seen[0][0].parent.exists()


@pytest.mark.parametrize("way", ["clone", "kernel", "neither"])
@pytest.mark.parametrize("size", [0, 1, 3 << 20])
def test_a_copy_is_right_whatever_the_file_system_can(storage, tmp_path, monkeypatch, way, size):
    (tmp_path / "f").write_bytes(os.urandom(size))
    if way != "clone":
        monkeypatch.setattr(private_copies, "_CLONE", 0)
    if way == "neither":

        def refused(*_):
            raise OSError(errno.EXDEV, "another file system")

        monkeypatch.setattr(os, "copy_file_range", refused)

    assert storage.scratch(copy_of=tmp_path / "f").read_bytes() == (tmp_path / "f").read_bytes()


def test_a_clone_is_asked_for_first_and_nothing_is_copied_after_it(storage, tmp_path, monkeypatch):
    """The file system here may not clone, so the request is answered by copying as one that does would."""
    (tmp_path / "f").write_bytes(b"abc")
    asked = []

    def clones(target, request, source):
        asked.append(request)
        os.sendfile(target, source, 0, 100)

    monkeypatch.setattr(fcntl, "ioctl", clones)
    monkeypatch.setattr(os, "copy_file_range", lambda *_: 1 / 0)

    assert storage.scratch(copy_of=tmp_path / "f").read_bytes() == b"abc"
    assert asked == [0x40049409]


def test_a_file_without_a_size_is_copied(storage):
    assert storage.scratch(copy_of="/proc/self/status").read_bytes().startswith(b"Name:")


def test_a_link_gives_its_name_to_a_copy_and_links_within_stay_links(storage, folder):
    (folder / "link").symlink_to("a.txt")
    (folder.parent / "latest").symlink_to(folder)

    copy = storage.scratch(copy_of=str(folder.parent / "latest"))

    assert (copy.name, copy.is_symlink(), (copy / "link").readlink()) == ("latest", False, Path("a.txt"))


def test_copies_of_one_file_are_independent(storage, folder):
    one, other = (storage.scratch(copy_of=folder / "a.txt") for _ in range(2))
    one.write_bytes(b"one")

    assert (other.read_bytes(), (folder / "a.txt").read_bytes()) == (b"a" * 5000, b"a" * 5000)


@pytest.mark.parametrize("path", ["/", "/dev/null"])
def test_what_cannot_be_copied_is_refused(storage, path):
    with pytest.raises(InvalidParameterError):
        storage.scratch(copy_of=path)


def test_a_pipe_within_a_directory_is_refused_and_not_waited_for(storage, folder):
    os.mkfifo(folder / "deep" / "pipe")

    with pytest.raises(InvalidParameterError, match="pipe is no regular file"):
        storage.scratch(copy_of=folder)


def test_a_directory_that_holds_the_scratch_directory_is_not_copied_into_itself(storage, folder, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(folder))

    with pytest.raises(InvalidParameterError, match="into itself"):
        storage.scratch(copy_of=folder)


def test_a_missing_file_and_a_reference_are_refused(storage, tmp_path):
    ref = storage.put(b"abc")

    with pytest.raises(FileNotFoundError, match="missing"):
        storage.scratch(copy_of=tmp_path / "missing")
    for wrong in (ref, ref.to_json(), b"path"):
        with pytest.raises(TypeError, match=r"pass storage\.path\(\) of a reference"):
            storage.scratch(copy_of=wrong)


OUTSIDE = """
import os, sys
from pathlib import Path
from lucas_storage.artifacts import scratch
folder = scratch.directory()
print(folder)
(folder / "sub").mkdir()
(folder / "sub" / "file").write_text("x")
os.chmod(folder / "sub", 0o555)
"""


def test_what_a_process_leaves_outside_a_step_is_gone_when_it_ends_though_it_is_read_only():
    found = subprocess.run([sys.executable, "-c", OUTSIDE], capture_output=True, text=True, check=True)

    assert not Path(found.stdout.strip()).exists()
