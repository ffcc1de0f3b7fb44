"""Decides how many bytes of an object are fetched when some are read that are not here. Pure: nothing is read."""

from __future__ import annotations

from collections import deque
from typing import Final

from actorc.storage.rules import KiB, MiB

LEAST: Final = 1280
"""Bytes that are fetched at once at least: formats keep what describes a thing in one place. Of HDF5 files, whose
descriptions come in blocks of 2 KiB, more takes half as many bytes again as are needed, and less takes more calls."""
MOST: Final = 8 * MiB
"""Bytes that are fetched at once beyond those that are asked for."""

_SLACK: Final = 64 * KiB
"""Bytes that may be fetched in vain, whatever was read; beyond them, a quarter of what was read."""
_STEEP: Final = MiB
"""Bytes up to which a run that goes on is trusted to go on four times as far, and beyond them half as far."""
_REMEMBERED: Final = 4
"""Runs of a kind that are remembered."""


class ReadAhead:
    """The reading of one file so far: runs of bytes that were read one after the other, begun by jumps.

    A jump fetches what is asked for, or as much as earlier runs needed that began with a request for as many bytes: the
    header of a member of an archive is followed by the member. A run that goes on fetches more each time. So a scan
    takes few requests, and a file that is read here and there fetches little that is not needed.

    Args:
        most: Bytes to fetch at once beyond those asked for, at most.
        block: What is fetched begins and ends at a multiple of this, in bytes.
    """

    def __init__(self, most: int = MOST, block: int = 1) -> None:
        self._most = most
        self._block = block
        self._begin = self._end = 0
        self._kind = 0
        self._misses = 0
        self._lengths: dict[int, deque[int]] = {}
        self._fetched = self._read = 0

    def span(self, offset: int, length: int) -> tuple[int, int]:
        """Return first byte and end of what to fetch for a read of `length` bytes that are not here."""
        goes_on = self._goes_on(offset)
        if not goes_on:
            self._jump(offset, length)
        self._misses += goes_on
        foreseen = 0
        if self._fetched - self._read <= _SLACK + self._read // 4:
            foreseen = self._rest_of_run(offset) if goes_on else self._longest(length)
        stop = offset + max(length, min(max(foreseen, LEAST), self._most))
        return offset - offset % self._block, -(-stop // self._block) * self._block

    def fetched(self, count: int) -> None:
        """Note that `count` bytes came."""
        self._fetched += count

    def passed(self, offset: int, count: int, length: int) -> None:
        """Note that `count` bytes were read of a request for `length`."""
        if not self._goes_on(offset):
            self._jump(offset, length)
        end = max(self._end, offset + count)
        self._read = min(self._fetched, self._read + end - self._end)
        self._end = end

    def _goes_on(self, offset: int) -> bool:
        # also with a short gap, as between the parts of a header, or with a look back
        return self._begin <= offset <= self._end + LEAST and self._begin < self._end

    def _jump(self, offset: int, length: int) -> None:
        if self._begin < self._end:
            self._lengths.setdefault(self._kind, deque(maxlen=_REMEMBERED)).append(self._end - self._begin)
        self._begin = self._end = offset
        self._kind, self._misses = length, 0

    def _longest(self, length: int) -> int:
        return max(self._lengths.get(length, (0,)))

    def _rest_of_run(self, offset: int) -> int:
        done = offset - self._begin
        expected = self._longest(self._kind) - done
        if expected > 0:
            return expected
        # from the second request on: a header is often read by two
        return max(min(4 * done, _STEEP) if self._misses > 1 else 0, done // 2)
