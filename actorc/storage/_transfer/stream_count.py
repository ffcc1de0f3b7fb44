"""How many streams a transfer uses: more only while they raise its throughput. Pure: no clock, no threads."""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from actorc.storage.rules import MiB

MOST_STREAMS: Final = 8
"""Streams of one transfer at most."""
_INTERVAL: Final = 0.1
"""Seconds of one measurement at least."""
_GAIN: Final = 1.2
"""Factor by which more streams must raise the throughput to be kept, less if there are only a few more."""
_PATIENCE: Final = 3
"""Measurements in which they must show it: a new connection is slow at first."""
_GROWTH: Final = 4
"""Factor by which the number of streams grows at most."""
_BUSY: Final = 0.7
"""Processor seconds a second, above which this process and not the link is the limit."""


class Moment(NamedTuple):
    """A point in time."""

    seconds: float
    """Monotonic seconds."""
    busy: float
    """Processor seconds that this process has used."""

    @classmethod
    def now(cls) -> Moment:
        """Return the present."""
        return cls(time.monotonic(), time.process_time())


class StreamCount:
    """The number of streams of one transfer, decided from what it moves. For one thread.

    It begins with one. While the process has time left, it tries as many more as that time would serve, and keeps them
    if they raise the throughput. Otherwise it returns to the number before, and stays there.

    Args:
        unit: Bytes that each stream must move in a measurement; more than come at once.
        most: Streams at most.
    """

    def __init__(self, unit: int = 4 * MiB, most: int = MOST_STREAMS) -> None:
        self.count = 1
        """Streams to use now."""
        self._unit = unit
        self._most = most
        self._since: Moment | None = None
        self._bytes = 0
        # the count before the one that is tried, 0 if none is, and the throughput that it must reach
        self._before, self._enough = 0, 0.0
        self._failures = 0
        self._settled = most == 1

    def moved(self, size: int, flowing: int, now: Moment) -> None:
        """Take a sample.

        Args:
            size: Bytes moved since the last sample.
            flowing: Streams that have moved bytes.
            now: When.
        """
        if self._settled:
            return
        if self._since is None:
            # streams that are still connecting move nothing, which would speak against them
            if flowing >= self.count:
                self._measure_from(now)
            return
        self._bytes += size
        seconds = now.seconds - self._since.seconds
        if seconds < _INTERVAL or self._bytes < self._unit * self.count:
            return
        rate, share = self._bytes / seconds, (now.busy - self._since.busy) / seconds
        self._measure_from(now)
        if self._before and rate < self._enough:
            self._fail()
        else:
            self._before = 0
            self._try_more(rate, share)

    def _measure_from(self, now: Moment) -> None:
        self._since, self._bytes = now, 0

    def _fail(self) -> None:
        self._failures += 1
        if self._failures == _PATIENCE:
            self.count, self._settled = self._before, True

    def _try_more(self, rate: float, share: float) -> None:
        if self.count == self._most:
            self._settled = True
        elif share < _BUSY:
            served = self.count * (_GROWTH if share * _GROWTH < _BUSY else _BUSY / share)
            more = min(self._most, max(self.count + 1, int(served)))
            # half of what so many would bring, where they are not limited together
            gain = min(_GAIN, 0.5 + more / self.count / 2)
            self._before, self._enough, self._failures = self.count, rate * gain, 0
            self.count, self._since = more, None
