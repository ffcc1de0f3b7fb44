"""The wish that a process ends, which a signal handler may utter."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

_LOOK: Final = 0.5
"""Seconds after which the main thread lets Python run the handler of a signal that came just before it waited."""


class Stopping:
    """Waits until somebody wants it to end.

    Made for signal handlers: one may interrupt the very thread that is about to wait, and would wait for itself if it
    set an ``Event`` then.
    """

    def __init__(self) -> None:
        self.begun = False
        """Whether somebody wants it."""
        self._wishes: SimpleQueue[None] = SimpleQueue()

    def begin(self) -> None:
        """Let `wait` return, now and whenever it is called."""
        self.begun = True
        self._wishes.put(None)

    def wait(self, look: Callable[[], None] = lambda: None) -> None:
        """Return once `begin` was called.

        Args:
            look: Called twice a second meanwhile; it must be quick and raise nothing.
        """
        while not self.begun:
            with suppress(Empty):
                self._wishes.get(timeout=_LOOK)
            look()
