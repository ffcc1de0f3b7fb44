"""Elects the one process that runs maintenance on a data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from threading import Lock

from actorc.storage.server.engines.local.disk.errors import Health


class Leadership:
    """The maintenance lock: held by one engine until it closes, ends or becomes read-only. Any thread may call it.

    Args:
        path: The lock file; made if missing.
        health: An engine that has lost it gives up the lock.
    """

    def __init__(self, path: Path, health: Health) -> None:
        self._path = path
        self._health = health
        self._guard = Lock()  # guards the descriptor: two threads must not lock the file twice
        self._descriptor = -1
        self._closed = False

    def held(self) -> bool:
        """Return whether this engine holds the lock; take it if it is free."""
        with self._guard:
            if self._closed or not self._health.good:
                self._let_go()
            elif self._descriptor < 0:
                self._descriptor = _try_lock(self._path)
            return self._descriptor >= 0

    def close(self) -> None:
        """Release the lock for good."""
        with self._guard:
            self._closed = True
            self._let_go()

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _try_lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # flock, not lockf: it belongs to the descriptor, and the kernel releases it when the process is killed
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return -1
    return descriptor
