"""Idle timeouts: one thread per process ends the transfers that make no progress, of clients and servers.

A transfer of unknown length can have no total deadline, but it can be required to move some bytes each minute.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from actorc import fork_hooks
from actorc.alarm import Alarm

log = logging.getLogger(__name__)


class Guard:
    """The idle timeout of one transfer.

    The transfer and the watching thread use it without a lock: every change sets a single field.
    """

    __slots__ = ("_clock", "_last", "_on_idle", "_timeout", "expired", "repeats")

    def __init__(
        self, timeout: float, on_idle: Callable[[], object], clock: Callable[[], float], *, repeats: bool = False
    ) -> None:
        self.repeats = repeats
        """Whether the timeout restarts when it has passed."""
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
            # one thread watches all transfers, so an error of one must not end it
            log.exception("ending an idle transfer failed")


class Watching:
    """A block with a guard; a class, since every call has one, and one made of a generator takes four times as long."""

    __slots__ = ("_guard", "_watch")

    def __init__(self, watch: IdleWatch, guard: Guard) -> None:
        self._watch = watch
        self._guard = guard

    def __enter__(self) -> Guard:
        self._watch.add(self._guard)
        return self._guard

    def __exit__(self, *_: object) -> None:
        self._watch.discard(self._guard)


class IdleWatch:
    """Watches any number of guards from one daemon thread, which sleeps until the next of them may be due.

    Any thread may call it, also in a child after a fork.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reset()
        # in a child nothing watches, and a thread that is gone may hold the lock
        fork_hooks.in_child(self, IdleWatch._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()  # guards the set
        self._guards: set[Guard] = set()
        self._alarm = Alarm(self._sweep, "idle-watch", self._clock)

    def guard(self, timeout: float, on_idle: Callable[[], object], *, repeats: bool = False) -> Watching:
        """Return a block that is watched until it ends.

        Args:
            timeout: Seconds without `Guard.progress`, from now on, after which the transfer is idle.
            on_idle: Called then, on the watching thread; must not block, and may be called while the block ends.
            repeats: Whether it is called again after each further `timeout`, and not only once.
        """
        return Watching(self, Guard(timeout, on_idle, self._clock, repeats=repeats))

    def add(self, guard: Guard) -> None:
        """Watch a guard from now on."""
        guard.progress()
        with self._lock:
            self._guards.add(guard)
        self._alarm.set(guard.due(self._clock()))

    def discard(self, guard: Guard) -> None:
        """Watch a guard no more."""
        with self._lock:
            self._guards.discard(guard)

    def sweep(self) -> None:
        """Expire the guards that are due."""
        self._sweep(self._clock())

    def _sweep(self, now: float) -> float | None:
        """Expire the guards that are due, and return when the next one may be."""
        with self._lock:
            expired = [guard for guard in self._guards if guard.due(now) <= now]
            self._guards.difference_update(guard for guard in expired if not guard.repeats)
            for guard in expired:
                guard.progress()
            following = min((guard.due(now) for guard in self._guards), default=None)
        # outside the lock: `on_idle` may end a transfer, which takes the lock to remove its guard
        for guard in expired:
            guard.expire()
        return following


watch: Final = IdleWatch()
"""The watch of this process, for all its transfers as a client and as a server."""
