"""How long the way to the server and back takes, as calls have shown."""

from __future__ import annotations

from typing import Final

_MEASURED: Final = 3
"""Calls that must have shown it: the first may have waited for a connection, and another one met a busy server."""


class RoundTrips:
    """The shortest of the calls that reach a server by network and wait for no disk there.

    Threads share it without a lock: a lost update is one measurement less.
    """

    def __init__(self) -> None:
        self._shortest = float("inf")
        self._calls = 0

    def took(self, seconds: float) -> None:
        """Take the seconds from a request to its first answer."""
        self._shortest = min(self._shortest, seconds)
        self._calls += 1

    @property
    def seconds(self) -> float:
        """Seconds of a round trip at most; 0 as long as that is not known."""
        return self._shortest if self._calls >= _MEASURED else 0.0
