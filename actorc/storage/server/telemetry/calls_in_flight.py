"""The calls in flight: counted while the server runs, and awaited when it stops."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from actorc.storage.errors import NetworkError

_RETRY_AFTER: Final = 1.0
"""Seconds after which another server, or this one again, may take calls."""


class CallsInFlight:
    """Admits calls until it is closed, and then waits for those that are running. Any thread may call it."""

    def __init__(self) -> None:
        # guards the fields below, and wakes `close` when a call ends
        self._changed = threading.Condition()
        self._running = 0
        self._closed = False

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a call as running within the block.

        Raises:
            NetworkError: The server is stopping; the call may be retried.
        """
        self._begin()
        try:
            yield
        finally:
            self._end()

    def close(self, seconds: float) -> bool:
        """Admit no more calls; return whether all running ones ended within `seconds`."""
        with self._changed:
            self._closed = True
            return self._changed.wait_for(lambda: not self._running, seconds)

    def _begin(self) -> None:
        with self._changed:
            # refused under the lock, so that no call begins after `close` has counted the last
            if self._closed:
                raise NetworkError(
                    "the server is stopping and takes no more calls; try again in a moment", retry_after=_RETRY_AFTER
                )
            self._running += 1

    def _end(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()
