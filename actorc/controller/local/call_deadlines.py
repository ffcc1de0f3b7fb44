"""Deadlines of running calls, and which of them have passed. Reads no clock: callers pass the time."""

from __future__ import annotations

import heapq
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_SPARE_ENTRIES: Final = 64
"""Entries of ended calls that may remain in the heap in any case, so that a small one is not rebuilt all the time."""


class CallDeadlines(Generic[T]):
    """Running calls, ordered by deadline, each with the process it runs in. For the event loop only."""

    def __init__(self) -> None:
        self._by_time: list[tuple[float, str]] = []
        self._open: dict[str, T] = {}

    def put(self, call_id: str, where: T, until: float) -> None:
        """Record the deadline of a call; of several, the earliest counts."""
        self._open[call_id] = where
        heapq.heappush(self._by_time, (until, call_id))

    def remove(self, call_id: str) -> None:
        """Remove a call that has ended; an unknown one is no error."""
        self._open.pop(call_id, None)
        # most calls end long before their deadline, so their entries would pile up in the heap until then
        if len(self._by_time) > 2 * len(self._open) + _SPARE_ENTRIES:
            self._by_time = [each for each in self._by_time if each[1] in self._open]
            heapq.heapify(self._by_time)

    def pop(self, now: float) -> tuple[str, T] | None:
        """Remove and return a call that is overdue and its process; None if there is none."""
        until = self.next()
        if until is None or until > now:
            return None
        _, call_id = heapq.heappop(self._by_time)
        return call_id, self._open.pop(call_id)

    def next(self) -> float | None:
        """Return the earliest deadline; None if no call runs."""
        while self._by_time and self._by_time[0][1] not in self._open:
            heapq.heappop(self._by_time)
        return self._by_time[0][0] if self._by_time else None
