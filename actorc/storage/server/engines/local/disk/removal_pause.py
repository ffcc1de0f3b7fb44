"""The pause in which no process removes blobs, because a backup copies those that its snapshot names.

The pause is a lock, so it ends with the backup, however that ends. A backup that hangs would keep what is deleted on
the disk for ever; its pause ends once it has made no progress for `EXPIRY_SECONDS`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from actorc.storage.errors import StorageError
from actorc.storage.files import file_locks

EXPIRY_SECONDS: Final = 15 * 60.0
_RENEWAL_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 30.0
"""Seconds that a backup waits for processes that remove blobs, each of which does so for some moments."""


def path_of(data: Path) -> Path:
    """Return the path of the lock of a data directory."""
    return data / "meta" / "removal.lock"


@contextmanager
def removing(path: Path, clock: Callable[[], float] = time.time) -> Iterator[bool]:
    """Yield whether blobs that were garbage before this call may be removed within the block.

    Args:
        path: The lock file; it is missing until the first backup.
        clock: Seconds since 1970-01-01 UTC, as the file system has them.
    """
    try:
        # for reading: a full disk, on which nothing can be made, is when removal matters most
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        # a backup that begins from now on takes a snapshot that has them as garbage already
        yield True
        return
    try:
        free = file_locks.try_lock(descriptor, file_locks.SHARED)
        yield free or os.fstat(descriptor).st_mtime < clock() - EXPIRY_SECONDS
    finally:
        os.close(descriptor)


class RemovalPause:
    """A pause of this process, from construction to `close`. Any thread may renew it.

    Args:
        path: The lock file; made if it is missing.

    Raises:
        StorageError: Another backup holds a pause.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = file_locks.open_within(_PATIENCE_SECONDS, path)
        except TimeoutError:
            raise StorageError(
                f"another backup of {path.parent.parent} is running; wait until it has ended, then try again"
            ) from None
        if os.geteuid() == 0:
            # or a backup by root would shut out the server of another user, and its backups
            owner = path.parent.stat()
            os.fchown(self._descriptor, owner.st_uid, owner.st_gid)
        os.utime(self._descriptor)
        self._renewed = time.monotonic()

    def renew(self) -> None:
        """Record that the backup makes progress; cheap enough to be called for each block.

        Raises:
            StorageError: It made none for so long that the pause is over, and blobs may have been removed.
        """
        idle = time.monotonic() - self._renewed
        if idle > EXPIRY_SECONDS:
            raise StorageError(
                f"the backup made no progress for {idle / 60:.0f} minutes, and the server no longer kept deleted "
                "objects for it; look at the disk of the backup, then start it again"
            )
        if idle > _RENEWAL_SECONDS:
            os.utime(self._descriptor)
            self._renewed = time.monotonic()

    def close(self) -> None:
        """End the pause."""
        os.close(self._descriptor)
