"""The cache as workflows meet it: what was touched is fetched again, what is in use stays, what goes wrong is told."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lucas_storage import Storage, storage_context, with_storage
from lucas_storage.artifacts.cache import directory
from lucas_storage.errors import CacheError, CacheFullError, CacheRefusedError, ResourceExhaustedError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="plays another user, or mounts a disk, which only root may")


def change(path, data=b"x"):
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(data)


def content_of(path):
    return path.parent / "content"


@pytest.mark.parametrize("damage", [lambda path: os.truncate(path, 100), change], ids=["cut", "changed"])
def test_a_damaged_copy_is_fetched_again_under_every_name(storage, tmp_path, damage):
    (tmp_path / "model.bin").write_bytes(b"good" * 5000)
    ref = storage.put(tmp_path / "model.bin")
    path = storage.path(ref)
    path.chmod(0o644)

    damage(path)

    assert [storage.path(ref).read_bytes() for _ in range(2)] == [b"good" * 5000] * 2
    assert content_of(path).read_bytes() == b"good" * 5000
    storage.verify(ref)


def test_no_changed_bit_reaches_a_decoder(storage):
    value = np.arange(200_000.0)
    ref = storage.put(value)
    path = storage.path(ref)
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(800_000)
        file.write(b"\xff")

    with Storage() as other:
        assert np.array_equal(other.get(ref), value)


@pytest.mark.thorough
@pytest.mark.parametrize("size", [1000, 70 << 20], ids=["one object", "parts"])
def test_every_way_in_finds_a_change(storage, size):
    data = os.urandom(1000) * (size // 1000)
    ref = storage.put(data)
    ways = [
        lambda: storage.get(ref),
        lambda: storage.path(ref).read_bytes(),
        lambda: b"".join(storage.chunks(ref)),
        lambda: read_all(storage.open(ref)),
    ]
    for way in ways:
        change(storage.path(ref))
        assert way() == data


def read_all(file):
    with file:
        return file.read()


def test_an_edited_path_is_another_artifact_and_its_own_copy_is_mended(storage, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"as it was" * 1000)

    @with_storage
    def edit(file: Path) -> Path:
        change(file, b"as it IS ")
        return file

    ref = storage.put(tmp_path / "in.txt")
    edited = storage.get(edit(file=ref), Path)

    assert edited.read_bytes().startswith(b"as it IS ")
    assert storage.path(ref).read_bytes() == b"as it was" * 1000


def test_a_changed_file_of_a_directory_is_fetched_again(storage, tmp_path):
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    for name in ("a", "deep/b", "deep/c"):
        (tmp_path / "tree" / name).write_bytes(name.encode() * 100)
    ref = storage.put(tmp_path / "tree")
    tree = storage.path(ref)

    change(tree / "deep" / "b")
    (tree / "deep").chmod(0o755)
    (tree / "deep" / "c").unlink()
    (tree / "deep" / "more").write_bytes(b"")

    assert storage.path(ref, only="deep/b").read_bytes() == b"deep/b" * 100
    again = storage.path(ref)
    assert sorted(path.name for path in again.rglob("*")) == ["a", "b", "c", "deep"]
    assert (again / "deep" / "c").read_bytes() == b"deep/c" * 100


def test_what_a_step_reads_is_not_evicted_whatever_its_age(settings, tmp_path):
    (tmp_path / "images").mkdir()
    for n in range(5):
        (tmp_path / "images" / f"{n}.png").write_bytes(os.urandom(10_000))

    @with_storage
    def train(images: Path, storage: Storage) -> int:
        for folder, _, names in os.walk(images.parent):
            for name in names:
                os.utime(Path(folder, name), (0, 0))
        for _ in range(3):
            storage.get(storage.put(os.urandom(150_000)))
        return sum(len(path.read_bytes()) for path in images.iterdir())

    with storage_context(cache_max=200_000):
        assert train(images=Storage().put(tmp_path / "images")) == 50_000


def test_what_a_handle_gave_out_stays_until_it_is_closed(settings, tmp_path):
    with storage_context(cache_max=200_000):
        with Storage() as storage:
            path = storage.path(storage.put(os.urandom(100_000)))
            for _ in range(3):
                storage.get(storage.put(os.urandom(150_000)))
            while_open = path.exists()
        with Storage() as storage:
            storage.get(storage.put(os.urandom(150_000)))

    assert (while_open, path.exists()) == (True, False)


VALUES = {
    "npy": lambda: np.arange(50_000.0),
    "arrow": lambda: pd.DataFrame({"a": range(50_000)}),
    "json": lambda: {"a": "x" * 100_000},
    "text": lambda: "x" * 100_000,
    "bytes": lambda: b"x" * 100_000,
    "parts": lambda: io.BytesIO(b"y" * 100_000),  # with small parts
}


@pytest.fixture(params=VALUES)
def ref(request, storage):
    if request.param == "parts":
        request.getfixturevalue("small_parts")
    return storage.put(VALUES[request.param]())


def test_a_cache_that_was_removed_is_filled_again(storage, settings, ref):
    storage.path(ref)
    shutil.rmtree(settings["cache_dir"])

    storage.get(ref)
    assert storage.path(ref).exists()


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, CacheFullError),
        (errno.EDQUOT, CacheFullError),
        (errno.EACCES, CacheRefusedError),
        (errno.EROFS, CacheRefusedError),
        (errno.EMFILE, ResourceExhaustedError),
        (errno.ENOTDIR, CacheError),
        (errno.EIO, CacheError),
    ],
)
def test_what_the_file_system_says_is_told_with_the_setting(tmp_path, number, error):
    with pytest.raises(error) as raised, directory.file_errors(tmp_path):
        raise OSError(number, os.strerror(number))

    assert os.strerror(number) in raised.value.message
    assert number == errno.EMFILE or "LUCAS_STORAGE_CACHE" in raised.value.message
    assert isinstance(raised.value.__cause__, OSError)


def test_a_process_without_descriptors_says_so_and_reads_on_when_it_has_some(storage):
    ref = storage.put(VALUES["npy"]())
    storage.path(ref)
    held = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
            if len(held) > 100_000:
                pytest.skip("this process may open any number of files")
    except OSError:
        with pytest.raises(ResourceExhaustedError, match="no file of the cache can be opened"):
            storage.get(ref)
    finally:
        for one in held:
            os.close(one)

    assert len(storage.get(ref)) == 50_000


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@as_root
@pytest.mark.parametrize("mode", [0o700, 0o1777])
def test_a_full_disk_is_told_and_leaves_nothing(storage, small_disk, mode):
    small_disk.chmod(mode)
    values = {name: value for name, value in VALUES.items() if name != "parts"}
    refs = [storage.put(make()) for make in values.values()]
    (small_disk / "others").write_bytes(bytes(1_000_000))
    with storage_context(cache_dir=small_disk):
        for ref in refs:
            for way in (storage_of().get, storage_of().path, lambda ref: read_all(storage_of().open(ref))):
                with pytest.raises(CacheFullError, match=r"has no room.*LUCAS_STORAGE_CACHE"):
                    way(ref)
        left = [path for path in small_disk.rglob("*") if path.is_file() and path.name != ".leases"]
        (small_disk / "others").unlink()

        assert left == [small_disk / "others"]
        assert isinstance(storage_of().get(refs[0]), np.ndarray)


def storage_of():
    return Storage()


@as_root
def test_room_is_made_of_what_nobody_uses(storage, small_disk):
    refs = [storage.put(os.urandom(300_000)) for _ in range(6)]
    with storage_context(cache_dir=small_disk), Storage() as other:
        assert [len(other.get(ref)) for ref in refs] == [300_000] * 6


@as_root
@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_a_directory_of_another_user_is_refused(storage, tmp_path, mode):
    """With what nobody would like to be unpickled in it."""
    ref = storage.put(os.urandom(1000))
    planted = tmp_path / "planted"
    folder = planted / "sha256" / ref.digest[7:9] / ref.digest[7:]
    folder.mkdir(parents=True)
    (folder / "content").write_bytes(bytes(1000))
    for path in (planted, *planted.rglob("*")):
        os.chown(path, 65534, 65534)
    planted.chmod(mode)

    with storage_context(cache_dir=planted), pytest.raises(CacheRefusedError, match="belongs to the user with id"):
        Storage().get(ref)


class Harmless:
    """An object that has no format but a pickle, with room for another pickle in its bytes."""

    def __init__(self):
        self.text = "x" * 600


class Planted:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def planted_pickle(marker, size):
    """Return an artifact of `size` bytes that a decoder takes for a pickle, and that makes a file."""
    text = pickle.dumps(Planted(marker))
    fields = {"python": f"{sys.version_info[0]}.{sys.version_info[1]}", "code": False, "size": len(text), "buffers": []}
    head = json.dumps(fields | {"type": ""}).encode()
    room = size - len(head) - len(text) - 16
    head = json.dumps(fields | {"type": "x" * room}).encode()
    return b"LUCASPK5" + len(head).to_bytes(8, "big") + head + text


@as_root
@pytest.mark.parametrize("owner", [65534, 0], ids=["of another user", "of this user"])
def test_a_pickle_that_was_planted_in_the_cache_is_never_loaded(storage, settings, tmp_path, owner):
    """Its reference is signed, and right: it is the copy that is not what was signed."""
    ref = storage.put(Harmless())
    marker = tmp_path / "loaded"
    evil = planted_pickle(marker, ref.size)
    planted = tmp_path / "planted"
    folder = planted / "sha256" / ref.digest[7:9] / ref.digest[7:]
    folder.mkdir(parents=True)
    planted.chmod(0o700)
    (folder / "content").write_bytes(evil)
    for path in (planted, *planted.rglob("*")):
        os.chown(path, owner, owner)
    assert len(evil) == ref.size

    with storage_context(**{**settings, "cache_dir": planted}), Storage() as other:
        if owner:
            with pytest.raises(CacheRefusedError, match="belongs to the user with id"):
                other.get(ref)
        else:
            assert isinstance(other.get(ref), Harmless)

    assert not marker.exists()
    pickle.loads(pickle.dumps(Planted(marker)))
    assert marker.exists()


@as_root
@pytest.mark.parametrize("level", range(4))
def test_what_another_user_made_within_the_directory_is_not_used(storage, settings, level):
    data = os.urandom(1000)
    ref = storage.put(data)
    path = storage.path(ref)
    content = content_of(path)
    below = [content, content.parent, content.parent.parent, content.parent.parent.parent][level]
    os.chown(below, 65534, 65534)
    change(content, bytes(1000))

    if level < 2:
        assert storage.get(ref) == data
    else:
        with pytest.raises(CacheRefusedError, match="is not this user's; remove it"):
            storage.get(ref)
