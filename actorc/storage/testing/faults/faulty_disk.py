"""A disk that is full whenever a test wants it to be."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from actorc.storage.server.engines.local import FsOps


class FaultyDisk(FsOps):
    """The real disk. While it `is_full`, nothing can be added to it; what is there can be read and deleted.

    Attributes:
        is_full: Whether it is full.
    """

    def __init__(self) -> None:
        self.is_full = False

    def allocate(self, descriptor: int, size: int) -> None:
        """Reserve room for a file."""
        self._check_room()
        super().allocate(descriptor, size)

    def write(self, descriptor: int, data: bytes | bytearray | memoryview, offset: int) -> None:
        """Write to a file."""
        self._check_room()
        super().write(descriptor, data, offset)

    def clone(self, source: int, source_offset: int, descriptor: int, offset: int, length: int) -> bool:
        """Let a file share bytes of another one."""
        self._check_room()
        return super().clone(source, source_offset, descriptor, offset, length)

    def room(self, path: Path) -> int:
        """Return the bytes that there is room for."""
        return -1 if self.is_full else super().room(path)

    def free_fraction(self, path: Path) -> float:
        """Return the free fraction of the file system."""
        return 0.0 if self.is_full else super().free_fraction(path)

    def _check_room(self) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
