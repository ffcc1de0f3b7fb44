"""What the disk may hold after a power cut: synced bytes and names for certain, anything else perhaps."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from actorc.storage.errors import ObjectNotFoundError
from actorc.storage.models import ObjectAttributes
from actorc.storage.rules import KiB, MiB
from actorc.storage.server.engines.base import CopySource


@dataclass(eq=False)
class File:
    volatile: bytearray = field(default_factory=bytearray)
    durable: bytes = b""


@dataclass
class Folder:
    volatile: dict[str, File | None] = field(default_factory=dict)  # None stands for a directory
    durable: dict[str, File | None] = field(default_factory=dict)


class Medium:
    """A disk with a write cache: every operation recorded is applied, and what a cut may leave is written out."""

    def __init__(self, *roots):
        self.folders = {root: Folder() for root in roots}
        self.roots = roots

    def apply(self, operation, *args):
        getattr(self, operation)(*args)

    def create(self, path, file):
        self.folders[path.parent].volatile[path.name] = file

    def write(self, file, data, offset):
        file.volatile[offset : offset + len(data)] = data

    def truncate(self, file, size):
        del file.volatile[size:]
        file.volatile.extend(bytes(size - len(file.volatile)))

    def sync(self, file):
        file.durable = bytes(file.volatile)

    def sync_directory(self, path):
        if path in self.folders:
            self.folders[path].durable = dict(self.folders[path].volatile)

    def make_directory(self, path):
        if path.parent in self.folders:
            self.folders[path.parent].volatile[path.name] = None
            self.folders.setdefault(path, Folder())

    def rename(self, source, target):
        self.folders[target.parent].volatile[target.name] = self.folders[source.parent].volatile.pop(source.name)

    def unlink(self, path):
        self.folders[path.parent].volatile.pop(path.name, None)

    def leave(self, base, copy, choose):
        """Write one state a cut may leave of every root below `base` to the same place below `copy`."""
        for root in self.roots:
            self._leave(root, copy / root.relative_to(base), choose)

    def _leave(self, path, target, choose):
        target.mkdir(parents=True)
        folder = self.folders[path]
        for name in sorted(folder.durable.keys() | folder.volatile.keys()):
            names = folder.volatile if choose() else folder.durable
            if name not in names:
                continue
            file = names[name]
            if file is None:
                self._leave(path / name, target / name, choose)
            else:
                (target / name).write_bytes(bytes(file.volatile) if choose() else file.durable)


@pytest.fixture
def recording(disk):  # noqa: C901 (one short method per call of the disk)
    """The real disk, with a log of all that happens to it."""

    class Recording(type(disk)):
        def __init__(self):
            self.log = []
            self.open_files = {}
            self.database = None

        def create(self, path):
            descriptor = super().create(path)
            if path.parent.name == "staging":
                self.open_files[descriptor] = File()
                self.log.append(("create", path, self.open_files[descriptor]))
            return descriptor

        def allocate(self, descriptor, size):
            super().allocate(descriptor, size)
            if descriptor in self.open_files:  # room kept for the index has no name, and no content to lose
                self.log.append(("truncate", self.open_files[descriptor], size))

        def write(self, descriptor, data, offset):
            super().write(descriptor, data, offset)
            if descriptor in self.open_files:
                self.log.append(("write", self.open_files[descriptor], bytes(data), offset))

        def clone(self, source, source_offset, descriptor, offset, length):
            if not super().clone(source, source_offset, descriptor, offset, length):
                return False
            self.log.append(("write", self.open_files[descriptor], os.pread(descriptor, length, offset), offset))
            return True

        def truncate(self, descriptor, size):
            super().truncate(descriptor, size)
            self.log.append(("truncate", self.open_files[descriptor], size))

        # what a sync is good for, the medium says; the real one takes time alone
        def sync(self, descriptor):
            if descriptor in self.open_files:
                self.log.append(("sync", self.open_files.pop(descriptor)))

        def sync_directory(self, path):
            self.log.append(("sync_directory", path))

        def make_directory(self, path):
            super().make_directory(path)
            if "blobs" in path.parent.parts:
                self.log.append(("make_directory", path))

        def rename(self, source, target):
            super().rename(source, target)
            if source.parent.name == "staging":
                self.log.append(("rename", source, target))

        def unlink(self, path):
            super().unlink(path)
            if path.parent.name != "data":
                self.log.append(("unlink", path))

        def commit(self, connection):
            super().commit(connection)
            self.log.append(("database", {path.name: path.read_bytes() for path in self.database.parent.iterdir()}))

        def checkpoint(self, connection, mode):
            super().checkpoint(connection, mode)
            self.log.append(("database", {path.name: path.read_bytes() for path in self.database.parent.iterdir()}))

    return Recording()


def story(engine, put, assemble, recording):
    """Objects come, are replaced and go; the log says what was tried and what was acknowledged."""

    def change(key, size, **options):
        recording.log.append(("try", key, size))
        if size is None:
            engine.delete("bucket", key)
        elif "parts" in options:
            assemble(engine, key, [bytes([size % 251]) * part for part in options["parts"]])
        elif "file" in options:
            options["file"].write_bytes(bytes([size % 251]) * size)
            with engine.writer("bucket", key) as writer, options["file"].open("rb") as file:
                writer.import_file(file.fileno(), 0, size)
                writer.commit(ObjectAttributes())
        elif "source" in options:
            engine.copy(CopySource(bucket="bucket", key=options["source"]), "bucket", key)
        else:
            put(engine, key, bytes([size % 251]) * size, **options)
        recording.log.append(("done", key, size))

    change("a", 40 * KiB)
    change("b", 100)
    change("a", MiB + 7, declared_size=2 * MiB)
    change("b", 50 * KiB)
    change("b", None)
    engine.sweep()
    change("a", 10)
    change("a", None)
    engine.sweep()
    change("c", 30 * KiB, declared_size=30 * KiB)
    change("e", MiB + 3, file=recording.database.parent.parent.with_suffix(".file"))
    change("e", None)
    change("d", MiB + 50 * KiB, parts=[30 * KiB, MiB + 9, 20 * KiB - 9])
    change("c", MiB + 50 * KiB, source="d")
    change("d", None)
    engine.sweep()
    change("d", MiB + 50 * KiB, source="c")
    for key in ("c", "d"):
        recording.log.append(("try", key, None))
    engine.delete_many("bucket", ["c", "d"])
    for key in ("c", "d"):
        recording.log.append(("done", key, None))
    engine.sweep()


def policies(seed, times):
    """Nothing unsynced survives; all of it does; so many times some of it."""
    yield "lost", lambda: False
    yield "kept", lambda: True
    for number in range(times):
        some = random.Random(f"{seed} {number}")
        yield f"some {number}", lambda some=some: some.random() < 0.5


def chosen(number, *, thorough):
    """Choose what to try at a moment: every policy, or one at each third moment, all of them in turn."""
    if thorough:
        return list(policies(number, times=3))
    turn, rest = divmod(number, 3)
    return [] if rest else [list(policies(number, times=1))[turn % 3]]


def present(engine, get, key):
    try:
        data = get(engine, key)
    except ObjectNotFoundError:
        return None
    assert bytes([len(data) % 251]) * len(data) == data
    return len(data)


@pytest.mark.slow
def test_a_power_cut_at_any_moment_loses_nothing(
    tmp_path, open_local, put, assemble, get, problems, recording, thorough
):
    base = tmp_path / "data"
    recording.database = base / "meta" / "meta.db"
    engine = open_local(fsops=recording)
    engine.create_bucket("bucket")
    start = len(recording.log)
    story(engine, put, assemble, recording)
    medium = Medium(base / "blobs", base / "staging")
    database = recording.log[start - 1][1]
    allowed = {}

    for number, (operation, *args) in enumerate(recording.log[start:]):
        if operation == "try":
            allowed.setdefault(args[0], {None}).add(args[1])
        elif operation == "done":
            allowed[args[0]] = {args[1]}
        elif operation == "database":
            (database,) = args
        else:
            medium.apply(operation, *args)
        for policy, choose in chosen(number, thorough=thorough):
            copy = tmp_path / "copy"
            medium.leave(base, copy, choose)
            (copy / "meta").mkdir()
            for name, content in database.items():
                if not name.endswith("-shm"):
                    (copy / "meta" / name).write_bytes(content)
            shutil.copy(base / "FORMAT", copy)

            survivor = open_local("copy")
            for key, sizes in allowed.items():
                assert present(survivor, get, key) in sizes, (number, operation, policy, key)
            survivor.sweep()
            assert problems(survivor) == [], (number, operation, policy)
            survivor.close()
            shutil.rmtree(copy)


def test_the_medium_forgets_what_was_not_synced(tmp_path, recording):
    staging, blobs = Path("/d/staging"), Path("/d/blobs")
    medium, file = Medium(blobs, staging), File()
    medium.create(staging / "x", file)
    medium.write(file, b"data", 0)
    medium.rename(staging / "x", blobs / "y")
    medium.sync_directory(blobs)

    medium.leave(Path("/d"), tmp_path / "copy", lambda: False)

    assert [path.name for path in (tmp_path / "copy" / "blobs").iterdir()] == ["y"]
    assert (tmp_path / "copy" / "blobs" / "y").read_bytes() == b""
