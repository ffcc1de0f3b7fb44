"""The calls in flight: counted while the server runs, and awaited when it stops."""

from __future__ import annotations

import threading
from typing import Final

from actorc.storage.errors import NetworkError

_RETRY_AFTER: Final = 1.0
"""Seconds after which another server, or this one again, may take calls."""


class CallsInFlight:
    """Admits calls until it is closed, and then waits for those that are running. Any thread may call it.

    A context manager, for any number of threads; each block is a call.
    """

    def __init__(self) -> None:
        # guards the fields below; taken itself, since those of the condition are functions of Python
        self._lock = threading.Lock()
        # wakes `close` when a call ends
        self._ended = threading.Condition(self._lock)
        self._running = 0
        self._closed = False

    def close(self, seconds: float) -> bool:
        """Admit no more calls; return whether all running ones ended within `seconds`."""
        with self._lock:
            self._closed = True
            return self._ended.wait_for(lambda: not self._running, seconds)

    def __enter__(self) -> None:
        """Count a call as running.

        Raises:
            NetworkError: The server is stopping; the call may be retried.
        """
        with self._lock:
            # refused under the lock, so that no call begins after `close` has counted the last
            if self._closed:
                raise NetworkError(
                    "the server is stopping and takes no more calls; try again in a moment", retry_after=_RETRY_AFTER
                )
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running -= 1
            if self._closed:
                self._ended.notify_all()
