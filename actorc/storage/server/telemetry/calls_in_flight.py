"""The calls in flight: counted while the server runs, and awaited when it stops."""

from __future__ import annotations

import threading
from typing import Final

from actorc.storage.errors import NetworkError

_RETRY_AFTER: Final = 1.0
"""Seconds after which another server, or this one again, may take calls."""


class Admission:
    """A block in which a call runs; a class, since one made of a generator takes four times as long."""

    __slots__ = ("_calls",)

    def __init__(self, calls: CallsInFlight) -> None:
        self._calls = calls

    def __enter__(self) -> None:
        self._calls.begin()

    def __exit__(self, *_: object) -> None:
        self._calls.end()


class CallsInFlight:
    """Admits calls until it is closed, and then waits for those that are running. Any thread may call it."""

    def __init__(self) -> None:
        # guards the fields below, and wakes `close` when a call ends
        self._changed = threading.Condition()
        self._running = 0
        self._closed = False

    def admitted(self) -> Admission:
        """Return a block within which a call counts as running.

        Raises:
            NetworkError: At its beginning: the server is stopping; the call may be retried.
        """
        return Admission(self)

    def close(self, seconds: float) -> bool:
        """Admit no more calls; return whether all running ones ended within `seconds`."""
        with self._changed:
            self._closed = True
            return self._changed.wait_for(lambda: not self._running, seconds)

    def begin(self) -> None:
        """Count a call as running; raise as `admitted` does."""
        with self._changed:
            # refused under the lock, so that no call begins after `close` has counted the last
            if self._closed:
                raise NetworkError(
                    "the server is stopping and takes no more calls; try again in a moment", retry_after=_RETRY_AFTER
                )
            self._running += 1

    def end(self) -> None:
        """Count it no more."""
        with self._changed:
            self._running -= 1
            self._changed.notify_all()
