"""A seekable file over the parts of an artifact, of which only those read are fetched."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import BinaryIO, Final, cast

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


class _Parts(io.RawIOBase):
    def __init__(self, parts: tuple[Part, ...], fetch: Callable[[Part], bytes]) -> None:
        self._parts = parts
        self._starts = list(accumulate((part.size for part in parts), initial=0))
        self._fetch = fetch
        self._position = 0
        self._held: tuple[int, bytes] = (-1, b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._starts[-1]}[whence]
        if position < 0:
            raise ValueError(f"a position in a file is 0 or more, not {position}")
        self._position = position
        return position

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        if self._position >= self._starts[-1]:
            return 0
        target = memoryview(buffer).cast("B")
        index = bisect_right(self._starts, self._position) - 1
        start = self._position - self._starts[index]
        data = memoryview(self._part(index))[start : start + len(target)]
        target[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _part(self, index: int) -> bytes:
        if self._held[0] != index:
            self._held = (index, self._fetch(self._parts[index]))
        return self._held[1]
