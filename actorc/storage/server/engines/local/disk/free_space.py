"""Free space of the disk: new data is refused while there is still room to finish what has begun."""

from __future__ import annotations

import errno
import os
from typing import Final

from actorc.storage.rules import MiB

_KEPT_FREE: Final = 64 * MiB  # more than the write-ahead log grows before its checkpoint


def room(system: os.statvfs_result) -> int:
    """Return the bytes of new data that a file system has room for.

    Some is kept free: on a completely full disk the index could not even record deletes.
    """
    return system.f_bavail * system.f_frsize - min(_KEPT_FREE, system.f_blocks * system.f_frsize // 4)


def check_room(left: int, size: int) -> None:
    """Check that there is room for `size` more bytes, of `left` ones.

    Raises:
        OSError: There is none.
    """
    if left < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
