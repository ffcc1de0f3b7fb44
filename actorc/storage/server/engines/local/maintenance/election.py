"""Elects the one process that runs maintenance on a data directory."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock

from actorc.storage.files import file_locks
from actorc.storage.server.engines.local.disk.health import Health


class MaintenanceLock:
    """The maintenance lock: held by one engine until it closes, ends or becomes read-only. Any thread may call it.

    Args:
        path: The lock file; made if missing.
        health: An engine that has lost it gives up the lock.
    """

    def __init__(self, path: Path, health: Health) -> None:
        self._path = path
        self._health = health
        self._guard = Lock()  # guards the descriptor: two threads must not lock the file twice
        self._descriptor: int | None = None
        self._closed = False

    def held(self) -> bool:
        """Return whether this engine holds the lock; take it if it is free."""
        with self._guard:
            if self._closed or not self._health.good:
                self._release()
            elif self._descriptor is None:
                self._descriptor = file_locks.try_open(self._path)
            return self._descriptor is not None

    def close(self) -> None:
        """Release the lock for good."""
        with self._guard:
            self._closed = True
            self._release()

    def _release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
