"""Open files of the file system: those of the client, with what `fsspec` expects of a file."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, cast

from fsspec.spec import AbstractBufferedFile

from . import failing_bodies, late_closing
from .entries import Entry
from .thread_positions import ThreadPositions

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .session import Session


class ReadFile(io.BufferedIOBase):
    """A binary file for reading. Its pickle opens the same bytes again, at the same position.

    Threads may take turns with it, and may read at the same time if each seeks before it reads.

    Args:
        fs: The file system.
        path: The path, without the protocol.
        file: The file of the client.
        options: Those of `open` that choose what is read; kept for the pickle.
    """

    mode = "rb"

    def __init__(self, fs: Session, path: str, file: IO[bytes], options: dict[str, Any]) -> None:
        self.fs = fs
        self.path = self.name = path
        self._file = file
        self._options = options
        at = file.tell()
        self.size = file.seek(0, os.SEEK_END)
        """Bytes of the object."""
        file.seek(at)
        self._positions = ThreadPositions(file)
        late_closing.opened(self)

    @property
    def full_name(self) -> str:
        """The path with its protocol."""
        return str(self.fs.unstrip_protocol(self.path))

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed

    def info(self) -> Entry:
        """Return what `info` of the file system returns for the path."""
        return cast("Entry", self.fs.info(self.path))

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position and return it."""
        return self._positions.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._positions.tell()

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes: as many as asked for, fewer only at the end; all if `size` is None or negative."""
        with self._positions.reading():
            return self._file.read(-1 if size is None else size)

    def read1(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`, as few as are at hand."""
        with self._positions.reading():
            return cast("io.BufferedReader", self._file).read1(size)

    def readinto(self, buffer: Buffer) -> int:
        """Fill `buffer`, which stays the caller's, with the next bytes; return how many."""
        with self._positions.reading():
            return cast("io.BufferedReader", self._file).readinto(buffer)

    def readinto1(self, buffer: Buffer) -> int:
        """Fill `buffer` with as few of the next bytes as are at hand; return how many."""
        with self._positions.reading():
            return cast("io.BufferedReader", self._file).readinto1(buffer)

    def readline(self, size: int | None = -1) -> bytes:
        """Return the next line with its end, at most `size` bytes of it."""
        with self._positions.reading():
            return self._file.readline(-1 if size is None else size)

    def __iter__(self) -> Iterator[bytes]:
        with self._positions.reading():
            # The file itself is in C: a line through a method of this class would take several times as long.
            return iter(self._file)

    def __next__(self) -> bytes:
        with self._positions.reading():
            return next(self._file)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
        late_closing.closed(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.fs, self.path, self.tell(), self._options)


def _reopened(fs: Any, path: str, position: int, options: dict[str, Any]) -> ReadFile:
    file: ReadFile = fs.open(path, "rb", **options)
    file.seek(position)
    return file


class WriteFile(io.BufferedIOBase):
    """A binary file for writing, for one thread, that becomes an object when it is closed.

    It does not if it is closed because the body of a ``with`` raised, be that its own or that of another object which
    closes it; if it is garbage-collected unclosed; or after a failed write. In a transaction it is published by
    `commit` and not by `close`.

    Args:
        fs: The file system.
        path: The path, without the protocol.
        file: The file of the client.
        autocommit: Whether closing publishes.
    """

    def __init__(self, fs: Session, path: str, file: Any, mode: str, *, autocommit: bool) -> None:
        self.fs = fs
        self.path = self.name = path
        self.mode = mode
        self._file = file
        self._autocommit = autocommit
        self._failing = failing_bodies.count()
        self._is_done = False
        self._is_abandoned = False

    @property
    def full_name(self) -> str:
        """The path with its protocol."""
        return str(self.fs.unstrip_protocol(self.path))

    @property
    def closed(self) -> bool:
        """Whether the file is closed, whether or not it is published."""
        return self._is_done or bool(self._file.closed)

    def readable(self) -> bool:
        """Return whether it may be read, too."""
        return bool(self._file.readable())

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return whether the position may be set."""
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position and return it."""
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """Return the position, which is the number of bytes written so far unless it was set."""
        return int(self._file.tell())

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes."""
        return bytes(self._file.read(size))

    def readinto(self, buffer: Buffer) -> int:
        """Fill `buffer` with the next bytes; return how many."""
        return int(self._file.readinto(buffer))

    def truncate(self, size: int | None = None) -> int:
        """Cut the file off, at its position if `size` is None; return the size."""
        return int(self._file.truncate(size))

    def write(self, data: Buffer) -> int:
        """Write a copy of `data`; after a failure the file is closed and nothing is stored."""
        if self._is_abandoned:
            return memoryview(data).nbytes
        if self.closed:
            raise ValueError("write to a closed file")
        return int(self._file.write(data))

    def close(self) -> None:
        """Publish the object, or drop it if this happens because a body raised; closing again does nothing."""
        if self.closed:
            return
        if failing_bodies.count() > self._failing:
            self.discard()
        elif self._autocommit:
            self.commit()
        else:
            self._is_done = True

    def commit(self) -> None:
        """Publish the object; does nothing if it was published or dropped."""
        self._is_done = True
        self._file.close()

    def abandon(self) -> None:
        """Take bytes from now on, and drop them: a compressor writes its end even if it is only finalized."""
        self._is_abandoned = True

    def discard(self) -> None:
        """Close the file without publishing anything."""
        self._is_done = True
        self._file.abort()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        """Do nothing: the base class would close the file, and so publish the object."""


class LayeredFile(io.BufferedIOBase):
    """A file that is written through another one, which compresses it; both are closed, or dropped, together.

    Args:
        upper: Takes the bytes, and writes to the other one until it is closed.
        lower: The file of the object.
    """

    mode = "wb"

    def __init__(self, upper: Any, lower: WriteFile) -> None:
        self._upper = upper
        self._lower = lower
        self.name = lower.name

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Buffer) -> int:
        """Write a copy of `data`."""
        self._upper.write(data)
        return memoryview(data).nbytes

    def close(self) -> None:
        """Write what is left, and close the file beneath."""
        if self.closed:
            return
        super().close()
        try:
            self._upper.close()
        except BaseException:
            # Without its end it is no whole file of this compression.
            self._drop()
            raise
        self._lower.close()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None:
            self._drop()
            super().close()
            self._upper.close()
        self.close()

    def _drop(self) -> None:
        self._lower.abandon()
        self._lower.discard()

    def __del__(self) -> None:
        """Publish nothing, as `WriteFile`."""
        self._lower.abandon()


class TextFile(io.TextIOWrapper):
    """A text file for writing; one that is garbage-collected unclosed publishes nothing, as `WriteFile`."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        lower = cast("Any", self.buffer)
        if error is None:
            self.close()
        else:
            lower.__exit__(kind, error, traceback)

    def __del__(self) -> None:
        """Do nothing: the base class would close the file, and so publish the object."""


class CachedFile(AbstractBufferedFile):
    """A binary file for reading with one of the caches of `fsspec`, for programs that ask for a certain one."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        # All of the file is of the generation that was there when it was opened, unless the caller names one.
        which = {"generation": self.details["generation"], **self.kwargs}
        return cast("bytes", self.fs.cat_file(self.path, start, end, **which))
