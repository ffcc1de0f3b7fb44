"""Seekable files over the bytes in a store, of which only those that are read are fetched."""

from __future__ import annotations

import hashlib
import io
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import BinaryIO, Final, cast

from actorc.storage.files.seekable_reader import SeekableReader
from actorc.storage.rules import MiB

from .manifest import Part

_BLOCK: Final = MiB


def open_parts(parts: tuple[Part, ...], fetch: Callable[[Part], bytes]) -> BinaryIO:
    """Return a seekable file over parts, for one thread; each is fetched when it is read, and the last one is kept.

    Args:
        parts: In order.
        fetch: Returns the bytes of a part, verified.
    """
    return cast("BinaryIO", io.BufferedReader(_Parts(parts, fetch), _BLOCK))


def open_ranges(size: int, fetch: Callable[[int, int], bytes]) -> BinaryIO:
    """Return a seekable file for one thread that fetches exactly the bytes that are read; without a buffer.

    Args:
        size: Bytes of the file.
        fetch: Returns the bytes from an offset on, of a length.
    """
    return cast("BinaryIO", _Ranges(size, fetch))


def open_whole(size: int, file: BinaryIO, check: Callable[[str], None]) -> BinaryIO:
    """Return a seekable file over a single object, for one thread.

    Read from its beginning to its end, it is compared with its digest before the last bytes are handed out; what is
    read in another order is verified by the checksums of the store alone.

    Args:
        size: Bytes of the object.
        file: The object, open; closed with the result.
        check: Takes the digest of all bytes; raises if it is not the right one.
    """
    return cast("BinaryIO", io.BufferedReader(_Whole(size, file, check), _BLOCK))


class _Whole(SeekableReader):
    def __init__(self, size: int, file: BinaryIO, check: Callable[[str], None]) -> None:
        super().__init__(size)
        self._file = file
        self._check = check
        self._running = hashlib.sha256()
        self._hashed = 0

    def read_at(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        piece = self._file.read(size)
        if offset == self._hashed:
            self._running.update(piece)
            self._hashed += len(piece)
            if self._hashed == self._size:
                self._check(f"sha256:{self._running.hexdigest()}")
        return piece

    def close(self) -> None:
        self._file.close()
        super().close()


class _Ranges(SeekableReader):
    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        super().__init__(size)
        self._fetch = fetch

    def read_at(self, offset: int, size: int) -> bytes:
        return self._fetch(offset, size)


class _Parts(SeekableReader):
    def __init__(self, parts: tuple[Part, ...], fetch: Callable[[Part], bytes]) -> None:
        self._parts = parts
        self._starts = list(accumulate((part.size for part in parts), initial=0))
        super().__init__(self._starts[-1])
        self._fetch = fetch
        self._held: tuple[int, bytes] = (-1, b"")

    def read_at(self, offset: int, size: int) -> memoryview:
        index = bisect_right(self._starts, offset) - 1
        # The last part is kept, since readers go forward in pieces far smaller than a part.
        if self._held[0] != index:
            self._held = (index, self._fetch(self._parts[index]))
        start = offset - self._starts[index]
        return memoryview(self._held[1])[start : start + size]
