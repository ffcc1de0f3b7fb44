"""Seekable binary files over bytes that are read at any offset: their base, and the file of a server here."""

from __future__ import annotations

import io
import mmap
import os
import sys
from typing import TYPE_CHECKING, Any

from actorc.storage.errors import IntegrityError

if TYPE_CHECKING:
    from typing_extensions import Buffer


class SeekableReader(io.RawIOBase):
    """The base of files whose bytes lie elsewhere; a subclass has `read_at`. For one thread at a time.

    `read` copies nothing that `read_at` returns as bytes; that of `io.RawIOBase` copies all of it twice.

    Args:
        size: Bytes of the file.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._position = 0

    def read_at(self, offset: int, size: int) -> bytes | memoryview:
        """Return bytes from `offset` on, at least one; they must not change any more.

        Args:
            offset: Position of the first byte, before the end.
            size: Bytes at most, of which none is behind the end.
        """
        raise NotImplementedError

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position, which may be behind the end, and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}.get(whence)
        if base is None:
            raise ValueError(f"whence is 0, 1 or 2, not {whence!r}")
        position = base + offset
        if position < 0:
            raise ValueError(f"a position in a file is 0 or more, not {position}")
        self._position = position
        return position

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, `size` at most, all if it is negative; none only at the end."""
        return self.readall() if size is None or size < 0 else bytes(self._next(size))

    def readall(self) -> bytes:
        """Return all bytes from the position on."""
        return b"".join(iter(lambda: self._next(self._size), b""))

    def readinto(self, buffer: Buffer) -> int:
        """Fill `buffer`, which stays the caller's, with the next bytes; return how many, 0 only at the end."""
        target = memoryview(buffer).cast("B")
        piece = self._next(len(target))
        target[: len(piece)] = piece
        return len(piece)

    def _next(self, size: int) -> bytes | memoryview:
        size = min(size, self._size - self._position)
        piece = self.read_at(self._position, size) if size > 0 else b""
        self._position += len(piece)
        return piece


class BlobFile(SeekableReader):
    """An object as its server has it on the disk, open for reading; without a copy, and without a connection.

    Nothing verifies its bytes. Deleting or replacing the object does not disturb it. There is no `fileno`, since the
    file may go on behind the object: a program that reads the descriptor alone would get more than the object.

    Args:
        descriptor: The file; closed with this one.
        size: Bytes of the object, with which the file begins.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        super().__init__(size)
        self._descriptor = descriptor

    @property
    def size(self) -> int:
        """Bytes of the object."""
        return self._size

    def status(self) -> os.stat_result:
        """Return the status of the file, by which a change of it shows; its size is that of the file."""
        return os.fstat(self._descriptor)

    def map(self, access: int) -> memoryview:
        """Return the object mapped into memory; the map stays valid when the file is closed.

        Args:
            access: `mmap.ACCESS_READ`, or `mmap.ACCESS_COPY` for memory whose changes nobody else sees.

        Raises:
            IntegrityError: The file ends within the object.
        """
        # A map behind the end of a file ends the process when it is read.
        if self.status().st_size < self._size:
            raise self._cut_off()
        # Without a descriptor of its own where Python can do without: thousands of maps would use up the limit.
        options: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
        return memoryview(mmap.mmap(self._descriptor, self._size, access=access, **options))

    def read_at(self, offset: int, size: int) -> bytes:
        """Return bytes from `offset` on.

        Raises:
            IntegrityError: The file ends within the object.
        """
        data = os.pread(self._descriptor, size, offset)
        if not data:
            raise self._cut_off()
        return data

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()

    def _cut_off(self) -> IntegrityError:
        return IntegrityError("the file of an object ends before the object does; write the object again")
