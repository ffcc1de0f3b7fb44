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


def filled(files):
    """Return what makes a directory of files."""

    def build(target):
        for name, data in files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    return build


TREE = "manifest:" + "a" * 64


def test_a_directory_is_found_whole(cache):
    path = cache.make(TREE, filled({"a/b": b"12", "c": b"345"}))

    assert path == cache.find(TREE, 5, is_folder=True)
    assert (path / "a" / "b").read_bytes() == b"12"
    assert [cache.find(TREE, 4, is_folder=True), cache.find(TREE, 5)] == [None, None]


def test_what_fails_while_it_is_made_leaves_nothing(cache, tmp_path):
    def broken(target):
        filled({"a": b"1"})(target)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        cache.make(TREE, broken)

    assert (list((tmp_path / "cache").rglob("*")), cache.find(TREE, 1, is_folder=True)) == ([], None)


def test_a_directory_has_many_names_and_one_content(cache):
    content = cache.make(TREE, filled({"a": b"1"}))
    named = cache.named(content, "index")

    assert (named.name, (named / "a").read_bytes(), named) == ("index", b"1", cache.named(content, "index"))
    assert cache.address_of(named) == cache.address_of(content) == (TREE, content)


def test_paths_of_the_cache_are_known_by_address(cache, tmp_path):
    content = cache.insert(None, [b"abc"])
    tree = cache.make(TREE, filled({"a": b"1"}))
    (tmp_path / "copy").write_bytes(b"abc")

    assert cache.address_of(cache.named(content, "n.txt")) == (digest(b"abc"), content)
    assert [cache.address_of(path) for path in (tree / "a", tmp_path / "copy", tmp_path, content.parent)] == [None] * 4


def test_an_evicted_directory_is_gone_and_its_open_files_stay(cache):
    path = cache.make(TREE, filled({"deep/a": b"1"}))
    cache.named(path, "index")
    (path / "deep").chmod(0o555)
    with (path / "deep" / "a").open("rb") as file:
        cache.evict(TREE)

        assert file.read() == b"1"
    assert not path.parent.exists()


def test_a_file_and_a_directory_in_one_place_replace_each_other(cache):
    cache.make(TREE, filled({"a": b"1"}))
    file = cache.make(TREE, lambda target: target.write_bytes(b"12"))

    assert file.read_bytes() == b"12"
    assert (cache.make(TREE, filled({"a": b"123"})) / "a").read_bytes() == b"123"


def test_directories_count_in_full_and_are_evicted_whole(tmp_path):
    cache = Cache(tmp_path, 250)
    old = cache.make(TREE, filled({"a": b"x" * 100, "b/c": b"y" * 100}))
    age(old, YOUNG + 10)

    cache.insert(None, [b"n" * 100])

    assert not old.exists()


def test_a_map_of_what_is_evicted_stays(tmp_path):
    import mmap

    cache = Cache(tmp_path, 100)
    path = cache.insert(None, [b"x" * 90])
    with path.open("rb") as file:
        held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    age(path, YOUNG + 10)
    cache.insert(None, [b"y" * 90])

    assert (path.exists(), held[:]) == (False, b"x" * 90)


def test_makers_of_one_directory_do_not_disturb_each_other(cache):
    files = {f"{n % 7}/{n}": os.urandom(100) for n in range(100)}
    found = []
    threads = [threading.Thread(target=lambda: found.append(cache.make(TREE, filled(files)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 1
    assert {name: (found[0] / name).read_bytes() for name in files} == files
