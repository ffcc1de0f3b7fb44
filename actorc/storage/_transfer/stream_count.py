"""How many streams a transfer uses: more only while they raise its throughput. Pure: no clock, no threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from actorc.storage.rules import MiB

MOST_STREAMS: Final = 8
"""Streams of one transfer at most."""
_INTERVAL: Final = 0.1
"""Seconds of one measurement at least; of the first one half of it, since what it decides is judged by the next."""
_GAIN: Final = 1.2
"""Factor by which more streams must raise the throughput to be kept, less if there are only a few more."""
_PATIENCE: Final = 3
"""Measurements in which they must show it: a new connection is slow at first."""
_PAUSE: Final = 8
"""Measurements until more streams are tried again, the first time; twice as many after each further failure."""
_LONG: Final = 0.01
"""Seconds until the first bytes come over a long link at least."""
_BUSY: Final = 0.9
"""Processor seconds a second, above which this process and not the link is the limit."""


class StreamCount:
    """The number of streams of one transfer, decided from what it moves. For one thread.

    It begins with one. While the process has time left, it tries as many more as that time would serve, and keeps them
    if they raise the throughput. Otherwise it returns to the number before, and tries again after a pause that doubles:
    a measurement may have met a moment when the link or the machine was busy with something else.

    Args:
        unit: Bytes that each stream must move in a measurement; more than come at once.
        first: Likewise, in the first one; fewer, since until it is over one stream alone uses a long link.
        buffered: Bytes before the first measurement. Buffers take them at once, and then their throughput and the work
            of it say nothing about the link.
        most: Streams at most.
        busy: Returns the processor seconds that this process has used so far.
        idle: Processor seconds a second below which more streams are tried.
        answered: Seconds until the first bytes came. If they are many, the link is long, and the first measurement
            shorter by half: one stream leaves most of such a link unused meanwhile.
        begin: Streams to begin with.
    """

    def __init__(
        self,
        unit: int = 4 * MiB,
        first: int = 2 * MiB,
        buffered: int = 0,
        most: int = MOST_STREAMS,
        busy: Callable[[], float] = time.process_time,
        idle: float = _BUSY,
        answered: float = 0.0,
        begin: int = 1,
    ) -> None:
        self.count = begin
        """Streams to use now."""
        self._unit = unit
        # bytes of each stream and seconds of this measurement at least
        share = 2 if answered >= _LONG else 1
        self._least = first // share, _INTERVAL / 2 / share
        self._most = most
        self._busy = busy
        self._idle = idle
        # when this measurement began, and what the process had used by then
        self._since: tuple[float, float] | None = None
        self._bytes = 0
        self._buffered = buffered
        # the count before the one that is tried, 0 if none is, and the throughput that it must reach
        self._before, self._enough = 0, 0.0
        self._failures = 0
        # measurements until more are tried again, and how many they will be after the next failure
        self._pause, self._next_pause = 0, _PAUSE
        self._settled = most == 1

    def moved(self, size: int, flowing: int, now: float) -> None:
        """Take a sample.

        Args:
            size: Bytes moved since the last sample.
            flowing: Streams that have moved bytes.
            now: When, in monotonic seconds.
        """
        if self._settled:
            return
        if self._since is None:
            self._buffered -= size
            # streams that are still connecting move nothing, which would speak against them
            if flowing >= self.count and self._buffered < 0:
                self._measure_from(now)
            return
        self._bytes += size
        began, used = self._since
        seconds = now - began
        size, interval = self._least
        if seconds < interval or self._bytes < size * self.count:
            return
        self._least = self._unit, _INTERVAL
        rate = self._bytes / seconds
        self._measure_from(now)
        share = (self._since[1] - used) / seconds
        if self._before and rate < self._enough:
            self._fail()
        else:
            self._before = 0
            self._try_more(rate, share)

    def restart(self) -> None:
        """Begin the present measurement anew, since a connection broke in it, which says nothing about the link."""
        self._since = None

    def settle(self) -> None:
        """Use one stream from now on."""
        self.count, self._settled = 1, True

    def _measure_from(self, now: float) -> None:
        self._since, self._bytes = (now, self._busy()), 0

    def _fail(self) -> None:
        self._failures += 1
        if self._failures == _PATIENCE:
            self.count, self._before = self._before, 0
            self._pause = self._next_pause
            self._next_pause *= 2

    def _try_more(self, rate: float, share: float) -> None:
        if self._pause:
            self._pause -= 1
        elif self.count == self._most:
            self._settled = True
        elif share < self._idle:
            served = self.count * _BUSY / max(share, _BUSY / self._most)
            more = min(self._most, max(self.count + 1, int(served)))
            # half of what so many would bring, where they are not limited together
            gain = min(_GAIN, 0.5 + more / self.count / 2)
            self._before, self._enough, self._failures = self.count, rate * gain, 0
            self.count, self._since = more, None
