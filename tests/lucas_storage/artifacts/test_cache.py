"""The cache: complete and verified copies or none, under any interleaving."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lucas_storage.artifacts.cache import copies, flights, leases, stamps
from lucas_storage.artifacts.cache.cache import Cache
from lucas_storage.artifacts.cache.flights import Flights
from lucas_storage.artifacts.cache.removal import ABANDONED
from lucas_storage.errors import CacheError, CacheRefusedError, DigestMismatchError


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache", 1 << 30)


def under_name(cache, content, name):
    """Return a copy under a name."""
    address = f"{content.parents[2].name}:{content.parent.name}"
    return cache.find(address, is_folder=content.is_dir(), name=name)


TREE = "manifest:" + "a" * 64


def filled(files):
    """Return what makes a directory of files."""

    def build(target):
        for name, data in files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    return build


def age(path, seconds):
    """Let a file of the cache, or the last use of the copy that it is the content of, lie in the past."""
    then = time.time() - seconds
    stamp = path.with_name(".stamp")
    os.utime(stamp if stamp.exists() else path, (then, then))


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
    named = under_name(cache, path, "a.txt")
    with path.open("rb") as file:
        cache.make_room(1 << 60)

        assert file.read() == b"abc"
    assert (path.exists(), named.exists()) == (False, False)


def test_a_copy_has_many_names_and_one_content(cache):
    content = cache.insert(None, [b"abc"])

    first, second = under_name(cache, content, "a.txt"), under_name(cache, content, "b.txt")

    assert (first.name, second.name, first.parent) == ("a.txt", "b.txt", content.parent)
    assert first.stat().st_ino == content.stat().st_ino
    assert first == under_name(cache, content, "a.txt")


@pytest.mark.parametrize(
    "name", ["a.csv", ".bashrc", "content", ".stamp", ".names", "a\\b.txt", "a\nb\x1b", "räum 1.csv", "-rf", "x" * 255]
)
def test_a_name_is_kept_whatever_it_is(cache, name):
    file, tree = cache.insert(None, [b"abc"]), cache.make(TREE, filled({"a": b"1"}))

    found = [under_name(cache, file, name), under_name(cache, tree, name)]

    assert [path.name for path in found] == [name] * 2
    assert [path.is_symlink() for path in found] == [False] * 2
    assert (found[0].read_bytes(), (found[1] / "a").read_bytes()) == (b"abc", b"1")
    assert [cache.find(digest(b"abc"), 3), cache.find(TREE, 1, is_folder=True)] == [file, tree]


def test_beyond_the_cap_the_copies_longest_unused_go(tmp_path):
    cache = Cache(tmp_path, 250)
    old, older, young = (cache.insert(None, [bytes([n]) * 80]) for n in range(3))
    age(old, 10)
    age(older, 20)

    newest = cache.insert(None, [b"n" * 80])

    assert [path.exists() for path in (older, old, young, newest)] == [False, False, True, True]


def test_a_use_makes_a_copy_young_again(tmp_path):
    cache = Cache(tmp_path, 250)
    used, unused = (cache.insert(None, [data * 100]) for data in (b"x", b"y"))
    age(used, 20)
    age(unused, 10)
    cache.find(digest(b"x" * 100), 100)

    cache.insert(None, [b"z" * 100])

    assert (used.exists(), unused.exists()) == (True, False)


def test_what_other_processes_inserted_counts(tmp_path):
    """Two caches of one directory do not know of each other, as two processes do not."""
    one, other = Cache(tmp_path, 250), Cache(tmp_path, 250)
    first = one.insert(None, [b"a" * 80])
    age(first, 10)
    for data in (b"b", b"c"):
        other.insert(None, [data * 80])

    one.insert(None, [b"d" * 80])

    assert not first.exists()


def test_a_copy_larger_than_the_cap_is_there_until_another_comes(tmp_path):
    cache = Cache(tmp_path, 50)
    large = cache.insert(None, [b"x" * 100])
    age(large, 10)
    there = large.read_bytes() == b"x" * 100

    cache.insert(None, [b"y"])

    assert (there, large.exists()) == (True, False)


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


def test_one_thread_at_a_time_fetches_a_digest():
    inside, most, fetches = [0], [0], Flights()

    def fetch():
        for _ in range(50):
            with fetches.alone("sha256:x"):
                inside[0] += 1
                os.sched_yield()
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=fetch) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most[0] == 1


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
    named = under_name(cache, content, "index")

    assert (named.name, (named / "a").read_bytes(), named) == ("index", b"1", under_name(cache, content, "index"))
    assert cache.address_of(named) == cache.address_of(content) == (TREE, 1)


def test_paths_of_the_cache_are_known_by_address(cache, tmp_path):
    content = cache.insert(None, [b"abc"])
    tree = cache.make(TREE, filled({"a": b"1"}))
    (tmp_path / "copy").write_bytes(b"abc")

    assert cache.address_of(under_name(cache, content, "n.txt")) == (digest(b"abc"), 3)
    assert [cache.address_of(path) for path in (tree / "a", tmp_path / "copy", tmp_path, content.parent)] == [None] * 4


def test_an_evicted_directory_is_gone_and_its_open_files_stay(cache):
    path = cache.make(TREE, filled({"deep/a": b"1"}))
    under_name(cache, path, "index")
    (path / "deep").chmod(0o555)
    with (path / "deep" / "a").open("rb") as file:
        cache.make_room(1 << 60)

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
    age(old, 10)

    cache.insert(None, [b"n" * 100])

    assert not old.exists()


def test_a_map_of_what_is_evicted_stays(tmp_path):
    import mmap

    cache = Cache(tmp_path, 100)
    path = cache.insert(None, [b"x" * 90])
    with path.open("rb") as file:
        held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    age(path, 10)
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


# What was verified once is believed while nothing touched it.


def flip(path, at=0):
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def touched_by(change):
    return pytest.param(change, id=change.__name__)


def one_bit(path):
    flip(path)


def one_bit_with_its_times_put_back(path):
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cut(path):
    path.chmod(0o644)
    os.truncate(path, 1)


def another_file_in_its_place(path):
    path.unlink()
    path.write_bytes(b"abd")


def a_link_in_its_place(path):
    path.unlink()
    other = path.parent.parent / "other"
    other.write_bytes(b"abc")
    path.symlink_to(other)


def a_pipe_in_its_place(path):
    path.unlink()
    os.mkfifo(path)


def nothing_in_its_place(path):
    path.unlink()


CHANGES = [
    touched_by(one)
    for one in (
        one_bit,
        one_bit_with_its_times_put_back,
        cut,
        another_file_in_its_place,
        a_link_in_its_place,
        a_pipe_in_its_place,
        nothing_in_its_place,
    )
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_absent_in_every_process(cache, tmp_path, change):
    path = cache.insert(None, [b"abc"])
    under_name(cache, path, "a.txt")

    change(path)

    for one in (cache, Cache(tmp_path / "cache", 1 << 30)):
        assert (one.find(digest(b"abc"), 3), one.open(digest(b"abc"), 3)) == (None, None)
        assert one.address_of(path) is None


@pytest.mark.parametrize("change", CHANGES)
def test_a_name_leads_to_the_verified_bytes_whatever_was_done_to_it(cache, change):
    named = under_name(cache, cache.insert(None, [b"abc"]), "a.txt")

    change(named)
    again = under_name(cache, cache.find(digest(b"abc"), 3) or cache.insert(None, [b"abc"]), "a.txt")

    assert (again, again.read_bytes(), again.is_symlink()) == (named, b"abc", False)


def test_a_replaced_copy_keeps_the_names_it_had(cache):
    content = cache.insert(None, [b"abc"])
    names = [under_name(cache, content, name) for name in ("a.txt", "b.txt")]
    flip(names[0])

    cache.insert(None, [b"abc"])

    assert [name.read_bytes() for name in names] == [b"abc", b"abc"]


def test_a_file_that_a_program_put_beside_a_copy_is_no_name_of_it(cache):
    named = under_name(cache, cache.insert(None, [b"abc"]), "a.bam")
    named.with_name("a.bam.bai").write_bytes(b"index")
    flip(named)

    cache.insert(None, [b"abc"])

    assert (named.read_bytes(), named.with_name("a.bam.bai").exists()) == (b"abc", False)


def reads(monkeypatch):
    """Return what counts how often a copy is read to be verified."""
    found, right = [], copies.is_right
    monkeypatch.setattr(copies, "is_right", lambda folder, *rest: found.append(folder) or right(folder, *rest))
    return found


def test_an_untouched_copy_is_read_once_by_all_processes_together(cache, tmp_path, monkeypatch):
    path = cache.insert(None, [bytes(2 << 20)])
    under_name(cache, path, "a.txt")
    found = reads(monkeypatch)

    for _ in range(3):
        assert Cache(tmp_path / "cache", 1 << 30).find("sha256:" + path.parent.name, 2 << 20) == path
        cache.open("sha256:" + path.parent.name, 2 << 20).close()

    assert found == []


def test_a_touched_copy_that_is_right_is_read_once_more_and_kept(cache, monkeypatch):
    path = cache.insert(None, [bytes(2 << 20)])
    address = "sha256:" + path.parent.name
    inode = path.stat().st_ino
    found = reads(monkeypatch)
    path.chmod(0o644)

    assert [cache.find(address, 2 << 20) for _ in range(3)] == [path] * 3
    assert (len(found), path.stat().st_ino, path.stat().st_mode & 0o777) == (1, inode, 0o444)


def test_readers_of_a_copy_that_has_to_be_verified_do_not_disturb_each_other(cache):
    """A copy this young is verified at each hand-out: its clock has not left the time at which it was written."""
    path = cache.insert(None, [b"abc"])
    found = []
    threads = [threading.Thread(target=lambda: found.append(cache.open(digest(b"abc"), 3))) for _ in range(8)]
    before = but_for_atime(path.stat())
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for file in found:
        file.close()

    assert but_for_atime(path.stat()) == before


def but_for_atime(status):
    return tuple(value for field, value in enumerate(status) if field != stat.ST_ATIME)


def test_an_untouched_copy_is_read_again_after_the_scrub_interval(tmp_path, monkeypatch):
    path = Cache(tmp_path, 1 << 30).insert(None, [bytes(2 << 20)])
    found = reads(monkeypatch)

    Cache(tmp_path, 1 << 30, scrub=3600).find("sha256:" + path.parent.name)
    before = len(found)
    Cache(tmp_path, 1 << 30, scrub=0).find("sha256:" + path.parent.name)

    assert (before, len(found)) == (0, 1)


@pytest.mark.parametrize("stamp", [b"", b"{}", b"[]\n{}\n{}", b"\xff" * 100, b"[" * 100_000, b'{"address":1}\n1\n1'])
def test_a_damaged_stamp_is_none(cache, stamp):
    path = cache.insert(None, [b"abc"])
    path.with_name(".stamp").write_bytes(stamp)

    assert cache.find(digest(b"abc"), 3) == path
    flip(path)
    path.with_name(".stamp").write_bytes(stamp)
    assert cache.find(digest(b"abc"), 3) is None


@pytest.mark.parametrize("put_there", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("content")])
def test_what_is_no_file_in_the_place_of_a_stamp_proves_nothing_and_hides_nothing(cache, put_there):
    path = cache.insert(None, [b"abc"])
    path.with_name(".stamp").unlink()
    put_there(path.with_name(".stamp"))

    assert cache.find(digest(b"abc"), 3) == path
    flip(path)
    assert cache.find(digest(b"abc"), 3) is None


def test_a_stamp_is_of_one_address(cache):
    one, other = cache.insert(None, [b"abc"]).parent, cache.insert(None, [b"xyz"]).parent
    one.rename(one.with_name("kept"))
    other.rename(one)

    assert cache.find(digest(b"abc"), 3) is None


def manifest_of(files):
    """Return address and text of the manifest of a directory."""
    from lucas_storage.artifacts.manifest import Manifest, Part, TreeFile

    text = Manifest(
        files=tuple(
            TreeFile(path=name, executable=False, parts=(Part(digest=digest(data), size=len(data), crc32c="0" * 8),))
            for name, data in sorted(files.items())
        )
    ).encode()
    return "manifest:" + hashlib.sha256(text).hexdigest(), text


FILES = {"a/b": b"12", "a/c": b"345", "d": b"6789"}


def added(tree):
    (tree / "a").chmod(0o755)
    (tree / "a" / "more").write_bytes(b"")


def removed(tree):
    (tree / "a").chmod(0o755)
    (tree / "a" / "c").unlink()


def edited(tree):
    flip(tree / "a" / "c")


def truncated(tree):
    (tree / "d").chmod(0o644)
    os.truncate(tree / "d", 1)


def made_executable(tree):
    (tree / "d").chmod(0o555)


def linked(tree):
    (tree / "a").chmod(0o755)
    (tree / "a" / "b").unlink()
    (tree / "a" / "b").symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    "change", [touched_by(one) for one in (added, removed, edited, truncated, made_executable, linked)]
)
def test_a_change_anywhere_in_a_directory_is_found_and_mended(cache, change):
    address, text = manifest_of(FILES)
    tree = cache.make(address, filled(FILES), text)
    named = under_name(cache, tree, "index")
    cache.find(address, 9, is_folder=True)

    change(tree)

    assert (cache.find(address, 9, is_folder=True), cache.address_of(named)) == (None, None)
    cache.make(address, filled(FILES), text)
    assert {path.relative_to(tree).as_posix(): path.read_bytes() for path in tree.rglob("*") if path.is_file()} == FILES
    assert (named / "d").read_bytes() == b"6789"


def test_a_touched_directory_that_is_right_is_kept(cache, monkeypatch):
    address, text = manifest_of(FILES)
    tree = cache.make(address, filled(FILES), text)
    found = reads(monkeypatch)
    os.utime(tree / "a" / "b")

    assert [cache.find(address, 9, is_folder=True) for _ in range(3)] == [tree] * 3
    assert len(found) == 1


def test_a_damaged_manifest_proves_nothing(cache):
    address, text = manifest_of(FILES)
    tree = cache.make(address, filled(FILES), text)
    os.utime(tree / "a" / "b")
    tree.with_name(".manifest").write_bytes(text.replace(b"1", b"2", 1))

    assert cache.find(address, 9, is_folder=True) is None


# What happens while a copy is looked at.


def meanwhile(monkeypatch, module, name, act, *, nth=1, before=False):
    """Let `act` happen once, before or after the nth call of a function of a module."""
    function, calls = getattr(module, name), itertools.count(1)

    def called(*args):
        is_now = next(calls) == nth
        if is_now and before:
            act()
        result = function(*args)
        if is_now and not before:
            act()
        return result

    monkeypatch.setattr(module, name, called)


def test_a_name_given_while_a_copy_is_read_does_not_make_it_wrong(cache, monkeypatch):
    path = cache.insert(None, [b"abc"])
    path.chmod(0o644)
    meanwhile(monkeypatch, copies, "is_right", lambda: os.link(path, path.with_name("a.txt")))

    assert cache.find(digest(b"abc"), 3) == path


def test_a_name_given_while_a_copy_is_opened_does_not_make_it_wrong(cache, monkeypatch):
    path = cache.insert(None, [bytes(2 << 20)])
    meanwhile(monkeypatch, copies, "opened", lambda: os.link(path, path.with_name("a.txt")), before=True)

    with cache.open("sha256:" + path.parent.name, 2 << 20) as file:
        assert file.read() == bytes(2 << 20)


def within_one_tick(path):
    """Change a file and let its mtime be as before; on a coarse clock its ctime may be as well."""
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("look", [1, 2, 3])
def test_a_change_right_after_a_look_is_found_at_the_next_hand_out(cache, monkeypatch, look):
    path = cache.insert(None, [bytes(2 << 20)])
    address = "sha256:" + path.parent.name
    path.chmod(0o644)
    meanwhile(monkeypatch, copies, "signatures", lambda: within_one_tick(path), nth=look)

    cache.find(address, 2 << 20)

    assert [cache.find(address, 2 << 20) for _ in range(2)] == [None, None]


def test_a_change_between_hand_out_and_naming_is_not_stamped(cache):
    path = cache.insert(None, [bytes(2 << 20)])
    within_one_tick(path)

    under_name(cache, path, "a.txt")

    assert cache.find("sha256:" + path.parent.name, 2 << 20) is None


def test_a_cache_that_is_removed_while_a_copy_is_published_is_an_error(cache, tmp_path, monkeypatch):
    meanwhile(monkeypatch, stamps, "write", lambda: shutil.rmtree(tmp_path / "cache"))

    with pytest.raises(CacheError, match="No such file"):
        cache.insert(None, [b"abc"])
    assert cache.insert(None, [b"abc"]).read_bytes() == b"abc"


def test_a_right_copy_that_another_process_put_in_place_of_a_wrong_one_stays(cache, tmp_path, monkeypatch):
    flip(cache.insert(None, [b"abc"]))
    others = []
    meanwhile(
        monkeypatch,
        copies,
        "is_right",
        lambda: others.append(Cache(tmp_path / "cache", 1 << 30).insert(None, [b"abc"]).stat().st_ino),
    )

    path = cache.insert(None, [b"abc"])

    assert (path.read_bytes(), [path.stat().st_ino]) == (b"abc", others)


def test_what_is_no_copy_is_neither_counted_nor_evicted(tmp_path):
    cache = Cache(tmp_path, 150)
    path = cache.insert(None, [b"x" * 100])
    shutil.copytree(path.parent, path.parent.with_name("kept by hand"))

    cache.insert(None, [b"y" * 100])

    assert (path.exists(), path.parent.with_name("kept by hand").exists()) == (False, True)


# Whose the directory is.


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_directory_that_others_may_write_to_is_refused(tmp_path, mode):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(mode)
    cache = Cache(tmp_path / "cache", 100)

    for act in (lambda: cache.insert(None, [b"abc"]), lambda: cache.find(digest(b"abc"), 3)):
        with pytest.raises(
            CacheRefusedError, match=r"may be written to by other users.*chmod go-w.*LUCAS_STORAGE_CACHE"
        ):
            act()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_directory_that_is_opened_to_others_later_is_refused_from_then_on(cache, tmp_path):
    cache.insert(None, [b"abc"])
    (tmp_path / "cache").chmod(0o777)

    with pytest.raises(CacheRefusedError):
        cache.find(digest(b"abc"), 3)


def test_within_a_directory_for_everybody_there_is_one_of_ones_own(tmp_path):
    (tmp_path / "everybody").mkdir()
    (tmp_path / "everybody").chmod(0o1777)

    path = Cache(tmp_path / "everybody", 100).insert(None, [b"abc"])

    own = tmp_path / "everybody" / f"lucas-storage-{os.geteuid()}"
    assert (path.is_relative_to(own), own.stat().st_mode & 0o777) == (True, 0o700)


def test_a_link_in_a_directory_for_everybody_is_not_followed(tmp_path):
    (tmp_path / "everybody").mkdir()
    (tmp_path / "everybody").chmod(0o1777)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "everybody" / f"lucas-storage-{os.geteuid()}").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(CacheRefusedError, match="is a link"):
        Cache(tmp_path / "everybody", 100).insert(None, [b"abc"])


def test_a_link_above_a_copy_is_not_followed(cache, tmp_path):
    path = cache.insert(None, [b"abc"])
    above = path.parent.parent
    above.rename(tmp_path / "elsewhere")
    above.symlink_to(tmp_path / "elsewhere")

    assert cache.find(digest(b"abc"), 3) is None
    with pytest.raises(CacheRefusedError, match="is not this user's; remove it"):
        cache.insert(None, [b"abc"])


def test_a_removed_directory_is_made_again(cache, tmp_path):
    cache.insert(None, [b"abc"])
    shutil.rmtree(tmp_path / "cache")

    assert cache.find(digest(b"abc"), 3) is None
    assert cache.insert(None, [b"abc"]).read_bytes() == b"abc"
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


# What is in use stays.


@pytest.fixture
def holder():
    one = leases.Holder()
    yield one
    one.release()


def test_what_is_held_is_not_evicted_whatever_its_age(tmp_path, holder):
    cache = Cache(tmp_path, 150)
    held = cache.insert(None, [b"x" * 100])
    cache.hold(digest(b"x" * 100), holder)
    for name in (held, held.with_name(".stamp")):
        os.utime(name, (0, 0))

    cache.insert(None, [b"y" * 100])
    while_held = held.exists()
    holder.release()
    cache.insert(None, [b"z" * 100])

    assert (while_held, held.exists()) == (True, False)


def test_what_a_step_holds_stays_until_it_ends(tmp_path, holder):
    cache = Cache(tmp_path, 150)
    held = cache.insert(None, [b"x" * 100])
    with leases.step():
        cache.hold(digest(b"x" * 100), holder)
        cache.insert(None, [b"y" * 100])
        while_running = held.exists()
    cache.insert(None, [b"z" * 100])

    assert (while_running, held.exists()) == (True, False)


HOLDS = """
import sys
from pathlib import Path
from lucas_storage.artifacts.cache.cache import Cache
from lucas_storage.artifacts.cache.leases import Holder
cache = Cache(Path(sys.argv[1]), 150)
cache.hold(sys.argv[2], Holder())
print("held", flush=True)
sys.stdin.read()
"""


def test_what_another_process_holds_stays_until_that_is_killed(tmp_path):
    cache = Cache(tmp_path, 150)
    held = cache.insert(None, [b"x" * 100])
    age(held, 10)
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path), digest(b"x" * 100)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout.readline() == b"held\n"
        cache.insert(None, [b"y" * 100])
        while_held = held.exists()
        other.kill()
        other.wait()
        other.stdin.close()
    cache.insert(None, [b"z" * 100])

    assert (while_held, held.exists()) == (True, False)


def test_what_is_held_stays_though_somebody_removed_the_file_of_the_leases(tmp_path, holder):
    cache = Cache(tmp_path, 150)
    held, second = cache.insert(None, [b"x" * 100]), cache.insert(None, [b"s"])
    cache.hold(digest(b"x" * 100), holder)
    (tmp_path / ".leases").unlink()
    cache.hold(digest(b"s"), holder)
    found = subprocess.run(
        [sys.executable, "-c", EVICTS, str(tmp_path)], capture_output=True, check=True, stdin=subprocess.DEVNULL
    )

    assert (found.stderr, held.exists(), second.exists()) == (b"", True, True)


EVICTS = """
import sys
from pathlib import Path
from lucas_storage.artifacts.cache.cache import Cache
Cache(Path(sys.argv[1]), 50).insert(None, [b"e" * 100])
"""


def test_any_number_of_copies_is_held_by_one_descriptor(tmp_path, holder, open_below):
    cache = Cache(tmp_path, 1 << 30)
    cache.hold(digest(b"first"), holder)
    before = open_below(tmp_path)

    for n in range(200):
        cache.hold(digest(str(n).encode()), holder)

    assert len(open_below(tmp_path)) == len(before)


FETCHES = """
import sys
from pathlib import Path
from lucas_storage.artifacts.cache.leases import leases_of
with leases_of(Path(sys.argv[1])).fetching(sys.argv[2], 0):
    print("fetching", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def fetching_elsewhere(cache, tmp_path):
    """Another process that is fetching a copy of ``abc``."""
    cache.insert(None, [b"another"])
    other = subprocess.Popen(
        [sys.executable, "-c", FETCHES, str(tmp_path / "cache"), digest(b"abc")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with other:
        assert other.stdout.readline() == b"fetching\n"
        yield other
        other.stdin.close()


def asked_for(cache, finds):
    """Ask for ``abc`` and return how often it was made, which follows if none of `finds` is a path."""
    made = []
    cache.found_or_made(
        digest(b"abc"), 3, lambda: finds.pop(0)(), lambda: made.append(0) or cache.insert(None, [b"abc"])
    )
    return len(made)


def test_a_copy_that_another_process_fetched_meanwhile_is_not_fetched_again(cache, tmp_path, fetching_elsewhere):
    def end():
        Cache(tmp_path / "cache", 1 << 30).insert(None, [b"abc"])
        fetching_elsewhere.stdin.close()

    assert asked_for(cache, [end, lambda: cache.find(digest(b"abc"), 3)]) == 0


def test_a_copy_is_fetched_when_the_process_that_was_fetching_it_is_killed(cache, fetching_elsewhere):
    assert asked_for(cache, [fetching_elsewhere.kill, lambda: None]) == 1


def test_a_process_that_does_not_get_on_is_not_waited_for_for_ever(cache, fetching_elsewhere, monkeypatch):
    monkeypatch.setattr(flights, "PATIENCE", 0)

    assert asked_for(cache, [lambda: None, lambda: None]) == 1
    assert fetching_elsewhere.poll() is None
