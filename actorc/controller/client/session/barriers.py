"""Barriers: confirm that the platform has processed messages it never answers, such as definitions.

Data is sent after them, which the platform does answer. Reads no clock, sends nothing, and is not thread-safe.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Barrier(Generic[T]):
    number: int
    behind: T | None
    until: float


class Barriers(Generic[T]):
    """Barriers that were sent and are not answered yet; the platform answers them in order, or none at all."""

    def __init__(self) -> None:
        self.sent = 0
        """Number of barriers sent so far."""
        self.are_answered = True
        """Whether the platform answers barriers, as far as is known."""
        self._open: deque[_Barrier[T]] = deque()

    def put(self, behind: T | None, until: float) -> None:
        """Record a barrier that was sent after `behind`, which should be processed by `until`."""
        self.sent += 1
        self._open.append(_Barrier(self.sent, behind, until))

    def answer(self) -> None:
        """Record the answer to the oldest barrier."""
        if self._open:
            self._open.popleft()

    def overtake(self, sent: int) -> None:
        """Record an answer to a call behind `sent` barriers; if one of them is open, the platform answers none."""
        if self._open and self._open[0].number <= sent:
            self.are_answered = False
            self._open.clear()

    def oldest(self) -> tuple[T, float] | None:
        """Return the oldest unprocessed definition and its deadline; None if all are processed."""
        return next(((barrier.behind, barrier.until) for barrier in self._open if barrier.behind is not None), None)
