"""Who does what needs to be done by one only, of all that share a data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from threading import Lock

from actorc.storage.server.engines.local.disk.errors import Health


class Leadership:
    """Held by one engine at a time; another one comes to hold it when that one closes, ends or is read-only.

    Args:
        path: A file to lock; made if it does not exist.
        health: Whoever has lost it does not lead.
    """

    def __init__(self, path: Path, health: Health) -> None:
        self._path = path
        self._health = health
        self._guard = Lock()
        self._descriptor = -1
        self._closed = False

    def held(self) -> bool:
        """Return whether this engine leads, as it does from now on if nobody else did."""
        with self._guard:
            if self._closed or not self._health.good:
                self._let_go()
            elif self._descriptor < 0:
                self._descriptor = _try_lock(self._path)
            return self._descriptor >= 0

    def close(self) -> None:
        """Let another one lead."""
        with self._guard:
            self._closed = True
            self._let_go()

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _try_lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return -1
    return descriptor
