"""Files whose stated size is wrong: those of ``/proc`` and ``/sys``, and of some drives."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import Final

from actorc.storage.errors import InvalidParameterError
from actorc.storage.rules import MiB

MAX_UNSIZED: Final = 64 * MiB
"""Bytes up to which such a file is read; a longer one may never end."""
_DOUBTFUL: Final = MiB
"""Stated size in bytes up to which a file without a block on a disk is read, to find out whether it is right."""


def refuse_irregular(status: os.stat_result, path: Path) -> None:
    """Raise `InvalidParameterError` if what has this status is no regular file: a directory, a device, a pipe."""
    if stat.S_ISDIR(status.st_mode):
        raise InvalidParameterError(f"{path} is a directory; name a file")
    if not stat.S_ISREG(status.st_mode):
        raise InvalidParameterError(f"{path} is no regular file; use upload_from_stream or download_to_stream")


def content_of_unsized(path: Path) -> bytes | None:
    """Return all bytes of a regular file whose stated size is wrong; None for every other regular file.

    Raises:
        FileNotFoundError: There is no such file.
        InvalidParameterError: It is no regular file, or does not end.
    """
    status = path.stat()
    refuse_irregular(status, path)
    if status.st_size and (status.st_blocks or status.st_size > _DOUBTFUL):
        return None
    # without blocking: some of these files have nothing to read for now, and reading would wait
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with io.FileIO(descriptor) as file:
        content = _read_whole(file, path)
        # a file that was written to meanwhile has the size that is stated now
        return None if len(content) in (status.st_size, os.fstat(descriptor).st_size) else content


def _read_whole(file: io.RawIOBase, path: Path) -> bytes:
    pieces = bytearray()
    while piece := file.read(MiB):
        pieces += piece
        if len(pieces) > MAX_UNSIZED:
            raise InvalidParameterError(
                f"{path} has more than {MAX_UNSIZED:,} bytes and does not say how many; use upload_from_stream"
            )
    if piece is None:
        raise InvalidParameterError(f"{path} does not come to an end; use upload_from_stream with what is to be stored")
    return bytes(pieces)
