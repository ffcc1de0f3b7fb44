"""Which of the calls under way should have returned by now. Knows no clock and ends nothing."""

from __future__ import annotations

import heapq
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_SPARE: Final = 64


class Due(Generic[T]):
    """Calls by the time by which each should have returned, with where each runs."""

    def __init__(self) -> None:
        self._by_time: list[tuple[float, str]] = []
        self._open: dict[str, T] = {}

    def put(self, call_id: str, where: T, until: float) -> None:
        """Record a call that begins, or of another time for it if that is earlier."""
        self._open[call_id] = where
        heapq.heappush(self._by_time, (until, call_id))

    def remove(self, call_id: str) -> None:
        """Forget a call that is over, if it is known."""
        self._open.pop(call_id, None)
        # most calls return long before: what is left of them must not pile up until then
        if len(self._by_time) > 2 * len(self._open) + _SPARE:
            self._by_time = [each for each in self._by_time if each[1] in self._open]
            heapq.heapify(self._by_time)

    def pop(self, now: float) -> tuple[str, T] | None:
        """Return a call that is overdue, and where it runs, and forget it; None if there is none."""
        until = self.next()
        if until is None or until > now:
            return None
        _, call_id = heapq.heappop(self._by_time)
        return call_id, self._open.pop(call_id)

    def next(self) -> float | None:
        """Return when the next one will be overdue; None if none is open."""
        while self._by_time and self._by_time[0][1] not in self._open:
            heapq.heappop(self._by_time)
        return self._by_time[0][0] if self._by_time else None
