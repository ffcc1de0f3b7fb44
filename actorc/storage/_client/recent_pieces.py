"""The bytes of a file that were fetched last, within a bounded amount of memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from typing import Final

from actorc.storage.rules import MiB

MOST: Final = 16 * MiB
"""Bytes that are kept."""


class RecentPieces:
    """Pieces of a file by position; the one that was not used for longest goes first. For one thread.

    Args:
        most: Bytes to keep; the last piece stays, whatever its size.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._pieces: OrderedDict[int, bytes | memoryview] = OrderedDict()
        self._starts: list[int] = []
        self._size = 0

    def add(self, start: int, data: bytes | memoryview) -> None:
        """Keep `data`, which must not change any more, as the bytes from `start` on."""
        if not data or len(self._pieces.get(start, b"")) >= len(data):
            return
        stop = start + len(data)
        # those that lie within it add nothing, and would hide what it has behind them
        for other in self._starts[bisect_left(self._starts, start) : bisect_left(self._starts, stop)]:
            if other + len(self._pieces[other]) <= stop:
                self._drop(other)
        self._pieces[start] = data
        insort(self._starts, start)
        self._size += len(data)
        while self._size > self._most and len(self._pieces) > 1:
            self._drop(next(iter(self._pieces)))

    def at(self, offset: int) -> memoryview:
        """Return the bytes from `offset` to the end of the piece that has them; empty if none has."""
        place = bisect_right(self._starts, offset)
        if place:
            start = self._starts[place - 1]
            data = self._pieces[start]
            if offset < start + len(data):
                self._pieces.move_to_end(start)
                return memoryview(data)[offset - start :]
        return memoryview(b"")

    def gap(self, first: int, offset: int, stop: int, end: int) -> tuple[int, int]:
        """Return the range from `first` to `end` without what is here already, but with all from `offset` to `stop`."""
        place = bisect_right(self._starts, offset)
        if place:
            start = self._starts[place - 1]
            first = min(offset, max(first, start + len(self._pieces[start])))
        if place < len(self._starts):
            end = max(stop, min(end, self._starts[place]))
        return first, end

    def _drop(self, start: int) -> None:
        data = self._pieces.pop(start, None)
        if data is not None:
            self._size -= len(data)
            del self._starts[bisect_right(self._starts, start) - 1]
