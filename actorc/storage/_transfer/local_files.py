"""Local files of transfers: sources that are checked for changes, targets that are never partial."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

from actorc.storage.errors import IntegrityError, InvalidParameterError
from actorc.storage.files.seekable_reader import SeekableReader
from actorc.storage.files.unsized_files import content_of_unsized, refuse_irregular


def checked_path(file_path: str | os.PathLike[str]) -> Path:
    """Return `file_path` as a path.

    Raises:
        InvalidParameterError: It is no path.
    """
    try:
        return Path(os.fsdecode(file_path))
    except TypeError as error:
        raise InvalidParameterError(f"a file path is a str or a Path, not {type(file_path).__name__}") from error


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


def check_target(path: Path, overwrite: bool) -> None:
    """Check that a download may be written to `path`.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        InvalidParameterError: It is not a regular file.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    refuse_irregular(status, path)
    if not overwrite:
        raise _exists_error(path)


def _exists_error(path: Path) -> FileExistsError:
    return FileExistsError(f"{path} exists already; pass overwrite=True to replace it")


@contextmanager
def whole_target(path: Path, overwrite: bool) -> Iterator[IO[bytes]]:
    """Yield a file that appears at `path`, complete, when the block ends, and not at all if it raises.

    Missing parent directories are made. A symbolic link is followed; a replaced file keeps its mode.

    Raises:
        FileExistsError: Another process made the file in between and `overwrite` is false.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    # beside the target, so that the rename stays within the file system
    temporary = target.with_name(f".download-{os.urandom(8).hex()}.part")
    try:
        with temporary.open("xb") as file:
            yield file
        publish(temporary, target, overwrite)
    finally:
        # also after success, when the name is gone or is a second link
        temporary.unlink(missing_ok=True)


def publish(temporary: Path, target: Path, overwrite: bool) -> None:
    """Rename a complete file to `target`, keeping the mode of an existing target.

    Raises:
        FileExistsError: The target exists and `overwrite` is false; it is kept.
    """
    if overwrite:
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
        return
    # a link fails if the target exists; a rename would replace a file that was made since the check
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise _exists_error(target) from None
    except OSError:
        # a file system without hard links; only the window between check and rename is unguarded there
        check_target(target, overwrite)
        temporary.replace(target)


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
