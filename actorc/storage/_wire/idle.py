"""Ends what makes no progress: one thread watches every transfer of the process, client or server.

A total deadline does not fit a transfer whose length nobody knows; that it stands still for a minute does.
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
    """One thing that must not stand still for longer than its timeout."""

    __slots__ = ("_clock", "_last", "_on_idle", "_timeout", "expired")

    def __init__(self, timeout: float, on_idle: Callable[[], object], clock: Callable[[], float]) -> None:
        self._timeout = timeout
        self._on_idle = on_idle
        self._clock = clock
        self._last: float | None = clock()
        self.expired = False
        """Whether the timeout passed."""

    def progress(self) -> None:
        """Count from now; also ends a pause."""
        self._last = self._clock()

    def pause(self) -> None:
        """Stop counting until the next `progress`: what is waited for now is not what is watched."""
        self._last = None

    def due(self, now: float) -> float:
        """Return when to look again; nobody is told when a pause ends, so a paused guard is due in one timeout."""
        last = self._last
        return (now if last is None else last) + self._timeout

    def expire(self) -> None:
        """Call `on_idle`; what it raises is logged, and the watch goes on."""
        self.expired = True
        try:
            self._on_idle()
        except Exception:
            log.exception("ending an idle transfer failed")


class IdleWatch:
    """Watches any number of guards from one daemon thread, which sleeps until the next of them may be due.

    Usable from any thread, and in a child after a fork.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_resetting(self))

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._guards: set[Guard] = set()
        self._wakes_at = float("inf")
        self._thread: threading.Thread | None = None

    @contextmanager
    def guard(self, timeout: float, on_idle: Callable[[], object]) -> Iterator[Guard]:
        """Watch until the block ends.

        Args:
            timeout: Seconds without `Guard.progress` after which to give up, counted from here on.
            on_idle: Called once they have passed, on the watching thread; must not block, and must bear being called
                as the block ends.
        """
        guard = Guard(timeout, on_idle, self._clock)
        self._add(guard)
        try:
            yield guard
        finally:
            with self._changed:
                self._guards.discard(guard)

    def sweep(self) -> None:
        """Expire what is due now."""
        with self._changed:
            expired = self._take_expired()
        for guard in expired:
            guard.expire()

    def _add(self, guard: Guard) -> None:
        with self._changed:
            self._guards.add(guard)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="idle-watch", daemon=True)
                self._thread.start()
            elif guard.due(self._clock()) < self._wakes_at:
                self._changed.notify_all()

    def _take_expired(self) -> list[Guard]:
        now = self._clock()
        expired = [guard for guard in self._guards if guard.due(now) <= now]
        self._guards.difference_update(expired)
        self._wakes_at = min((guard.due(now) for guard in self._guards), default=float("inf"))
        return expired

    def _run(self) -> None:
        while True:
            with self._changed:
                expired = self._take_expired()
                if not expired:
                    self._changed.wait(self._pause())
            for guard in expired:
                guard.expire()

    def _pause(self) -> float | None:
        return None if self._wakes_at == float("inf") else max(0.0, self._wakes_at - self._clock())


def _resetting(watch: IdleWatch) -> Callable[[], None]:
    """Return what makes `watch` anew in a child, where its thread does not exist and its lock may be held for ever."""
    reference = weakref.ref(watch)

    def reset() -> None:
        alive = reference()
        if alive is not None:
            alive._reset()  # noqa: SLF001 - the other half of the class

    return reset
