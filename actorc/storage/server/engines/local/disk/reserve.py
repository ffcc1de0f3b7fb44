"""A little of the disk, kept for the moment when there is no more: deleting needs room, too."""

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
"""Some thousand deletes; the log of the index is carried over when it has grown by that, and begins anew."""


class Reserve:
    """Room that is given up when the disk is full, and taken again when it is not. Safe to use from many threads.

    It is a file without a name, so that it is gone when the process is, and never stands in anybody's way.

    Args:
        fsops: The disk.
        folder: A directory on the file system that it is a part of.
    """

    def __init__(self, fsops: FsOps, folder: Path) -> None:
        self._fsops = fsops
        self._folder = folder
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._closed = False
        self.restore()

    def give_up(self) -> bool:
        """Give the room to whoever needs it; return whether what failed for want of room may be tried again.

        It may, also when the room was given up before: since then, the log of the index may have been carried over.
        """
        with self._lock:
            # an error can say "full" while there is room, that of a quota for example: then this would be no help
            if self._closed or self._fsops.room(self._folder) >= 0:
                return False
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)
                log.warning("the disk is full; the room that was kept for deleting is used now")
        return True

    def restore(self) -> None:
        """Take the room again if it was given up and the disk has it to spare."""
        if self._descriptor is not None:
            return
        with self._lock:
            if self._descriptor is None and not self._closed and self._fsops.room(self._folder) >= _SIZE:
                try:
                    self._descriptor = self._fsops.reserve(self._folder, _SIZE)
                except OSError as error:
                    log.info("no room is kept for deleting, %s", error)

    def close(self) -> None:
        """Let go of the room for good."""
        with self._lock:
            self._closed = True
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)
