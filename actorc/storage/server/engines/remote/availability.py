"""Availability of the store: noticed from its answers, and probed by a thread while there are none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from actorc.storage.errors import NetworkError, StorageError

log = logging.getLogger(__name__)

_PAUSE: Final = 2.0


class Availability:
    """Whether the store answers. Any thread may call it.

    No requests are made for it while the store answers; after a failure a thread makes them until it answers again.

    Args:
        probe: Makes a request; raises `NetworkError` while there is no answer.
        pause: Seconds between two probes of a store that does not answer.
    """

    def __init__(self, probe: Callable[[], None], *, pause: float = _PAUSE) -> None:
        self._probe = probe
        self._pause = pause
        # of several requests that fail at once, only one may start the thread
        self._changes = threading.Lock()
        self._down = False
        self._closed = threading.Event()

    @property
    def available(self) -> bool:
        """Whether the store answered the last request."""
        return not self._down

    def answered(self) -> None:
        """Record that the store answered."""
        if self._down:
            self._down = False
            log.info("the store answers again")

    def failed(self) -> None:
        """Record that the store did not answer."""
        with self._changes:
            if self._down or self._closed.is_set():
                return
            self._down = True
        log.warning("the store is out of reach; it is asked again until it answers")
        # one thread asks for all, instead of every request waiting for its own timeout
        threading.Thread(target=self._watch, name="store-in-reach", daemon=True).start()

    def close(self) -> None:
        """Stop probing."""
        self._closed.set()

    def _watch(self) -> None:
        while self._down and not self._closed.wait(self._pause):
            try:
                self._probe()
            except NetworkError:
                # still out of reach
                continue
            except StorageError:
                # a refusal is an answer, too
                self.answered()
