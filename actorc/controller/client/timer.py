"""A thread that does something when it is time to, and otherwise sleeps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Alarm:
    """Calls a function when it is due, on a thread that is started when an alarm is first set. Safe to use from many.

    Args:
        ring: Gets the time and returns when it is to be called next, None if it need not be.
        name: Of the thread.
    """

    def __init__(self, ring: Callable[[float], float | None], name: str) -> None:
        self._ring = ring
        self._name = name
        self._changed = threading.Condition()
        self._when: float | None = None
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def set(self, when: float | None) -> None:
        """Ring at `when`, a time of the monotonic clock, or before."""
        if when is None:
            return
        with self._changed:
            if self._is_stopped or (self._when is not None and self._when <= when):
                return
            self._when = when
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def stop(self) -> None:
        """Ring no more; the thread ends on its own."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()

    def _run(self) -> None:
        while self._wait():
            self.set(self._ring(time.monotonic()))

    def _wait(self) -> bool:
        """Wait until it is time; False if it never will be."""
        with self._changed:
            while not self._is_stopped:
                remaining = None if self._when is None else self._when - time.monotonic()
                if remaining is not None and remaining <= 0:
                    # Cleared before it rings, so that whoever sets an alarm meanwhile is not taken for late.
                    self._when = None
                    return True
                self._changed.wait(remaining)
            return False
