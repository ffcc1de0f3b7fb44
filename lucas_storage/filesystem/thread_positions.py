"""Positions of one open file for threads that each seek before they read, as those of DuckDB do.

A file has one position. Between a seek and the read that follows, another thread may move it, and the first one gets
other bytes than it asked for, without an error. So the place that a thread sought is its own until it reads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from actorc.fork_hooks import ForkSafeLock


class ThreadPositions:
    """The position of a file, and where threads have sought since. Any thread may use it.

    A read without a seek of its own continues where the file is, whichever thread moved it last; a thread that sought
    before that has nothing of its own any more. So threads that take turns with a file see one position.

    Args:
        file: The file, of which nobody else moves the position.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        # Guards the position of the file from a seek of this object to the end of the read for which it is made.
        self._lock = ForkSafeLock()
        self._own = threading.local()
        self._turn = 0

    def seek(self, offset: int, whence: int) -> int:
        """Set the position for the read that this thread makes next, and return it."""
        with self._lock.held():
            self._return(self._sought())
            found = self._file.seek(offset, whence)
            self._own.sought = (self._turn, found)
            return found

    def tell(self) -> int:
        """Return where this thread would read."""
        with self._lock.held():
            sought = self._sought()
            return self._file.tell() if sought is None else sought

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the file, where this thread sought, for one read."""
        with self._lock.held():
            sought, self._own.sought = self._sought(), None
            if sought is None:
                self._turn += 1
            self._return(sought)
            yield

    def _sought(self) -> int | None:
        found: tuple[int, int] | None = getattr(self._own, "sought", None)
        return None if found is None or found[0] != self._turn else found[1]

    def _return(self, sought: int | None) -> None:
        if sought is not None and self._file.tell() != sought:
            self._file.seek(sought, os.SEEK_SET)
