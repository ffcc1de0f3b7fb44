"""Files of a server on this machine: compared with their digest once, and again as soon as something touched them."""

from __future__ import annotations

import os

import pytest

from actorc.storage.files.seekable_reader import BlobFile
from lucas_storage.artifacts.cache import server_files
from lucas_storage.artifacts.cache.cache import Cache
from lucas_storage.refs import digest_of

DATA = bytes(range(251)) * 20_000
DIGEST = digest_of((DATA,))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "blob"
    path.write_bytes(DATA + b"a trailer of the server")
    return path


@pytest.fixture
def read(monkeypatch):
    """The digests that were computed."""
    found = []
    monkeypatch.setattr(server_files, "digest_of", lambda pieces: found.append(digest_of(pieces)) or found[-1])
    return found


@pytest.fixture
def is_right(tmp_path, path):
    def ask(address=DIGEST, **options):
        with BlobFile(os.open(path, os.O_RDONLY), len(DATA)) as file:
            return Cache(tmp_path / "cache", 1 << 30, **options).vouches_for(file, address)

    return ask


def test_a_file_is_read_once_and_then_believed_by_every_process(is_right, read):
    assert [is_right() for _ in range(3)] == [True] * 3
    assert read == [DIGEST]


def test_a_file_with_another_digest_is_wrong_every_time(is_right, read):
    wrong = digest_of((b"else",))

    assert [is_right(wrong) for _ in range(2)] == [False] * 2
    assert read == [DIGEST] * 2


@pytest.mark.parametrize("touch", ["bytes", "times", "inode"])
def test_a_file_that_was_touched_is_read_again(is_right, read, path, touch):
    is_right()
    status = path.stat()
    if touch == "bytes":
        with path.open("r+b") as file:
            file.write(b"x")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # the ctime nobody can set back
    elif touch == "times":
        path.touch()
    else:
        other = path.with_name("other")
        other.write_bytes(path.read_bytes())
        other.replace(path)

    assert is_right() is (touch != "bytes")
    assert len(read) == 2


def test_a_file_that_was_cut_off_is_wrong(is_right, path):
    os.truncate(path, 10)

    assert is_right() is False


def test_a_file_is_read_again_after_the_scrub_interval(is_right, read):
    assert [is_right(), is_right(scrub=0)] == [True, True]
    assert len(read) == 2


def test_a_digest_is_not_vouched_for_by_the_stamp_of_another_one(is_right, read):
    is_right()
    same_beginning = DIGEST[:-1] + ("0" if DIGEST[-1] != "0" else "1")

    assert is_right(same_beginning) is False
    assert len(read) == 2


def test_what_is_kept_has_a_bound_and_counts_for_no_copy(is_right, tmp_path):
    is_right()
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]

    assert [path.relative_to(tmp_path / "cache").parts for path in kept] == [("objects", DIGEST[7:10], ".stamp")]
