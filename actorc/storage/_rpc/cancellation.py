"""Ends calls from outside: whoever holds a scope can cancel everything that was begun inside it, on any thread.

The present scope is a context variable: a thread that runs in a copy of the context belongs to it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from actorc.storage.errors import StorageError


class CancelScope:
    """What began and has not ended. Usable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[object, Callable[[], object]] = {}
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """End what runs; what would begin later is refused. Calling it again does nothing."""
        with self._lock:
            self._cancelled.set()
            running, self._running = list(self._running.values()), {}
        for end in running:
            end()

    @contextmanager
    def running(self, end: Callable[[], object]) -> Iterator[None]:
        """Have `end` called if the scope is cancelled before the block ends; it must not block.

        Raises:
            StorageError: The scope is cancelled already; `end` was called.
        """
        token = object()
        with self._lock:
            refused = self._cancelled.is_set()
            if not refused:
                self._running[token] = end
        if refused:
            end()
            raise cancelled()
        try:
            yield
        finally:
            with self._lock:
                self._running.pop(token, None)

    def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            StorageError: The scope is or was cancelled.
        """
        if self._cancelled.wait(seconds):
            raise cancelled()


_present: ContextVar[CancelScope | None] = ContextVar("actorc_storage_cancel_scope", default=None)


@contextmanager
def entered(scope: CancelScope | None) -> Iterator[None]:
    """Make `scope` the present one; None shields the block from being cancelled, for what cleans up."""
    token = _present.set(scope)
    try:
        yield
    finally:
        _present.reset(token)


def is_possible() -> bool:
    """Return whether somebody may cancel what begins now."""
    return _present.get() is not None


@contextmanager
def running(end: Callable[[], object]) -> Iterator[None]:
    """Have `end` called if the present scope, if any, is cancelled before the block ends."""
    scope = _present.get()
    if scope is None:
        yield
    else:
        with scope.running(end):
            yield


def sleep(seconds: float) -> None:
    """Wait; not any longer once the present scope is cancelled."""
    scope = _present.get()
    if scope is None:
        time.sleep(seconds)
    else:
        scope.sleep(seconds)


def cancelled() -> StorageError:
    """Return what a cancelled call raises."""
    return StorageError("the call was cancelled", code="Cancelled")
