"""Files that are uploaded: checked for changes, and read in slices."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Self

from actorc.storage.errors import IntegrityError
from actorc.storage.files.seekable_reader import SeekableReader
from actorc.storage.files.unsized_files import content_of_unsized


class SteadyFile:
    """A regular file, open for reading, that must not change while it is read.

    A file without a stated size, as in ``/proc``, is copied when it is opened, and the copy is read.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: There is no such file.
        InvalidParameterError: It is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        content = content_of_unsized(path)
        self._path = path
        self.file: IO[bytes] = path.open("rb", buffering=0) if content is None else _copy(content)
        # read before the first byte, and compared after the last
        self._before = self._state()

    @property
    def size(self) -> int:
        """Size in bytes when the file was opened."""
        return self._before[0]

    def _state(self) -> tuple[int, int]:
        now = os.fstat(self.file.fileno())
        return now.st_size, now.st_mtime_ns

    def identity(self) -> tuple[object, ...]:
        """Return values that identify this content: real path, size, time of the last write, inode."""
        status = os.fstat(self.file.fileno())
        return os.path.realpath(self._path), status.st_size, status.st_mtime_ns, status.st_ino

    def check(self) -> None:
        """Raise `IntegrityError` if the file was written to since it was opened."""
        if self._state() != self._before:
            raise IntegrityError(f"{self._path} was written to while it was uploaded; nothing was stored, try again")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def _copy(content: bytes) -> IO[bytes]:
    from tempfile import TemporaryFile  # noqa: PLC0415  # few processes send such a file

    file = TemporaryFile(buffering=0)  # noqa: SIM115  # it is closed with the source that it is part of
    file.write(content)
    file.seek(0)
    return file


class FileSlice(SeekableReader):
    """Consecutive bytes of an open file, as a file object.

    Reads are positional, so threads may read several slices of one descriptor at once; a slice itself is for one
    thread. It does not own the descriptor.

    Args:
        descriptor: The open file.
        start: Position of the first byte.
        size: Bytes of the slice.
    """

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        super().__init__(size)
        self._descriptor = descriptor
        self._start = start

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the bytes, fewer if the file has become shorter."""
        return os.pread(self._descriptor, size, self._start + offset)
