"""Reserved disk space, released when the disk is full, so that deletes still succeed."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Final

from actorc.storage.rules import MiB

from .fsops import FsOps

log = logging.getLogger(__name__)

_SIZE: Final = 4 * MiB
"""Enough for some thousand deletes; a checkpoint then empties the write-ahead log, whose room is used again."""


class Reserve:
    """Space that is released when the disk is full, and occupied again when it is not. Any thread may call it.

    It is an unnamed file, so that the kernel frees it when the process ends.

    Args:
        fsops: The disk.
        folder: A directory on the file system.
    """

    def __init__(self, fsops: FsOps, folder: Path) -> None:
        self._fsops = fsops
        self._folder = folder
        self._lock = threading.Lock()  # guards `_descriptor` and `_closed`
        self._descriptor: int | None = None
        self._closed = False
        self.restore()

    def release(self) -> bool:
        """Release the space; return whether a change that failed on a full disk may be tried again.

        It may also if the space was released before: a checkpoint since then may have made room in the log.
        """
        with self._lock:
            # with free room on the disk the error comes from a quota or the like, and releasing would not help
            if self._closed or self._fsops.room(self._folder) >= 0:
                return False
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)
                log.warning("the disk is full; the room that was kept for deleting is used now")
        return True

    def restore(self) -> None:
        """Occupy the space again if it was released and the disk has room."""
        # without the lock at first: this runs at every change
        if self._descriptor is not None:
            return
        with self._lock:
            if self._descriptor is None and not self._closed and self._fsops.room(self._folder) >= _SIZE:
                try:
                    self._descriptor = self._fsops.reserve(self._folder, _SIZE)
                except OSError as error:
                    # the space is a precaution; a server without it works until the disk is full
                    log.info("no room is kept for deleting, %s", error)

    def close(self) -> None:
        """Release the space for good."""
        with self._lock:
            self._closed = True
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)
