"""Whether the data directory is still the one that was opened.

The index stays open wherever its directory is moved to, and blobs are found by their path. In another directory of that
path, such as that of the next server, they would be lost for this index, and orphans for the other one.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from .health import Health


class Home:
    """The data directory of an engine, as it was opened. Any thread may call it.

    Args:
        path: The directory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # kept open, since a file system may give the number of a directory that is not in use to another one
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._opened = os.fstat(self._descriptor)

    def check(self, health: Health) -> None:
        """Check that the directory is where it was opened; else `health` is lost.

        Raises:
            OSError: It was moved, or another one is in its place.
        """
        try:
            is_same = os.path.samestat(self._path.stat(), self._opened)
        except FileNotFoundError:
            is_same = False
        if not is_same:
            # without its path, which callers must not see
            error = OSError(errno.ESTALE, "the data directory was moved, or another one is in its place")
            health.lose(error)
            raise error

    def close(self) -> None:
        """Let the directory go."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
