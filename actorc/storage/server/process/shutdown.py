"""A shutdown flag that a signal handler may set."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

_WAKE_SECONDS: Final = 0.5
"""Seconds between wake-ups of the main thread, in which Python runs the handler of a signal that came before."""


class ShutdownFlag:
    """Waits until a shutdown is requested.

    `begin` may be called from a signal handler: `SimpleQueue` is reentrant. An ``Event`` is not; a handler that set it
    while it interrupts the waiting thread could deadlock.
    """

    def __init__(self) -> None:
        self.begun = False
        """Whether a shutdown was requested."""
        self._requests: SimpleQueue[None] = SimpleQueue()

    def begin(self) -> None:
        """Request a shutdown: `wait` returns, now and when called later. Any thread or signal handler may call it."""
        self.begun = True
        # the handler runs between two bytecodes of any thread; `put` does not wait for a lock that this thread holds
        self._requests.put(None)

    def wait(self, poll: Callable[[], None] = lambda: None) -> None:
        """Return once `begin` was called.

        Args:
            poll: Called twice a second while waiting; must be quick and raise nothing.
        """
        while not self.begun:
            with suppress(Empty):
                # with a timeout, since Python runs signal handlers only while the main thread executes bytecode
                self._requests.get(timeout=_WAKE_SECONDS)
            poll()
