"""Whether the platform has dealt with what it never answers, such as a definition: it answers data that comes behind.

Knows no clock and sends nothing. Not safe to use from several threads at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Mark(Generic[T]):
    number: int
    behind: T | None
    until: float


class Marks(Generic[T]):
    """Marks that were sent and not answered yet; the platform answers them in their order, or none at all."""

    def __init__(self) -> None:
        self.sent = 0
        """How many were sent so far."""
        self.are_answered = True
        """Whether the platform answers marks, as far as is known."""
        self._open: deque[_Mark[T]] = deque()

    def put(self, behind: T | None, until: float) -> None:
        """Note that a mark was sent; `behind` is what it stands behind and should be dealt with by `until`."""
        self.sent += 1
        self._open.append(_Mark(self.sent, behind, until))

    def answer(self) -> None:
        """Note that the oldest mark was answered."""
        if self._open:
            self._open.popleft()

    def overtake(self, sent: int) -> None:
        """Note an answer to what was sent after `sent` marks; if one of them is open, the platform answers none."""
        if self._open and self._open[0].number <= sent:
            self.are_answered = False
            self._open.clear()

    def oldest(self) -> tuple[T, float] | None:
        """Return what has not been dealt with for longest, and until when it should be; None if all of it has been."""
        return next(((mark.behind, mark.until) for mark in self._open if mark.behind is not None), None)
