"""Checkpoints on a thread of their own, so that none is part of a call while the thread keeps up."""

from __future__ import annotations

import threading

from actorc.alarm import Alarm
from actorc.storage.server.engines.local.index.index import Index


class Checkpointer:
    """Writes the log of an index into its database whenever the log has grown. Any thread may call it.

    A log that grows faster than it is written is written by the caller whose change it was, as without this thread.

    Args:
        index: The index.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._alarm = Alarm(self._ring, "checkpointer")
        self._working = threading.Lock()  # held during a checkpoint, and taken by `stop` to wait for its end
        self._is_stopped = False

    def start(self) -> None:
        """Make checkpoints from now on."""
        self._index.defer_checkpoints(lambda: self._alarm.set(0.0))

    def stop(self) -> None:
        """Make no more, and return when none runs."""
        self._index.defer_checkpoints(None)
        self._alarm.stop()
        with self._working:
            self._is_stopped = True

    def _ring(self, _now: float) -> None:
        with self._working:
            if not self._is_stopped:
                self._index.checkpoint()
