"""Immutable files: staged, synced, moved to their place, and never written again."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from actorc.storage._wire.checksum import crc32c
from actorc.storage.rules import MiB
from actorc.storage.server.engines.blocks import block_length

from .errors import Health, may_pass
from .fsops import FsOps
from .quarantine import Quarantine, is_blob_name
from .trailer import Trailer, read_trailer

_log = logging.getLogger(__name__)

_CANNOT_RESERVE = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
_AHEAD = 16 * MiB  # so much of an upload lies in one piece on the disk
_FRESH = 60.0  # seconds in which a new staging file may not be locked yet by the one that made it


class Blobs:
    """The files below ``blobs/``, each under a random name in a directory named by its first four digits.

    Args:
        root: Where the files rest.
        staging: Where they are written first; on the same file system.
        quarantine: Where those go that the index does not know; on the same file system.
        fsops: The disk.
        health: Lost when a directory cannot be synced, since its names are shared with other objects.
    """

    def __init__(self, root: Path, staging: Path, quarantine: Quarantine, fsops: FsOps, health: Health) -> None:
        self.root = root
        self.quarantine = quarantine
        self._staging = staging
        self._fsops = fsops
        self._health = health
        self._durable: set[Path] = set()  # directories whose own names are known to be on the medium

    def stage(self, declared_size: int | None = None) -> StagedBlob:
        """Begin a file for which there is room now, if `declared_size` bytes are known to come.

        They are reserved only as they come: what is merely said would else keep everybody out, and cost nothing.

        Raises:
            OSError: There is no room.
        """
        self.check_room(declared_size or 0)
        name = secrets.token_hex(16)
        return StagedBlob(self, name, self._staging / name, self._fsops, declared_size or 0)

    def check_room(self, size: int) -> None:
        """Return if there is room for `size` more bytes.

        Raises:
            OSError: There is none.
        """
        if self.room() < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def room(self) -> int:
        """Return how many more bytes there is room for."""
        return self._fsops.room(self.root)

    def path(self, name: str) -> Path:
        """Return where the blob of this name rests."""
        return self.root / name[:2] / name[2:4] / name

    def open(self, name: str) -> int:
        """Open a blob for reading, brought back from quarantine if it is there; return its descriptor."""
        try:
            return self._fsops.open(self.path(name))
        except FileNotFoundError:
            kept = self.quarantine.find(name)
            if kept is None:
                raise
        if not self._health.good:  # nothing may be changed, and it can be read where it is
            return self._fsops.open(kept)
        self.recover(name, kept)
        return self._fsops.open(self.path(name))

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Return `length` bytes from `offset` of an open blob; fewer only if it ends before."""
        return self._fsops.read(descriptor, length, offset)

    def read_anew(self, name: str, length: int, offset: int) -> bytes:
        """Do as `read`, with a descriptor of its own."""
        descriptor = self.open(name)
        try:
            return self.read(descriptor, length, offset)
        finally:
            os.close(descriptor)

    def trailer(self, path: Path) -> Trailer | None:
        """Return what a blob says of itself, wherever it is; None: it was written by a version that said nothing.

        Raises:
            DamagedTrailerError: What it says is damaged.
            OSError: It cannot be read.
        """
        descriptor = self._fsops.open(path)
        try:
            return read_trailer(self._fsops, descriptor)
        finally:
            os.close(descriptor)

    def sums(self, path: Path, size: int) -> tuple[tuple[int, ...], int]:
        """Return the checksums of the blocks among the first `size` bytes, and how many of the bytes are there."""
        descriptor = self._fsops.open(path)
        try:
            found: list[int] = []
            length = 0
            while length < size:
                expected = block_length(size, len(found))
                block = self.read(descriptor, expected, length)
                length += len(block)
                if block:
                    found.append(crc32c(block))
                if len(block) < expected:  # it ends too early
                    break
            return tuple(found), length
        finally:
            os.close(descriptor)

    def remove(self, guard: str, names: Sequence[str]) -> bool:
        """Remove the blobs that one guards, and that one first; or return False because a reader holds them."""
        with self._claimed(self.path(guard)) as free:
            for name in dict.fromkeys((guard, *names)) if free else ():
                self._fsops.unlink(self.path(name))
        return free

    def shards(self) -> list[Path]:
        """Return the directories of the first level, in order of name."""
        return sorted(path for path in self.root.iterdir() if path.is_dir())

    def names(self, shard: Path) -> Iterator[list[str]]:
        """Yield the names of the blobs in each directory of `shard`."""
        for folder in sorted(path for path in shard.iterdir() if path.is_dir()):
            yield [entry.name for entry in folder.iterdir() if self.is_ours(entry)]

    def put_away(self, names: Sequence[str], is_wanted: Callable[[str], bool]) -> int:
        """Move blobs into quarantine, except those that somebody is about to commit, in whatever process, or has.

        Returns:
            How many were moved, and are on the medium where they are now.
        """
        sources, targets, moved = set(), set(), 0
        for name in names:
            source = self.path(name)
            with self._claimed(source) as free:
                if free and not is_wanted(name) and source.exists():
                    target = self.quarantine.place(name)
                    self._fsops.rename(source, target)
                    sources.add(source.parent)
                    targets.add(target.parent)
                    moved += 1
        # a name must be where the blob is now before it may be gone from where it was
        for folder in (*sorted(targets), *sorted(sources)):
            self.sync_directory(folder)
        return moved

    def recover(self, name: str, kept: Path) -> None:
        """Move a blob from where it is in quarantine to its place."""
        target = self.path(name)
        self._ensure(target.parent.parent)
        self._ensure(target.parent)
        try:
            self._fsops.rename(kept, target)
        except FileNotFoundError:  # another process was faster
            return
        self.sync_directory(target.parent)
        self.sync_directory(kept.parent)
        _log.warning("blob %s is needed and came back from quarantine", name)

    def clear_staging(self) -> None:
        """Remove what a process left in staging that was killed."""
        for path in self._staging.iterdir():
            with suppress(FileNotFoundError), self._claimed(path) as free:
                if free and path.stat().st_mtime < time.time() - _FRESH:
                    self._fsops.unlink(path)

    def is_ours(self, path: Path) -> bool:
        """Return whether `path` is the place of a blob."""
        return is_blob_name(path.name) and path == self.path(path.name)

    def accept(self, staged: Path, name: str) -> Path:
        """Move a synced file to its place and return that; its name there is not on the medium yet."""
        target = self.path(name)
        self._ensure(target.parent.parent)
        self._ensure(target.parent)
        self._fsops.rename(staged, target)
        return target

    def sync_directory(self, path: Path) -> None:
        """Bring the names in a directory to the medium; failing that, the engine stops accepting changes."""
        try:
            self._fsops.sync_directory(path)
        except OSError as error:
            if not may_pass(error):
                self._health.lose(error)
            raise

    @contextmanager
    def _claimed(self, path: Path) -> Iterator[bool]:
        """Yield whether nobody holds the file, or those that it guards; nobody comes to hold them meanwhile."""
        try:
            descriptor = self._fsops.open(path)
        except FileNotFoundError:
            yield True
            return
        try:
            yield locked(descriptor, fcntl.LOCK_EX)
        finally:
            os.close(descriptor)

    def _ensure(self, folder: Path) -> None:
        if folder in self._durable:
            return
        self._fsops.make_directory(folder)
        self.sync_directory(folder.parent)
        self._durable.add(folder)


class StagedBlob:
    """A blob on its way: written, then published or dropped.

    Until then its file is held, wherever it is by then, so that no process takes it for one that nobody needs.
    """

    def __init__(self, blobs: Blobs, name: str, path: Path, fsops: FsOps, declared_size: int) -> None:
        self.name = name
        self._blobs = blobs
        self._path: Path | None = path
        self._fsops = fsops
        self._size = 0
        self._declared = declared_size
        self._reserved = 0
        self._published = False
        self._descriptor: int | None = fsops.create(path)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Write `data` behind what is there."""
        assert self._descriptor is not None
        if self._size + len(data) > self._reserved:
            self._blobs.check_room(len(data))
            self._reserve(self._size + len(data))
        self._fsops.write(self._descriptor, data, self._size)
        self._size += len(data)

    def _reserve(self, end: int) -> None:
        """Reserve room up to `end` and some more of what is to come, if the file system can."""
        assert self._descriptor is not None
        if end > self._declared:
            return
        size = min(self._declared, end + _AHEAD, self._size + self._blobs.room())
        try:
            self._fsops.allocate(self._descriptor, size)
            self._reserved = size
        except OSError as error:
            if error.errno not in _CANNOT_RESERVE:
                raise
            self._declared = 0

    def publish(self, trailer: bytes) -> str:
        """Return the name of the blob once its bytes, its trailer and its place are on the medium."""
        assert self._descriptor is not None
        assert self._path is not None
        # not limited by `check_room`: what is kept free is for what few bytes it takes to finish
        self._fsops.write(self._descriptor, trailer, self._size)
        end = self._size + len(trailer)
        if self._reserved > end:
            self._fsops.truncate(self._descriptor, end)
        self._fsops.sync(self._descriptor)
        self._path = self._blobs.accept(self._path, self.name)
        self._blobs.sync_directory(self._path.parent)
        self._published = True
        return self.name

    def keep(self) -> None:
        """Let `drop` leave a published file alone: the index refers to it, or may do so."""
        if self._published:
            self._path = None

    def drop(self) -> None:
        """Remove the file, wherever it is by now, and let go. Never raises; what cannot be removed is swept later."""
        path, self._path = self._path, None
        if path is not None:
            with suppress(OSError):
                self._fsops.unlink(path)
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)


def locked(descriptor: int, kind: int) -> bool:
    """Take a lock of a kind on an open file and return True; or return False because somebody else's forbids it."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
