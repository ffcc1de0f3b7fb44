"""Blobs: immutable files that are staged, synced, renamed into place, and never written again."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeGuard

from actorc.storage._wire.checksum import crc32c
from actorc.storage.files import file_copies, file_locks
from actorc.storage.rules import BLOCK_SIZE, MiB
from actorc.storage.server.engines.blocks import block_length

from . import free_space
from .errors import may_pass
from .file_stamp import stamp_of
from .fsops import FsOps
from .health import Health
from .quarantine import Quarantine, is_blob_name
from .trailer import Trailer, read_trailer
from .write_behind import WriteBehind

_log = logging.getLogger(__name__)

_CANNOT_RESERVE = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
_WRITE_OUT = 8 * MiB  # bytes whose way to the medium begins at once, when all of them are written
_RESERVE_AHEAD = 16 * MiB  # reserved at once, so that an upload is contiguous on the disk
_LOCK_GRACE_SECONDS = 60.0  # seconds in which a new staging file may not be locked yet by its writer


class Blobs:
    """The files below ``blobs/``, each under a random name in a directory named by its first four digits.

    Any thread and process may use one directory at once: names are unique, and locks on the files tell which of them
    are in use.

    Args:
        root: Directory of the blobs.
        staging: Directory of blobs being written; on the same file system.
        quarantine: Blobs that the index does not know; on the same file system.
        fsops: The disk.
        health: Set read-only when a directory cannot be synced, since other objects have names in it.
    """

    def __init__(self, root: Path, staging: Path, quarantine: Quarantine, fsops: FsOps, health: Health) -> None:
        self.root = root
        self.quarantine = quarantine
        self.staging = staging
        self._fsops = fsops
        self._health = health
        self._durable: set[Path] = set()  # directories whose own entries are known to be synced

    def stage(self, declared_size: int | None = None) -> StagedBlob:
        """Create a staged blob, after a check that there is room for `declared_size` bytes.

        Room is reserved only as bytes arrive: otherwise a caller could fill the disk by declaring a size.

        Raises:
            OSError: There is no room.
        """
        self.check_room(declared_size or 0)
        name = secrets.token_hex(16)
        return StagedBlob(self, name, self.staging / name, self._fsops, declared_size or 0)

    def check_room(self, size: int) -> None:
        """Check that there is room for `size` more bytes.

        Raises:
            OSError: There is none.
        """
        free_space.check_room(self.room(), size)

    def room(self) -> int:
        """Return the bytes of new data that there is room for."""
        return self._fsops.room(self.root)

    def path(self, name: str) -> Path:
        """Return the path of a blob."""
        return self.root / name[:2] / name[2:4] / name

    def open(self, name: str) -> int:
        """Open a blob for reading, and move it back from quarantine if it is there; the caller owns the descriptor."""
        try:
            return self._fsops.open(self.path(name))
        except FileNotFoundError:
            kept = self.quarantine.find(name)
            if kept is None:
                raise
        if not self._health.good:  # read-only: it is not moved back, and can be read where it is
            return self._fsops.open(kept)
        self.recover(name, kept)
        return self._fsops.open(self.path(name))

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Return `length` bytes from `offset` of an open blob; fewer only if it ends before."""
        return self._fsops.read(descriptor, length, offset)

    def read_anew(self, name: str, length: int, offset: int) -> bytes:
        """Read as `read` does, through a new descriptor."""
        descriptor = self.open(name)
        try:
            return self.read(descriptor, length, offset)
        finally:
            os.close(descriptor)

    def stamp(self, name: str) -> bytes:
        """Return the present stamp of a blob."""
        descriptor = self.open(name)
        try:
            return stamp_of(descriptor)
        finally:
            os.close(descriptor)

    def trailer(self, path: Path) -> Trailer | None:
        """Return the trailer of the blob at `path`; None if an earlier version wrote it without one.

        Raises:
            DamagedTrailerError: The trailer is damaged.
            OSError: It cannot be read.
        """
        descriptor = self._fsops.open(path)
        try:
            return read_trailer(self._fsops, descriptor)
        finally:
            os.close(descriptor)

    def sums(self, path: Path, size: int) -> tuple[tuple[int, ...], int]:
        """Return the checksums of the blocks in the first `size` bytes, and the number of bytes that exist."""
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
        """Remove `guard` and then the blobs that it guards; return False if a reader holds them."""
        with self._locked_exclusively(self.path(guard)) as free:
            # the guard first: a reader that cannot open it knows that the group is being removed
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

    def move_to_quarantine(self, names: Sequence[str], is_wanted: Callable[[str], bool]) -> int:
        """Move blobs into quarantine, except those that are wanted, or that a process holds to commit or read them.

        Returns:
            The number of blobs moved, whose new names are synced.
        """
        sources, targets, moved = set(), set(), 0
        for name in names:
            source = self.path(name)
            with self._locked_exclusively(source) as free:
                if free and not is_wanted(name) and source.exists():
                    target = self.quarantine.place(name)
                    self._fsops.rename(source, target)
                    sources.add(source.parent)
                    targets.add(target.parent)
                    moved += 1
        # targets first: after a power cut between the two a blob has both names, and never none
        for folder in (*sorted(targets), *sorted(sources)):
            self.sync_directory(folder)
        return moved

    def recover(self, name: str, kept: Path) -> None:
        """Move a blob from quarantine to its place."""
        target = self._place(name)
        try:
            self._fsops.rename(kept, target)
        except FileNotFoundError:  # another process was faster
            return
        # the new name before the loss of the old one, as in `move_to_quarantine`
        self.sync_directory(target.parent)
        self.sync_directory(kept.parent)
        _log.warning("blob %s is needed and came back from quarantine", name)

    def clear_staging(self) -> None:
        """Remove staged files of killed processes."""
        for path in self.staging.iterdir():
            # its writer may rename or remove it between the listing and the lock
            with suppress(FileNotFoundError), self._locked_exclusively(path) as free:
                if free and path.stat().st_mtime < time.time() - _LOCK_GRACE_SECONDS:
                    self._fsops.unlink(path)

    def is_ours(self, path: Path) -> bool:
        """Return whether `path` is the place of a blob."""
        return is_blob_name(path.name) and path == self.path(path.name)

    def accept(self, staged: Path, name: str) -> Path:
        """Rename a synced file to its place and return that path; the directory is not synced yet."""
        target = self._place(name)
        # its content was synced before, so a name in place always leads to whole bytes
        self._fsops.rename(staged, target)
        return target

    def sync_directory(self, path: Path) -> None:
        """Sync the names in a directory; if that fails, the engine becomes read-only."""
        try:
            self._fsops.sync_directory(path)
        except OSError as error:
            if not may_pass(error):
                # after a failed fsync the kernel may have dropped the pages, so a later success would prove nothing
                self._health.lose(error)
            raise

    @contextmanager
    def _locked_exclusively(self, path: Path) -> Iterator[bool]:
        """Lock a file exclusively within the block; yield False if a reader or writer holds it."""
        try:
            descriptor = self._fsops.open(path)
        except FileNotFoundError:
            # removed meanwhile, so nothing can be using it
            yield True
            return
        try:
            yield file_locks.try_lock(descriptor)
        finally:
            os.close(descriptor)

    def _place(self, name: str) -> Path:
        """Return the path of a blob, in a directory that exists."""
        target = self.path(name)
        self._ensure(target.parent.parent)
        self._ensure(target.parent)
        return target

    def _ensure(self, folder: Path) -> None:
        if folder in self._durable:
            return
        self._fsops.make_directory(folder)
        # also if it existed: the process that made it may have been killed before its sync
        self.sync_directory(folder.parent)
        self._durable.add(folder)


class StagedBlob:
    """A blob that is being written, then published or dropped. For one thread at a time.

    Its file is locked until then, also in its final place, so that no process takes it for an orphan.
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
        self.stamp: bytes | None = None
        """The stamp of the file in its place; None until it is published."""
        self._descriptor: int | None = fsops.create(path)
        self._behind = WriteBehind(self._write)
        # shared, so that a sweeper, which locks exclusively, skips it; the kernel unlocks it if the process is killed
        file_locks.lock(self._descriptor, file_locks.SHARED)

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data`.

        It is written when this returns, and not kept, unless it cannot change: then it may be written a little later,
        and an error is raised by the next call or by `publish`.
        """
        if self._size + len(data) > self._reserved:
            self._blobs.check_room(len(data))
            self._reserve(self._size + len(data))
        # a blob of a single frame needs no thread
        if self._size >= MiB and _is_constant(data):
            self._behind.put(data, self._size)
        else:
            self._write(data, self._size)
        self._size += len(data)

    def _write(self, data: bytes | bytearray | memoryview, offset: int) -> None:
        assert self._descriptor is not None
        self._fsops.write(self._descriptor, data, offset)
        # begun early, or all of it would reach the medium in the sync of the commit, with nothing beside it
        first, last = offset // _WRITE_OUT, (offset + len(data)) // _WRITE_OUT
        if last > first:
            self._fsops.write_out(self._descriptor, first * _WRITE_OUT, (last - first) * _WRITE_OUT)

    def copy(self, source: int, offset: int, length: int) -> Iterator[memoryview]:
        """Append bytes of another file and yield them in order, as they were written; fewer if that file ends.

        Each view is valid until the next one.

        Args:
            source: Descriptor of the file.
            offset: Position of the first byte in it.
            length: Number of bytes.
        """
        assert self._descriptor is not None
        is_cloned = length > 0 and self._fsops.clone(source, offset, self._descriptor, self._size, length)
        if not is_cloned:
            self._blobs.check_room(length)
        buffer = memoryview(bytearray(min(length, BLOCK_SIZE)))
        for start in range(0, length, BLOCK_SIZE):
            piece = buffer[: length - start]
            if is_cloned:
                # read back: the other file may have changed since
                self._fsops.read_into(self._descriptor, piece, self._size)
                self._size += len(piece)
            else:
                piece = piece[: file_copies.read_into(source, piece, offset + start)]
                self.append(piece)
            yield piece

    def _reserve(self, end: int) -> None:
        """Reserve room up to `end` and somewhat ahead, within the declared size, if the file system supports it."""
        assert self._descriptor is not None
        if end > self._declared:
            return
        size = min(self._declared, end + _RESERVE_AHEAD, self._size + self._blobs.room())
        try:
            self._fsops.allocate(self._descriptor, size)
            self._reserved = size
        except OSError as error:
            if error.errno not in _CANNOT_RESERVE:
                raise
            # the file system cannot reserve at all: no further attempts for this blob
            self._declared = 0

    def publish(self, trailer: bytes) -> str:
        """Append the trailer, sync, and rename into place; return the name once all of it is on the medium."""
        assert self._descriptor is not None
        assert self._path is not None
        self._behind.finish()
        # without `check_room`: the room kept free is there to finish what has begun
        self._fsops.write(self._descriptor, trailer, self._size)
        end = self._size + len(trailer)
        if self._reserved > end:
            self._fsops.truncate(self._descriptor, end)
        # the bytes before the name: a name in ``blobs/`` promises that they are complete
        self._fsops.sync(self._descriptor)
        self._path = self._blobs.accept(self._path, self.name)
        self._blobs.sync_directory(self._path.parent)
        # last, since the rename changes the ctime
        self.stamp = stamp_of(self._descriptor)
        self._published = True
        return self.name

    def keep(self) -> None:
        """Make `drop` keep a published file, because the index refers to it, or may."""
        if self._published:
            self._path = None

    def drop(self) -> None:
        """Remove the file unless it is kept, and unlock it. Never raises; a file that remains is swept later."""
        self._behind.stop()
        path, self._path = self._path, None
        if path is not None:
            # before the unlock, or a sweeper could find the file without owner
            with suppress(OSError):
                self._fsops.unlink(path)
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)


def _is_constant(data: bytes | bytearray | memoryview) -> TypeGuard[bytes | memoryview]:
    """Return whether nobody can change `data`, so that it may be kept until it is written."""
    return isinstance(data, bytes) or (isinstance(data, memoryview) and isinstance(data.obj, bytes))
