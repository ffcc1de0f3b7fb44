"""The cache: complete and verified copies or none, under any interleaving."""

from __future__ import annotations

import hashlib
import os
import threading
import time

import pytest

from lucas_storage.cache import ABANDONED, YOUNG, Cache, safe_name
from lucas_storage.errors import DigestMismatchError


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache", 1 << 30)


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_copy_is_found_by_digest_and_size(cache):
    path = cache.insert(digest(b"abc"), [b"a", b"bc"])

    assert (path.read_bytes(), path) == (b"abc", cache.find(digest(b"abc"), 3))
    assert path.stat().st_mode & 0o777 == 0o444
    assert cache.find(digest(b"abc"), 4) is None
    assert cache.find(digest(b"other"), 5) is None


def test_the_directory_is_private(cache, tmp_path):
    cache.insert(None, [b"abc"])

    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_wrong_bytes_are_not_kept(cache, tmp_path):
    with pytest.raises(DigestMismatchError, match="do not match their digest"):
        cache.insert(digest(b"abc"), [b"abd"])

    assert cache.find(digest(b"abc"), 3) is None
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_a_source_that_fails_leaves_nothing(cache, tmp_path):
    def broken():
        yield b"abc"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        cache.insert(digest(b"abcdef"), broken())

    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_an_evicted_copy_is_gone_and_open_files_stay(cache):
    path = cache.insert(None, [b"abc"])
    named = cache.named(path, "a.txt")
    with path.open("rb") as file:
        cache.evict(digest(b"abc"))

        assert file.read() == b"abc"
    assert (path.exists(), named.exists()) == (False, False)


def test_a_copy_has_many_names_and_one_content(cache):
    content = cache.insert(None, [b"abc"])

    first, second = cache.named(content, "a.txt"), cache.named(content, "b.txt")

    assert (first.name, second.name, first.parent) == ("a.txt", "b.txt", content.parent)
    assert first.stat().st_ino == content.stat().st_ino
    assert first == cache.named(content, "a.txt")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.csv", "a.csv"),
        ("../../etc/passwd", "_.._etc_passwd"),
        (".bashrc", "bashrc"),
        ("..", "_"),
        ("content", "_content"),
        ("a\nb\x00", "a_b_"),
        ("räum 1.csv", "räum 1.csv"),
    ],
)
def test_names_are_harmless(name, safe):
    assert safe == safe_name(name)


def test_beyond_the_cap_the_copies_longest_unused_go(tmp_path):
    cache = Cache(tmp_path, 250)
    old, older, young = (cache.insert(None, [bytes([n]) * 80]) for n in range(3))
    age(old, YOUNG + 10)
    age(older, YOUNG + 20)

    newest = cache.insert(None, [b"n" * 80])

    assert [path.exists() for path in (older, old, young, newest)] == [False, False, True, True]


def test_a_use_makes_a_copy_young_again(tmp_path):
    cache = Cache(tmp_path, 150)
    path = cache.insert(None, [b"x" * 100])
    age(path, YOUNG + 10)
    cache.find(digest(b"x" * 100), 100)

    cache.insert(None, [b"y" * 100])

    assert path.exists()


def test_what_a_killed_writer_left_is_swept(tmp_path):
    left = tmp_path / ".new-left"
    left.write_bytes(b"half")
    age(left, ABANDONED + 10)

    Cache(tmp_path, 100).insert(None, [b"abc"])

    assert not left.exists()


def test_a_directory_that_cannot_be_written_is_replaced_with_one_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file" / "cache", 100)

    paths = [cache.insert(None, [data]) for data in (b"a", b"b")]

    assert [path.read_bytes() for path in paths] == [b"a", b"b"]
    assert len([record for record in caplog.records if "cannot be written" in record.message]) == 1


def test_writers_of_one_digest_do_not_disturb_each_other(cache):
    data = os.urandom(100_000)
    pieces = [data[start : start + 1000] for start in range(0, len(data), 1000)]
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(cache.insert(digest(data), iter(pieces)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 1
    assert found[0].read_bytes() == data


def test_one_thread_at_a_time_fetches_a_digest(cache):
    inside, most = [0], [0]

    def fetch():
        with cache.only_one("sha256:x"):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            inside[0] -= 1

    threads = [threading.Thread(target=fetch) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most[0] == 1
