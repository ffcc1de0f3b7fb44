"""The way in: open while the server serves, closed while what it is doing comes to its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from actorc.storage.errors import NetworkError

_RETRY_AFTER: Final = 1.0
"""Seconds after which there may be another server, or this one anew."""


class Gate:
    """Lets calls in until it is closed, and then waits for those inside. Safe to use from many threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._closed = False

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Count a call as inside for as long as the block runs.

        Raises:
            NetworkError: The gate is closed; the call may be tried again.
        """
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def close(self, seconds: float) -> bool:
        """Let nobody in from now on; return whether all who were inside have left within `seconds`."""
        with self._changed:
            self._closed = True
            return self._changed.wait_for(lambda: not self._inside, seconds)

    def _enter(self) -> None:
        with self._changed:
            if self._closed:
                raise NetworkError(
                    "the server is stopping and takes no more calls; try again in a moment", retry_after=_RETRY_AFTER
                )
            self._inside += 1

    def _leave(self) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()
