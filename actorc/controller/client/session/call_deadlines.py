"""Deadlines of calls and fetches. Reads no clock: callers pass the time."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """Calls and fetches under way, and how many seconds each may last. Not thread-safe.

    Time in which the platform works on a definition, between `hold` and `resume`, does not count: each call and fetch
    that is under way by then gets its full time anew.
    """

    def __init__(self) -> None:
        # Calls with the same limit expire in the order in which they began, so only the first of each group must be
        # looked at; and there are no more groups than functions with a limit of their own.
        self._begun: dict[float, dict[K, float]] = {}
        self._seconds: dict[K, float] = {}
        self._anew = float("-inf")
        self._is_held = False

    def begin(self, key: K, seconds: float, now: float) -> None:
        """Start the time of `key`, which expires `seconds` after `now`."""
        self._seconds[key] = seconds
        self._begun.setdefault(seconds, {})[key] = now

    def end(self, key: K) -> None:
        """Remove `key`; an unknown one is no error."""
        seconds = self._seconds.pop(key, None)
        if seconds is not None:
            group = self._begun[seconds]
            del group[key]
            if not group:
                del self._begun[seconds]

    def hold(self) -> None:
        """Let nothing expire until `resume`."""
        self._is_held = True

    def resume(self, now: float) -> None:
        """Restart the time of everything under way."""
        if self._is_held:
            self._is_held, self._anew = False, now

    def next(self) -> float | None:
        """Return when the next key expires; None if none is due to."""
        return None if self._is_held else min(map(self._due, self._begun), default=None)

    def due(self, now: float) -> list[K]:
        """Remove and return the keys that have expired by `now`."""
        found: list[K] = []
        while (when := self.next()) is not None and when <= now:
            found.append(next(iter(self._begun[min(self._begun, key=self._due)])))
            self.end(found[-1])
        return found

    def _due(self, seconds: float) -> float:
        """Return when the first key of those with the limit `seconds` expires."""
        return max(next(iter(self._begun[seconds].values())), self._anew) + seconds
