"""Which of the calls under way should have returned by now. Knows no clock and ends nothing."""

from __future__ import annotations

import heapq


class Due:
    """Calls by the time by which each should have returned."""

    def __init__(self) -> None:
        self._by_time: list[tuple[float, str]] = []
        self._open: set[str] = set()

    def put(self, call_id: str, until: float) -> None:
        """Take note of a call that begins."""
        self._open.add(call_id)
        heapq.heappush(self._by_time, (until, call_id))

    def remove(self, call_id: str) -> None:
        """Forget a call that is over."""
        self._open.discard(call_id)
        # most calls return long before: what is left of them must not pile up until then
        if len(self._by_time) > 2 * len(self._open) + 64:
            self._by_time = [each for each in self._by_time if each[1] in self._open]
            heapq.heapify(self._by_time)

    def pop(self, now: float) -> str | None:
        """Return a call that is overdue and forget it; None if there is none."""
        if self.next() is None or self._by_time[0][0] > now:
            return None
        _, call_id = heapq.heappop(self._by_time)
        self._open.remove(call_id)
        return call_id

    def next(self) -> float | None:
        """Return when the next one will be overdue; None if none is open."""
        while self._by_time and self._by_time[0][1] not in self._open:
            heapq.heappop(self._by_time)
        return self._by_time[0][0] if self._by_time else None
