"""Bytes of an upload until all have arrived: up to 1 MiB in memory, more in an unnamed file."""

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
    """The bytes written so far. For one thread at a time.

    The file has no name, so the kernel frees it when the process is killed.

    Args:
        directory: Directory of the file; None: that of temporary files.
        declared_size: Bytes expected, if known.

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
        with _disk_errors():
            if self._file is None and self.size + len(data) <= _IN_MEMORY:
                self._memory += data
            else:
                self._spill().write(data)
        self._sums.add(data, crc32c)

    @contextmanager
    def as_view(self) -> Iterator[memoryview]:
        """Yield a view of all bytes, once, and drop them afterwards; a file is mapped and not read into memory.

        The view belongs to the spool, and must not be used after the block.
        """
        self._check_open()
        self._open = False
        try:
            with _disk_errors():
                body = self._mapped()
            yield body
        finally:
            self.drop()

    def pieces(self) -> Iterator[bytes]:
        """Yield all bytes in pieces, once, and drop them afterwards; for more bytes than memory should hold."""
        self._check_open()
        self._open = False
        try:
            with _disk_errors():
                file = self._spill()
                file.seek(0)
                while piece := file.read(_IN_MEMORY):
                    yield piece
        finally:
            self.drop()

    def drop(self) -> None:
        """Drop all bytes. Never raises; may be called again."""
        self._open = False
        self._memory = bytearray()
        if self._file is not None:
            # flushing may fail on a full disk, and the bytes are dropped in any case
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
        # the mapping shows the file, and not what Python has still buffered
        self._file.flush()
        return memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))

    def _check_room(self, size: int) -> None:
        with _disk_errors():
            found = os.statvfs(self._directory or tempfile.gettempdir())
        if found.f_bavail * found.f_frsize < size:
            raise _full()

    def _check_open(self) -> None:
        if not self._open:
            raise StorageError("the writer was committed or aborted before; begin a new one")


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _full() from error
        raise StorageError("the staging directory of the server cannot be written; look after its disk") from error


def _full() -> ResourceExhaustedError:
    return ResourceExhaustedError("the staging directory of the server is full; try again later, or make room there")
