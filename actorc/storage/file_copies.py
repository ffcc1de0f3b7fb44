"""Copies of bytes from one open file to another, made by the kernel."""

from __future__ import annotations

import errno
import os
from typing import Final

from .rules import MiB

_CANNOT_COPY: Final = {errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.ETXTBSY, errno.EPERM}


def copy(source: int, source_offset: int, target: int, offset: int, length: int) -> int:
    """Copy up to `length` bytes; return how many, 0 only if the source ends there or `length` is 0.

    Files of one file system share the bytes on the medium if it can do that, as with ``cp --reflink``; where the kernel
    cannot copy between the two, they are read and written.

    Args:
        source: Descriptor of the file to read.
        source_offset: Position of the first byte in it.
        target: Descriptor of the file to write to.
        offset: Position of the first byte in this one.
        length: Number of bytes.
    """
    copied = _copy_in_kernel(source, source_offset, target, offset, length)
    if copied:
        return copied
    data = os.pread(source, min(length, MiB), source_offset)
    write(target, data, offset)
    return len(data)


def write(target: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Write all of `data` at `offset`."""
    with memoryview(data) as view:
        done = 0
        # a write may take fewer bytes than it was given
        while done < len(view):
            done += os.pwrite(target, view[done:], offset + done)


def read_into(source: int, buffer: memoryview, offset: int) -> int:
    """Fill `buffer` from `offset`; return the number of bytes read, which is less only if the file ends before."""
    done = 0
    while done < len(buffer):
        read = os.preadv(source, [buffer[done:]], offset + done)
        if not read:
            break
        done += read
    return done


def _copy_in_kernel(source: int, source_offset: int, target: int, offset: int, length: int) -> int:
    """Return the number of bytes that ``copy_file_range`` copied; 0 also where it cannot copy between these files."""
    if not hasattr(os, "copy_file_range"):
        return 0
    try:
        return os.copy_file_range(source, target, length, source_offset, offset)
    except OSError as error:
        if error.errno in _CANNOT_COPY:
            return 0
        raise
