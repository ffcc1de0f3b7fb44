"""Immutable files: staged, synced, moved to their place, and never written again."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .faults import Health, is_full
from .fsops import FsOps

_CANNOT_RESERVE = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
_NAME = re.compile(r"[0-9a-f]{32}")


class Blobs:
    """The files below ``blobs/``, each under a random name in a directory named by its first four digits.

    Args:
        root: Where the files rest.
        staging: Where they are written first; on the same file system.
        fsops: The disk.
        health: Lost when a directory cannot be synced, since its names are shared with other objects.
    """

    def __init__(self, root: Path, staging: Path, fsops: FsOps, health: Health) -> None:
        self.root = root
        self._staging = staging
        self._fsops = fsops
        self._health = health
        self._durable: set[Path] = set()  # directories whose own names are known to be on the medium
        self._unsettled: set[str] = set()

    def stage(self, declared_size: int | None = None) -> StagedBlob:
        """Begin a file, with room for `declared_size` bytes reserved if that is known.

        Raises:
            OSError: There is no room.
        """
        name = secrets.token_hex(16)
        staged = StagedBlob(self, name, self._staging / name, self._fsops)
        if declared_size is not None:
            try:
                staged.reserve(declared_size)
            except BaseException:
                staged.drop()
                raise
        return staged

    def path(self, name: str) -> Path:
        """Return where the blob of this name rests."""
        return self.root / name[:2] / name[2:4] / name

    def settle(self, name: str) -> None:
        """Note that the index knows by now whether it wants this blob."""
        self._unsettled.discard(name)

    def shards(self) -> list[Path]:
        """Return the directories of the first level, in order of name."""
        return sorted(path for path in self.root.iterdir() if path.is_dir())

    def settled(self, shard: Path) -> Iterator[list[str]]:
        """Yield the names of the blobs in each directory of `shard`, without those still being committed."""
        for folder in sorted(path for path in shard.iterdir() if path.is_dir()):
            names = [entry.name for entry in folder.iterdir() if self.is_ours(entry)]
            yield [name for name in names if name not in self._unsettled]

    def is_ours(self, path: Path) -> bool:
        """Return whether `path` is the place of a blob."""
        return bool(_NAME.fullmatch(path.name)) and path == self.path(path.name)

    def accept(self, staged: Path, name: str) -> Path:
        """Move a synced file to its place and return that; its name there is not on the medium yet."""
        target = self.path(name)
        self._ensure(target.parent.parent)
        self._ensure(target.parent)
        self._unsettled.add(name)
        self._fsops.rename(staged, target)
        return target

    def sync_directory(self, path: Path) -> None:
        """Bring the names in a directory to the medium; failing that, the engine stops accepting changes."""
        try:
            self._fsops.sync_directory(path)
        except OSError as error:
            if not is_full(error):
                self._health.lose(error)
            raise

    def _ensure(self, folder: Path) -> None:
        if folder in self._durable:
            return
        self._fsops.make_directory(folder)
        self.sync_directory(folder.parent)
        self._durable.add(folder)


class StagedBlob:
    """A blob on its way: written, then published or dropped."""

    def __init__(self, blobs: Blobs, name: str, path: Path, fsops: FsOps) -> None:
        self.name = name
        self._blobs = blobs
        self._path: Path | None = path
        self._fsops = fsops
        self._size = 0
        self._reserved = 0
        self._published = False
        self._descriptor: int | None = fsops.create(path)

    def reserve(self, size: int) -> None:
        """Reserve room on the disk, if its file system can."""
        assert self._descriptor is not None
        try:
            self._fsops.allocate(self._descriptor, size)
            self._reserved = size
        except OSError as error:
            if error.errno not in _CANNOT_RESERVE:
                raise

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Write `data` behind what is there."""
        assert self._descriptor is not None
        self._fsops.write(self._descriptor, data, self._size)
        self._size += len(data)

    def publish(self) -> str:
        """Return the name of the blob once its bytes and its place are on the medium."""
        assert self._descriptor is not None
        assert self._path is not None
        if self._reserved > self._size:
            self._fsops.truncate(self._descriptor, self._size)
        self._fsops.sync(self._descriptor)
        self._close()
        self._path = self._blobs.accept(self._path, self.name)
        self._blobs.sync_directory(self._path.parent)
        self._published = True
        return self.name

    def keep(self) -> None:
        """Let `drop` leave a published file alone: the index refers to it, or may do so."""
        if self._published:
            self._path = None

    def drop(self) -> None:
        """Remove the file, wherever it is by now. Never raises; what cannot be removed is swept later."""
        self._close()
        path, self._path = self._path, None
        if path is not None:
            with suppress(OSError):
                self._fsops.unlink(path)
        self._blobs.settle(self.name)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)
