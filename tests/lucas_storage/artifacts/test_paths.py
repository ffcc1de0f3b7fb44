"""Files and directories that steps are handed: what programs see, and what becomes of those that are edited."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from actorc.storage import IntegrityError
from lucas_storage import ArtifactRef, Storage, storage_context, with_storage

pytestmark = pytest.mark.usefixtures("settings")

FILES = {
    "a.txt": b"a" * 5000,
    "deep/er/b.bin": b"\x00\xff",
    "deep/run.sh": b"#!/bin/sh\n",
    ".hidden": b"h",
    "empty": b"",
}


def made_by_hand(root, files=FILES):
    (root / "nothing").mkdir(parents=True)
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755 if path.suffix == ".sh" else 0o644)
    return root


@pytest.fixture
def data(tmp_path):
    return made_by_hand(tmp_path / "by hand" / "data")


def seen_in(root):
    """Return bytes and exec bit of every file in a directory by path, and None for each directory."""
    return {
        path.relative_to(root).as_posix(): None
        if path.is_dir()
        else (path.read_bytes(), bool(path.stat().st_mode & 0o100))
        for path in sorted(root.rglob("*"))
    }


def output_of(*command):
    return sorted(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


def archived(path, target):
    subprocess.run(["tar", "cf", target / "out.tar", "-C", path.parent, path.name], check=True)
    return output_of("tar", "tf", target / "out.tar")


def found(path, target):
    return [line.removeprefix(str(path.parent)) for line in output_of("find", path, "-type", "f", "-printf", "%p %s\n")]


def copied_by(*command):
    def copied(path, target):
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
        subprocess.run([*command, path, target], check=True)
        return seen_in(target)

    copied.__name__ = command[0]
    return copied


def measured(path, target):
    return [line.split()[0] for line in output_of("du", "-s", "--apparent-size", "-b", path)]


def walked(path, target):
    return [
        (Path(top).relative_to(path), sorted(folders), sorted(files)) for top, folders, files in sorted(os.walk(path))
    ]


def copied_as_tree(path, target):
    shutil.copytree(path, target / "copy", symlinks=True)
    return seen_in(target)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "program",
    [archived, copied_by("cp", "-r"), copied_by("rsync", "-r"), found, measured, walked, copied_as_tree],
    ids=lambda program: program.__name__,
)
def test_programs_do_with_a_directory_of_the_cache_as_with_one_made_by_hand(storage, data, tmp_path, program):
    given = storage.path(storage.put(data))
    for name in ("theirs", "ours"):
        (tmp_path / name).mkdir()

    assert program(given, tmp_path / "ours") == program(data, tmp_path / "theirs")


def test_a_directory_has_no_links_at_its_top_nor_within(storage, data):
    given = storage.path(storage.put(data))

    assert [path for path in (given, *given.rglob("*")) if path.is_symlink()] == []
    assert (given.name, seen_in(given)) == ("data", seen_in(data))


NAMES = [".env", "a\\b.txt", "content", "räum ✓", "two\nlines", "x" * 255, "-rf", " ", ".stamp", ".manifest", ".names"]


@pytest.mark.few(4)
@pytest.mark.parametrize("name", NAMES)
def test_files_and_directories_keep_their_names(storage, tmp_path, name):
    made = [tmp_path / "file" / name, made_by_hand(tmp_path / "directory" / name)]
    made[0].parent.mkdir()
    made[0].write_bytes(b"a file")

    given = [storage.path(storage.put(path)) for path in made]

    assert ([path.name for path in given], given[0].read_bytes()) == ([name] * 2, b"a file")
    assert (given[0].is_symlink(), seen_in(given[1])) == (False, seen_in(made[1]))
    assert given == [storage.path(storage.put(path)) for path in given]


@pytest.mark.parametrize("names", [("one", "two"), ("content", "two"), (".three", "content"), ("one", ".three")])
def test_a_directory_is_complete_under_each_of_its_names(storage, data, names):
    ref = storage.put(data)

    given = [storage.path(replace(ref, filename=name)) for name in names]

    assert [path.name for path in given] == list(names)
    assert [seen_in(path) for path in given] == [seen_in(data)] * 2
    assert given == [storage.path(replace(ref, filename=name)) for name in names]


def test_a_directory_of_many_names_holds_its_bytes_once(storage, data):
    ref = storage.put(data)
    given = [storage.path(replace(ref, filename=name)) for name in ("one", "two", "three")]

    assert len({(path / "a.txt").stat().st_ino for path in given}) == 1


def test_a_link_that_an_earlier_version_made_is_replaced_by_the_directory(storage, data):
    ref = storage.put(data)
    given = storage.path(ref)
    given.rename(given.with_name("gone"))
    given.symlink_to("content")

    assert storage.path(ref) == given
    assert (given.is_symlink(), seen_in(given)) == (False, seen_in(data))


def in_a_process(code, *arguments, settings):
    given = {
        **os.environ,
        "STORAGE_ENDPOINT": settings["endpoint"],
        "LUCAS_STORAGE_BUCKET": settings["bucket"],
        "LUCAS_STORAGE_CACHE": str(settings["cache_dir"]),
    }
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


ASKS = """
import sys
from pathlib import Path
from dataclasses import replace
from actorc.storage import StorageClient
from lucas_storage import ArtifactRef, Storage
ref, names = ArtifactRef.parse(sys.argv[1]), sys.argv[2:]
storage = Storage()
storage.bucket_exists("connected")
fetched, genuine = [], StorageClient.get_object
StorageClient.get_object = lambda *given, **more: fetched.append(given) or genuine(*given, **more)
print("ready", flush=True)
sys.stdin.readline()
for name in names:
    path = storage.path(replace(ref, filename=name))
    print(sum(len(file.read_bytes()) for file in path.rglob("*") if file.is_file()), (path / "0").stat().st_ino)
print(len(fetched), flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_processes_that_ask_for_a_directory_at_once_fetch_it_once_and_share_it(storage, settings, tmp_path):
    files = {f"{n}": b"%d" % n * 100 for n in range(60)}
    ref = storage.put(made_by_hand(tmp_path / "data", files))
    processes = [in_a_process(ASKS, ref.uri, *names, settings=settings) for names in (["one", "two"], ["two", "one"])]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("now\n")
        process.stdin.flush()
    told = [process.stdout.readline().split() for process in processes for _ in range(2)]
    fetched = sum(int(process.stdout.readline()) for process in processes)
    for process in processes:
        process.communicate()

    assert {size for size, _ in told} == {str(sum(map(len, files.values())))}
    assert len({inode for _, inode in told}) == 1
    assert fetched == 61


KILLED = """
import os, sys
from dataclasses import replace
from lucas_storage import ArtifactRef, Storage
ref = ArtifactRef.parse(sys.argv[1])
storage = Storage()
if sys.argv[2] == "second":
    storage.path(replace(ref, filename="another"))
genuine, left = os.link, [3]
def killed(*arguments, **more):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), 9)
    return genuine(*arguments, **more)
os.link = killed
storage.path(ref)
"""


@pytest.mark.parametrize("which", [pytest.param("first", marks=pytest.mark.thorough), "second"])
def test_a_directory_that_a_killed_process_was_making_is_made_by_the_next_one(storage, settings, data, which):
    ref = storage.put(data)
    process = in_a_process(KILLED, ref.uri, which, settings=settings)
    process.communicate()

    assert process.returncode == -9
    assert seen_in(storage.path(ref)) == seen_in(data)


# What is edited in spite of all that.


def edited(path):
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(1)
        (byte,) = file.read(1)
        file.seek(1)
        file.write(bytes([byte ^ 1]))  # random bytes may have any other one there already


def edited_with_its_time_put_back(path):
    before = path.stat()
    edited(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def appended_to(path):
    path.chmod(0o644)
    with path.open("ab") as file:
        file.write(b"more")


def cut(path):
    path.chmod(0o644)
    os.truncate(path, 2)


def replaced(path):
    new = path.with_name("new")
    new.write_bytes(b"another")
    new.replace(path)


OF_A_FILE = [edited, edited_with_its_time_put_back, appended_to, cut, replaced]


def in_a_directory(change, name="deep/run.sh"):
    def changed(root):
        (root / name).parent.chmod(0o755)
        change(root / name)

    changed.__name__ = f"{change.__name__}_within"
    return changed


def added_to(path):
    path.with_name("added").write_bytes(b"added")


def emptied(path):
    path.unlink()


def given_a_directory(path):
    path.with_name("folder").mkdir()


def made_executable(path):
    path.chmod(0o555)


IN_A_DIRECTORY = [
    *map(in_a_directory, [*OF_A_FILE, added_to, emptied, given_a_directory]),
    in_a_directory(added_to, "a.txt"),
    in_a_directory(made_executable, "a.txt"),
]


@pytest.mark.parametrize(
    ("change", "size"),
    [*((change, 8000) for change in OF_A_FILE), (edited_with_its_time_put_back, 2 << 20)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_an_edited_file_is_another_artifact_and_the_old_one_stays_what_it_was(storage, tmp_path, change, size):
    (tmp_path / "data.bin").write_bytes(os.urandom(size))
    before = (tmp_path / "data.bin").read_bytes()
    ref = storage.put(tmp_path / "data.bin")
    after = []

    @with_storage
    def edits(file: Path) -> Path:
        change(file)
        after.append(file.read_bytes())
        return file

    @with_storage
    def reads(file: Path) -> bool:
        return file.read_bytes() == before

    out = ArtifactRef.parse(edits(file=ref.to_json()))

    assert (out.digest == ref.digest, out.filename, storage.get(out)) == (False, "data.bin", after[0])
    assert (reads(file=ref.to_json()), storage.get(ref), storage.path(ref).read_bytes()) == (True, before, before)
    assert storage.path(out).read_bytes() == after[0]


@pytest.mark.few(3)
@pytest.mark.parametrize("change", IN_A_DIRECTORY, ids=lambda change: change.__name__)
def test_an_edited_directory_is_another_artifact_and_the_old_one_stays_what_it_was(storage, data, change):
    ref = storage.put(data)
    after = []

    @with_storage
    def edits(folder: Path) -> Path:
        change(folder)
        after.append(seen_in(folder))
        return folder

    @with_storage
    def reads(folder: Path) -> bool:
        return seen_in(folder) == seen_in(data)

    out = ArtifactRef.parse(edits(folder=ref.to_json()))

    assert (out.digest == ref.digest, out.filename) == (False, "data")
    assert (reads(folder=ref.to_json()), seen_in(storage.path(ref))) == (True, seen_in(data))
    assert seen_in(storage.path(out)) == after[0]


@pytest.mark.parametrize("change", [edited, replaced, added_to], ids=lambda change: change.__name__)
def test_an_edit_under_one_name_is_seen_under_no_other(storage, data, change):
    ref = storage.put(data)
    other = replace(ref, filename="other")
    storage.path(other)

    in_a_directory(change)(storage.path(ref))

    assert [seen_in(storage.path(one)) for one in (other, ref)] == [seen_in(data)] * 2


@pytest.mark.parametrize("touch", [os.utime, lambda path: path.chmod(0o644)], ids=["utime", "chmod"])
def test_a_directory_that_was_touched_and_not_edited_is_the_same_artifact(storage, data, touch):
    ref = storage.put(data)
    given = storage.path(ref)
    inode = given.stat().st_ino
    touch(given / "a.txt")

    assert (storage.put(given), storage.path(ref).stat().st_ino) == (ref, inode)
    assert (given / "a.txt").stat().st_mode & 0o777 == 0o444


def test_a_name_in_use_is_not_made_again_when_the_bytes_are_verified_again(settings, storage, data):
    ref = storage.put(data)
    inode = storage.path(ref).stat().st_ino

    with storage_context(cache_scrub=0), Storage() as scrubbing:
        assert scrubbing.path(ref).stat().st_ino == inode


def test_a_file_of_a_directory_that_was_edited_is_found_by_whoever_asks_for_it_alone(storage, data):
    ref = storage.put(data)
    storage.path(ref)
    edited(storage.path(ref, only="a.txt"))

    assert storage.path(ref, only="a.txt").read_bytes() == FILES["a.txt"]


@pytest.mark.parametrize("change", [edited, replaced], ids=lambda change: change.__name__)
@pytest.mark.parametrize("kind", ["small file", "file", "directory"])
def test_an_edit_that_is_undone_by_another_step_is_an_error_and_not_the_old_artifact(
    storage, data, tmp_path, kind, change
):
    (tmp_path / "small").write_bytes(b"abc")
    ref = storage.put({"small file": tmp_path / "small", "file": data / "a.txt", "directory": data}[kind])

    @with_storage
    def reads(given: Path) -> bool:
        return given.exists()

    @with_storage
    def edits(given: Path) -> Path:
        change(given if given.is_file() else given / "a.txt")
        assert reads(given=ref.to_json())
        return given

    @with_storage
    def passes_on(given: Path) -> Path:
        assert reads(given=ref.to_json())
        return given

    with pytest.raises(IntegrityError, match=r"edited while this step used it.*scratch\(copy_of=…\)"):
        edits(given=ref.to_json())
    assert ArtifactRef.parse(passes_on(given=ref.to_json())).digest == ref.digest


def test_a_file_that_a_step_puts_in_the_place_of_what_it_was_handed_is_stored(storage, data):
    ref = storage.put(data / "a.txt")
    path = storage.path(ref)
    replaced(path)

    assert storage.get(storage.put(path)) == b"another"


@pytest.mark.parametrize("error", [errno.EPERM, errno.EMLINK])
def test_names_are_complete_where_the_file_system_has_no_hard_links(storage, data, monkeypatch, error):
    def no_links(*_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "link", no_links)
    refs = [replace(ref, filename=name) for ref in (storage.put(data), storage.put(data / "a.txt")) for name in "ab"]
    given = [storage.path(ref) for ref in refs]
    inodes = [path.stat().st_ino for path in given]

    assert [storage.path(ref).stat().st_ino for ref in refs] == inodes
    assert [seen_in(path) for path in given[:2]] == [seen_in(data)] * 2
    assert [path.read_bytes() for path in given[2:]] == [FILES["a.txt"]] * 2
    assert [storage.put(path).digest for path in given] == [ref.digest for ref in refs]
    with storage_context(cache_scrub=0), Storage() as scrubbing:
        assert [scrubbing.path(ref).stat().st_ino for ref in refs] == inodes

    edited(given[0] / "a.txt")
    assert storage.put(given[0]).digest != refs[0].digest
    assert seen_in(storage.path(refs[0])) == seen_in(data)
