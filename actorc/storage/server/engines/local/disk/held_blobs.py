"""The open blobs of an object that is being read, protected from removal."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress

from actorc.storage.files import file_locks

from .blobs import Blobs


class HeldBlobs:
    """The blobs of one object, open for reading and kept until `close`. For one thread.

    An open descriptor keeps a removed file readable. An object of many files would need too many descriptors, so its
    readers hold a shared lock on the first file, and `Blobs.remove` skips the group while it is locked. The kernel
    releases the lock when the process ends.

    Args:
        blobs: The blobs of the engine.
        names: Names of the blobs, in order.

    Raises:
        FileNotFoundError: They were removed already, or are lost.
    """

    def __init__(self, blobs: Blobs, names: Sequence[str]) -> None:
        self._blobs = blobs
        self._guard = names[0] if names else ""
        self._open: dict[str, int] = {}
        self._lent: list[int] = []
        self._is_single = len(names) == 1
        if names:
            self._open[self._guard] = blobs.open(self._guard)
        # a single file needs no lock: its open descriptor keeps it readable
        if len(names) > 1 and not self._hold(self._open[self._guard]):
            self.close()
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._guard)

    def read(self, name: str, length: int, offset: int, *, anew: bool = False) -> bytes:
        """Return `length` bytes from `offset` of one of the blobs; fewer only if it ends before.

        Args:
            name: Name of the blob.
            length: Number of bytes.
            offset: Position of the first byte.
            anew: Open the file again, unless it was removed; then only the open descriptor can still read it.
        """
        if anew:
            # its name is gone, and what the open descriptor reads is all that is left
            with suppress(FileNotFoundError):
                return self._blobs.read_anew(name, length, offset)
        if name not in self._open:
            # so that an object of thousands of parts takes two descriptors
            self._close_all_but_guard()
            self._open[name] = self._blobs.open(name)
        return self._blobs.read(self._open[name], length, offset)

    def descriptor(self, name: str) -> int:
        """Return a descriptor of one of the blobs, to be given to another process; valid until `close`.

        Raises:
            OSError: The blob is lost, or this process has no more descriptors.
        """
        if self._is_single:
            return self._open[name]
        # opened anew: a shared descriptor shares its lock, and closing one could release that of the first file
        self._lent.append(self._blobs.open(name))
        return self._lent[-1]

    def close(self) -> None:
        """Close the descriptors and release the lock. Never raises."""
        while self._lent:
            os.close(self._lent.pop())
        while self._open:
            os.close(self._open.popitem()[1])

    def _hold(self, guard: int) -> bool:
        # a remover may have unlinked the guard between open and lock; then the rest of the group is going, too
        return file_locks.try_lock(guard, file_locks.SHARED) and os.fstat(guard).st_nlink > 0

    def _close_all_but_guard(self) -> None:
        for name in self._open.keys() - {self._guard}:
            os.close(self._open.pop(name))
