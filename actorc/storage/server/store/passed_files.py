"""Files that another process passes by descriptor: which of them may be read."""

from __future__ import annotations

import ctypes
import fcntl
import os
import stat
import sys
from functools import cache
from typing import Any, Final

from actorc.storage.errors import InvalidParameterError, UnsupportedError

_LOCAL_FILE_SYSTEMS: Final = {
    0xEF53: "ext2, ext3 and ext4",
    0x58465342: "XFS",
    0x9123683E: "Btrfs",
    0xF2F52010: "F2FS",
    0xCA451A4E: "bcachefs",
    0x2FC12FC1: "ZFS",
    0x01021994: "tmpfs",
    0x858458F6: "ramfs",
    0x794C7630: "overlayfs",
}
"""By the magic number in ``f_type`` of statfs(2); from linux/magic.h, and from the modules of ZFS and bcachefs."""
_STATFS_BYTES: Final = 256
"""More than any ``struct statfs`` has; ``f_type`` is its first word."""


def check_importable(descriptor: int) -> None:
    """Check that a file can be read, and that reading it waits for nothing but a disk of this machine.

    Raises:
        InvalidParameterError: It is no regular file, or not open for reading.
        UnsupportedError: Its file system is not local, or not known to be: a server of it could stop for ever.
    """
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise InvalidParameterError("what was passed is no regular file; send its bytes instead")
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    if flags & os.O_ACCMODE == os.O_WRONLY or flags & getattr(os, "O_PATH", 0):
        raise InvalidParameterError("the file that was passed is not open for reading; open it for that")
    if _file_system(descriptor) not in _LOCAL_FILE_SYSTEMS:
        raise UnsupportedError("the file is not on a local file system, so it is not read here; send its bytes instead")


def _file_system(descriptor: int) -> int | None:
    """Return the magic number of the file system of a file, or None where that is not known."""
    if sys.platform != "linux":
        return None
    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    # Python's own `os.fstatvfs` does not tell the type
    if _libc().fstatfs(descriptor, buffer):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return ctypes.c_ulong.from_buffer(buffer).value & 0xFFFFFFFF


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)
