"""Idle timeouts: one thread per process ends the transfers that make no progress, of clients and servers.

A transfer of unknown length can have no total deadline, but it can be required to move some bytes each minute.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


class Guard:
    """The idle timeout of one transfer.

    The transfer and the watching thread use it without a lock: every change sets a single field.
    """

    __slots__ = ("_clock", "_last", "_on_idle", "_timeout", "expired")

    def __init__(self, timeout: float, on_idle: Callable[[], object], clock: Callable[[], float]) -> None:
        self._timeout = timeout
        self._on_idle = on_idle
        self._clock = clock
        self._last: float | None = clock()
        self.expired = False
        """Whether the timeout passed."""

    def progress(self) -> None:
        """Restart the timeout; also ends a pause."""
        self._last = self._clock()

    def pause(self) -> None:
        """Stop the timeout until the next `progress`, because the transfer waits for its own user."""
        self._last = None

    def due(self, now: float) -> float:
        """Return the time of the next check. The end of a pause wakes no thread, so a paused guard is polled."""
        last = self._last
        return (now if last is None else last) + self._timeout

    def expire(self) -> None:
        """Call `on_idle`; an exception is logged, and the watch continues."""
        self.expired = True
        try:
            self._on_idle()
        except Exception:
            log.exception("ending an idle transfer failed")


class IdleWatch:
    """Watches any number of guards from one daemon thread, which sleeps until the next of them may be due.

    Any thread may call it, also in a child after a fork.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reset()
        if hasattr(os, "register_at_fork"):
            # a fork copies no threads: in the child nothing watches, and the lock may be held by a thread that is gone
            os.register_at_fork(after_in_child=_resetting(self))

    def _reset(self) -> None:
        self._changed = threading.Condition()  # guards the fields below
        self._guards: set[Guard] = set()
        self._wakes_at = float("inf")
        self._thread: threading.Thread | None = None

    @contextmanager
    def guard(self, timeout: float, on_idle: Callable[[], object]) -> Iterator[Guard]:
        """Watch until the block ends.

        Args:
            timeout: Seconds without `Guard.progress`, from now on, after which the transfer is idle.
            on_idle: Called then, on the watching thread; must not block, and may be called while the block ends.
        """
        guard = Guard(timeout, on_idle, self._clock)
        self._add(guard)
        try:
            yield guard
        finally:
            with self._changed:
                self._guards.discard(guard)

    def sweep(self) -> None:
        """Expire the guards that are due."""
        with self._changed:
            expired = self._take_expired()
        # outside the lock: `on_idle` may end a transfer, which takes the lock to remove its guard
        for guard in expired:
            guard.expire()

    def _add(self, guard: Guard) -> None:
        with self._changed:
            self._guards.add(guard)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="idle-watch", daemon=True)
                self._thread.start()
            elif guard.due(self._clock()) < self._wakes_at:
                # only an earlier guard needs to wake the thread; waking it for each transfer would cost a switch
                self._changed.notify_all()

    def _take_expired(self) -> list[Guard]:
        now = self._clock()
        expired = [guard for guard in self._guards if guard.due(now) <= now]
        # removed before they expire, so that each guard expires once
        self._guards.difference_update(expired)
        self._wakes_at = min((guard.due(now) for guard in self._guards), default=float("inf"))
        return expired

    def _run(self) -> None:
        while True:
            # checks and sleeps under one lock: a guard added between both would not wake the thread
            with self._changed:
                expired = self._take_expired()
                if not expired:
                    self._changed.wait(self._pause())
            for guard in expired:
                guard.expire()

    def _pause(self) -> float | None:
        return None if self._wakes_at == float("inf") else max(0.0, self._wakes_at - self._clock())


def _resetting(watch: IdleWatch) -> Callable[[], None]:
    """Return a fork hook that resets `watch` in a child, where its thread is gone and its lock may be held for ever."""
    # fork hooks cannot be removed; a strong reference would keep every watch alive
    reference = weakref.ref(watch)

    def reset() -> None:
        alive = reference()
        if alive is not None:
            alive._reset()  # noqa: SLF001 - the other half of the class

    return reset
