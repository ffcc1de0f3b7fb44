"""Writes to the disk that begin before anything has to wait for them.

A file that is renamed over another one is first written to the disk by ext4, so that a power cut leaves one of the two.
By then all of a download waits in memory, and the network is idle meanwhile.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any, Final

_WRITE: Final = 2
"""``SYNC_FILE_RANGE_WRITE`` of linux/fs.h: begin, and wait for none of it."""


def begin(descriptor: int, offset: int, length: int) -> None:
    """Begin to write a range of a file to the disk. It promises nothing, and never raises.

    Args:
        descriptor: The file, open for writing.
        offset: Position of the first byte.
        length: Number of bytes.
    """
    call = _sync_file_range()
    if call is not None:
        call(descriptor, ctypes.c_int64(offset), ctypes.c_int64(length), ctypes.c_uint(_WRITE))


@cache
def _sync_file_range() -> Any:
    # Python has none of its own; other systems, and a few architectures, have no such call
    return getattr(ctypes.CDLL(None), "sync_file_range", None) if sys.platform == "linux" else None
