"""The stamp of a file: what tells that nothing has written to it since, short of reading it."""

from __future__ import annotations

import os
import struct
from typing import Final

_STAMP: Final = struct.Struct("<QQqq")


def stamp_of(descriptor: int) -> bytes:
    """Return inode, size, mtime and ctime of an open file, in the form in which the index keeps them.

    A write changes it, as do a rename and a copy of the directory; bits that flip on the medium do not.
    """
    status = os.fstat(descriptor)
    return _STAMP.pack(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_unchanged(descriptor: int, stamp: bytes | None) -> bool:
    """Return whether an open file is as it was when the stamp was taken; False without a stamp."""
    return stamp == stamp_of(descriptor)
