"""How many streams a transfer uses: more only while they raise its throughput. Pure: no clock, no threads."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

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


class WantedProcessorTime:
    """The processor time that this process used or, on Linux, waited for beside others. For one thread."""

    def __init__(self) -> None:
        self._total = 0.0
        self._waited: dict[str, int] = {}

    def __call__(self) -> float:
        """Return the seconds so far; what a thread waited for between the last call and its end is left out."""
        # by thread, as the kernel counts it: the sum over those that run now would fall whenever one of them ends
        waited = dict(_waited())
        self._total += sum(spent - self._waited.get(thread, 0) for thread, spent in waited.items()) / 1e9
        self._waited = waited
        return time.process_time() + self._total


def _waited() -> Iterator[tuple[str, int]]:
    """Yield each thread and the nanoseconds that it could have run and did not."""
    for path in Path("/proc/self/task").glob("*/schedstat"):
        # one that has just ended
        with contextlib.suppress(OSError, ValueError, IndexError):
            yield path.parent.name, int(path.read_text().split()[1])


class StreamCount:
    """The number of streams of one transfer, decided from what it moves. For one thread.

    It begins with one. While the process has time left, it tries as many more as that time would serve, and keeps them
    if they raise the throughput. Otherwise it returns to the number before, and stays there.

    Args:
        unit: Bytes that each stream must move in a measurement; more than come at once.
        most: Streams at most.
        busy: Returns the processor seconds that this process has wanted so far; asked once for each
                measurement.
    """

    def __init__(self, unit: int = 4 * MiB, most: int = MOST_STREAMS, busy: Callable[[], float] | None = None) -> None:
        self.count = 1
        """Streams to use now."""
        self._unit = unit
        self._most = most
        self._busy = busy or WantedProcessorTime()
        # when this measurement began, and what the process had wanted by then
        self._since: tuple[float, float] | None = None
        self._bytes = 0
        # the count before the one that is tried, 0 if none is, and the throughput that it must reach
        self._before, self._enough = 0, 0.0
        self._failures = 0
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
            # streams that are still connecting move nothing, which would speak against them
            if flowing >= self.count:
                self._measure_from(now)
            return
        self._bytes += size
        began, wanted = self._since
        seconds = now - began
        if seconds < _INTERVAL or self._bytes < self._unit * self.count:
            return
        rate = self._bytes / seconds
        self._measure_from(now)
        share = (self._since[1] - wanted) / seconds
        if self._before and rate < self._enough:
            self._fail()
        else:
            self._before = 0
            self._try_more(rate, share)

    def _measure_from(self, now: float) -> None:
        self._since, self._bytes = (now, self._busy()), 0

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
