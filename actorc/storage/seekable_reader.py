"""A seekable binary file over bytes that are read at any offset."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

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
        position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
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
