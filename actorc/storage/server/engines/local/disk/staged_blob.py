"""A blob that is being written: staged, synced and renamed into place, or dropped."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeGuard

from actorc.storage.files import file_copies, file_locks
from actorc.storage.rules import BLOCK_SIZE, MiB

from .blobs import Blobs
from .file_stamp import stamp_of
from .write_behind import WriteBehind

_CANNOT_RESERVE = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
_WRITE_OUT = 8 * MiB  # bytes whose way to the medium begins at once, when all of them are written
_RESERVE_AHEAD = 16 * MiB  # reserved at once, so that an upload is contiguous on the disk


class StagedBlob:
    """A blob that is being written, then published or dropped. For one thread at a time.

    Its file is locked until then, also in its final place, so that no process takes it for an orphan.

    Args:
        blobs: The directory it is published to.
        declared_size: Bytes expected; reserved on the disk as they arrive.

    Raises:
        OSError: There is no room for `declared_size` bytes.
    """

    def __init__(self, blobs: Blobs, declared_size: int | None = None) -> None:
        # room is reserved only as bytes arrive: otherwise a caller could fill the disk by declaring a size
        blobs.check_room(declared_size or 0)
        self.name = secrets.token_hex(16)
        self._blobs = blobs
        self._path: Path | None = blobs.staging / self.name
        self._fsops = blobs.fsops
        self._size = 0
        self._declared = declared_size or 0
        self._reserved = 0
        self._published = False
        self.stamp: bytes | None = None
        """The stamp of the file in its place; None until it is published."""
        self._descriptor: int | None = self._fsops.create(self._path)
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
        # behind the rename: whatever was in the place of the data directory until now has the file
        self._blobs.check_home()
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
