"""A thread that calls a function at set times."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Alarm:
    """Calls a function at its deadline, on a daemon thread that the first alarm starts.

    Any thread may call it. A forked child has no such thread, and must make an alarm of its own.

    Args:
        ring: Called with the time; returns the next deadline, None for none.
        name: Name of the thread.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self, ring: Callable[[float], float | None], name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ring = ring
        self._name = name
        self._clock = clock
        self._changed = threading.Condition()  # guards the fields below, and wakes the thread
        self._when: float | None = None
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def set(self, when: float | None) -> None:
        """Ring at `when`, in seconds of the clock, or earlier; after the change by which `ring` knows of that time."""
        due = self._when
        # read without the lock, which most calls need not take: if the earlier time passes right now, its ring is still
        # to come, and looks at all that there is
        if when is None or (due is not None and due <= when):
            return
        with self._changed:
            # only an earlier time wakes the thread; waking it each time would cost a switch
            if self._is_stopped or (self._when is not None and self._when <= when):
                return
            self._when = when
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def stop(self) -> None:
        """Stop ringing; the thread ends by itself and is not joined, because it may be the caller."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()

    def _run(self) -> None:
        while self._wait():
            self.set(self._ring(self._clock()))

    def _wait(self) -> bool:
        """Wait until the deadline; return False once it was stopped."""
        with self._changed:
            while not self._is_stopped:
                remaining = None if self._when is None else self._when - self._clock()
                if remaining is not None and remaining <= 0:
                    # cleared before it rings, so that a time that is set meanwhile counts
                    self._when = None
                    return True
                self._changed.wait(remaining)
            return False
