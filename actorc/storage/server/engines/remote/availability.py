"""Whether the store is in reach: noticed from what is asked of it, and looked after while it is not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from actorc.storage.errors import NetworkError, StorageError

log = logging.getLogger(__name__)

_PAUSE: Final = 2.0


class Reach:
    """Knows without asking; once the store was out of reach, asks it in the background until it answers.

    Args:
        probe: Asks; raises `NetworkError` while there is no answer.
        pause: Seconds between two looks at a store that is out of reach.
    """

    def __init__(self, probe: Callable[[], None], *, pause: float = _PAUSE) -> None:
        self._probe = probe
        self._pause = pause
        self._changes = threading.Lock()
        self._lost = False
        self._closed = threading.Event()

    @property
    def in_reach(self) -> bool:
        """Whether the last news of the store was an answer."""
        return not self._lost

    def found(self) -> None:
        """Record that the store answered."""
        if self._lost:
            self._lost = False
            log.info("the store answers again")

    def lost(self) -> None:
        """Record that the store did not answer."""
        with self._changes:
            if self._lost or self._closed.is_set():
                return
            self._lost = True
        log.warning("the store is out of reach; it is asked again until it answers")
        threading.Thread(target=self._watch, name="store-in-reach", daemon=True).start()

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()

    def _watch(self) -> None:
        while self._lost and not self._closed.wait(self._pause):
            try:
                self._probe()
            except NetworkError:
                continue
            except StorageError:
                # it answers, if only to refuse
                self.found()
