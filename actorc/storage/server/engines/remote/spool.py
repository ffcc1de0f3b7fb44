"""Bytes that wait here until all of them are there: a little in memory, much in a file without a name."""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Final

from actorc.storage._wire.checksum import BlockSums
from actorc.storage.errors import ResourceExhaustedError, StorageError
from actorc.storage.rules import MiB

_IN_MEMORY: Final = MiB
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Spool:
    """What was written so far, by one thread at a time.

    The file has no name, so nothing of it is left when the process is killed.

    Args:
        directory: Where the file is made; None: where temporary files go.
        declared_size: Bytes to come, if known.

    Raises:
        ResourceExhaustedError: The disk has less room than was declared.
    """

    def __init__(self, directory: str | None, declared_size: int | None = None) -> None:
        self._directory = directory
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._sums = BlockSums()
        self._open = True
        if declared_size and declared_size > _IN_MEMORY:
            self._check_room(declared_size)

    @property
    def size(self) -> int:
        """Bytes."""
        return self._sums.size

    def checksum(self) -> int:
        """Return the CRC-32C of all bytes."""
        return self._sums.whole()

    def write(self, data: bytes | memoryview, crc32c: int) -> None:
        """Append `data`, whose checksum is `crc32c`.

        Raises:
            ResourceExhaustedError: The disk is full.
        """
        self._check_open()
        with _told():
            if self._file is None and self.size + len(data) <= _IN_MEMORY:
                self._memory += data
            else:
                self._spill().write(data)
        self._sums.add(data, crc32c)

    @contextmanager
    def taken(self) -> Iterator[memoryview]:
        """Lend all bytes as one, once, and drop them afterwards; those of a file are pages of it, not memory."""
        self._check_open()
        self._open = False
        try:
            with _told():
                body = self._mapped()
            yield body
        finally:
            self.drop()

    def pieces(self) -> Iterator[bytes]:
        """Yield all bytes, once, and drop them afterwards; for those that are too many to be in memory."""
        self._check_open()
        self._open = False
        try:
            with _told():
                file = self._spill()
                file.seek(0)
                while piece := file.read(_IN_MEMORY):
                    yield piece
        finally:
            self.drop()

    def drop(self) -> None:
        """Forget everything. Never raises; may be called again."""
        self._open = False
        self._memory = bytearray()
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _spill(self) -> IO[bytes]:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - closed by drop
            self._file.write(self._memory)
            self._memory = bytearray()
        return self._file

    def _mapped(self) -> memoryview:
        if self._file is None:
            return memoryview(self._memory)
        self._file.flush()
        return memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))

    def _check_room(self, size: int) -> None:
        with _told():
            found = os.statvfs(self._directory or tempfile.gettempdir())
        if found.f_bavail * found.f_frsize < size:
            raise _full()

    def _check_open(self) -> None:
        if not self._open:
            raise StorageError("the writer was committed or aborted before; begin a new one")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _full() from error
        raise StorageError("the staging directory of the server cannot be written; look after its disk") from error


def _full() -> ResourceExhaustedError:
    return ResourceExhaustedError("the staging directory of the server is full; try again later, or make room there")
