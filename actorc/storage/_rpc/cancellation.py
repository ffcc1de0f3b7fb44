"""Cancel scopes: cancelling one ends all calls that were begun inside it, on any thread.

The current scope is a context variable, so a thread that runs in a copy of the context belongs to it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from actorc.storage.context_variables import bound
from actorc.storage.errors import StorageError


class CancelScope:
    """A set of running calls that can be cancelled together. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # a call is registered before the cancellation or refused by it, never between
        self._running: dict[object, Callable[[], object]] = {}
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """End the running calls and refuse later ones. Further calls do nothing."""
        with self._lock:
            self._cancelled.set()
            running, self._running = list(self._running.values()), {}
        # outside the lock: `end` may let a call finish on this thread, which then removes itself
        for end in running:
            end()

    @contextmanager
    def running(self, end: Callable[[], object]) -> Iterator[None]:
        """Call `end` if the scope is cancelled before the block ends; `end` must not block.

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
                # a finished call stays in no list, or the scope of a long transfer would grow with every call
                self._running.pop(token, None)

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, or until the scope is cancelled.

        Raises:
            StorageError: The scope is or was cancelled.
        """
        if self._cancelled.wait(seconds):
            raise cancelled()


_present: ContextVar[CancelScope | None] = ContextVar("actorc_storage_cancel_scope", default=None)


def entered(scope: CancelScope | None) -> AbstractContextManager[None]:
    """Make `scope` current within the block; with None, clean-up inside is not cancelled."""
    return bound(_present, scope)


def is_possible() -> bool:
    """Return whether a scope is current, so that a call begun now may be cancelled."""
    return _present.get() is not None


@contextmanager
def running(end: Callable[[], object]) -> Iterator[None]:
    """Call `end` if the current scope, if any, is cancelled before the block ends."""
    scope = _present.get()
    if scope is None:
        yield
    else:
        with scope.running(end):
            yield


def sleep(seconds: float) -> None:
    """Sleep for `seconds`; raise as soon as the current scope is cancelled."""
    scope = _present.get()
    if scope is None:
        time.sleep(seconds)
    else:
        scope.sleep(seconds)


def check() -> None:
    """Raise if the current scope is cancelled."""
    scope = _present.get()
    if scope is not None:
        scope.sleep(0)


def cancelled() -> StorageError:
    """Return the error that a cancelled call raises."""
    return StorageError("the call was cancelled", code="Cancelled")
