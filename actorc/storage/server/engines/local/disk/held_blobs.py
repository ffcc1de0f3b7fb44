"""The blobs of an object that is being read."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress

from .blobs import Blobs, locked


class HeldBlobs:
    """The blobs of one object, open for reading, of which none is removed meanwhile.

    An open descriptor keeps a removed file readable. For an object of many files, one descriptor each would be too
    many, so its readers share a lock on the first of them, and `Blobs.remove` leaves the group alone until they are
    gone; the lock ends with the process that holds it.

    Args:
        blobs: Where they are.
        names: Which, in order.

    Raises:
        FileNotFoundError: They have been removed already, or are lost.
    """

    def __init__(self, blobs: Blobs, names: Sequence[str]) -> None:
        self._blobs = blobs
        self._guard = names[0] if names else ""
        self._open: dict[str, int] = {}
        if names:
            self._open[self._guard] = blobs.open(self._guard)
        if len(names) > 1 and not self._hold(self._open[self._guard]):
            self.close()
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._guard)

    def read(self, name: str, length: int, offset: int, *, anew: bool = False) -> bytes:
        """Return `length` bytes from `offset` of one of the blobs; fewer only if it ends before.

        Args:
            name: Which.
            length: Bytes.
            offset: Of the first byte.
            anew: Open the file again, unless it was removed meanwhile: the descriptor is all there is of it then.
        """
        if anew:
            with suppress(FileNotFoundError):
                return self._blobs.read_anew(name, length, offset)
        if name not in self._open:
            self._close_all_but_guard()
            self._open[name] = self._blobs.open(name)
        return self._blobs.read(self._open[name], length, offset)

    def close(self) -> None:
        """Let go of them. Never raises."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _hold(self, guard: int) -> bool:
        return locked(guard, fcntl.LOCK_SH) and os.fstat(guard).st_nlink > 0

    def _close_all_but_guard(self) -> None:
        for name in self._open.keys() - {self._guard}:
            os.close(self._open.pop(name))
