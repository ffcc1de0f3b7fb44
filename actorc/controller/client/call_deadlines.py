"""Until when what has begun may last. Knows no clock: whoever asks says what time it is."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """What is under way, and how many seconds each of it may last.

    Time in which the platform deals with something else for everybody, between `hold` and `resume`, counts for nothing:
    what is under way by then begins anew. Not safe to use from several threads at once.
    """

    def __init__(self) -> None:
        # What may last equally long ends in the order in which it began, so the first of each is all there is to look
        # at; and there are no more of these than functions with a limit of their own.
        self._begun: dict[float, dict[K, float]] = {}
        self._seconds: dict[K, float] = {}
        self._anew = float("-inf")
        self._is_held = False

    def begin(self, key: K, seconds: float, now: float) -> None:
        """Let `key` last until `seconds` from `now`."""
        self._seconds[key] = seconds
        self._begun.setdefault(seconds, {})[key] = now

    def end(self, key: K) -> None:
        """Forget `key`, which need not be known."""
        seconds = self._seconds.pop(key, None)
        if seconds is not None:
            group = self._begun[seconds]
            del group[key]
            if not group:
                del self._begun[seconds]

    def hold(self) -> None:
        """Let nothing end until `resume`."""
        self._is_held = True

    def resume(self, now: float) -> None:
        """Let everything begin anew."""
        if self._is_held:
            self._is_held, self._anew = False, now

    def next(self) -> float | None:
        """Return when the next one is due; None if there is none."""
        return None if self._is_held else min(map(self._due, self._begun), default=None)

    def due(self, now: float) -> list[K]:
        """Return and forget what should have ended by `now`."""
        found: list[K] = []
        while (when := self.next()) is not None and when <= now:
            found.append(next(iter(self._begun[min(self._begun, key=self._due)])))
            self.end(found[-1])
        return found

    def _due(self, seconds: float) -> float:
        """Return when the first one of those that may last `seconds` is due."""
        return max(next(iter(self._begun[seconds].values())), self._anew) + seconds
