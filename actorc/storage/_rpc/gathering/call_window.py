"""How many calls may be under way before further ones wait, found by how long they take."""

from __future__ import annotations

from typing import Final

_MOST: Final = 64
_CROWDED: Final = 2.0
"""Times the shortest recent call: one that takes longer has waited for others, wherever that was."""
_QUICK: Final = 1.5
_AGING: Final = 1.003
"""Growth of the shortest time with each call, so that a slower link or server is noticed within a thousand calls."""


class CallWindow:
    """The number of calls that run beside each other without waiting for each other.

    On a long link all take about as long as one alone, so the window opens, and none waits here. Where calls wait for a
    processor or the interpreter's lock, on either side, each takes a multiple of that, and the window closes: then it
    costs nothing to wait here instead. It is the rule of TCP Vegas (Brakmo, Peterson, IEEE JSAC 13/8, 1995).

    Threads share it without a lock: a lost update is one measurement less.

    Args:
        least: Calls that never wait.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self.shortest = float("inf")
        """Seconds of the shortest recent call."""
        self.crowded = float("inf")
        """Seconds of a call from which on it has waited for others."""
        self.size = least
        """Calls that may be under way."""

    def took(self, seconds: float, *, is_full: bool) -> None:
        """Judge a call that succeeded.

        Args:
            seconds: How long it took.
            is_full: Whether the window was full meanwhile; one that nobody fills is not opened.
        """
        shortest = self.shortest = min(seconds, self.shortest * _AGING)
        self.crowded = _CROWDED * shortest
        if seconds > self.crowded:
            self.size = max(self._least, self.size - 1)
        elif is_full and seconds < _QUICK * shortest:
            self.size = min(_MOST, self.size + 1)
