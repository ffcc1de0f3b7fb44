"""Cancel scopes: cancelling one ends all calls that were begun inside it, on any thread.

The current scope is a context variable, so a thread that runs in a copy of the context belongs to it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Final

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

    def running(self, end: Callable[[], object]) -> AbstractContextManager[None]:
        """Return a block; `end` is called if the scope is cancelled before it ends, and must not block.

        Raises:
            StorageError: At its beginning: the scope is cancelled already; `end` was called.
        """
        return _Running(self, end)

    def add(self, token: object, end: Callable[[], object]) -> None:
        """Call `end` when the scope is cancelled; raise as `running` does."""
        with self._lock:
            refused = self._cancelled.is_set()
            if not refused:
                self._running[token] = end
        if refused:
            end()
            raise cancelled()

    def discard(self, token: object) -> None:
        """Forget what was added with this token."""
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


class _Running:
    """A block with a running call; a class, since one made of a generator takes four times as long."""

    __slots__ = ("_end", "_scope")

    def __init__(self, scope: CancelScope, end: Callable[[], object]) -> None:
        self._scope = scope
        self._end = end

    def __enter__(self) -> None:
        self._scope.add(self, self._end)

    def __exit__(self, *_: object) -> None:
        self._scope.discard(self)


_present: ContextVar[CancelScope | None] = ContextVar("actorc_storage_cancel_scope", default=None)
_UNSCOPED: Final = nullcontext()


def entered(scope: CancelScope | None) -> AbstractContextManager[None]:
    """Make `scope` current within the block; with None, clean-up inside is not cancelled."""
    return bound(_present, scope)


def is_possible() -> bool:
    """Return whether a scope is current, so that a call begun now may be cancelled."""
    return _present.get() is not None


def running(end: Callable[[], object]) -> AbstractContextManager[None]:
    """Return a block; `end` is called if the current scope, if any, is cancelled before it ends."""
    scope = _present.get()
    return _UNSCOPED if scope is None else scope.running(end)


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
