"""Writable copies of local files and directories, which share their blocks on the disk where the file system can."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from actorc.storage.errors import InvalidParameterError
from actorc.storage.files.unsized_files import refuse_irregular

_CLONE: Final = getattr(fcntl, "FICLONE", 0x40049409)
"""The request of ``ioctl_ficlone(2)``; Python names it from 3.12 on."""
_EXECUTES: Final = 0o100
_UNABLE: Final = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF)
"""Errors of a kernel or of a file system that does not copy between these two files."""
_AT_ONCE: Final = 1 << 30


def copy_into(folder: Path, source: Path) -> Path:
    """Copy a file, or a directory with all that is in it, into a directory, and return the copy, which is writable.

    Files that can be executed stay so; links within a directory stay links.

    Args:
        folder: A directory without an entry of that name.
        source: The file or directory, or a link to it; the copy has its name.

    Raises:
        FileNotFoundError: There is none.
        InvalidParameterError: It is, or holds, something that is neither a file nor a directory; or `folder` is in it.
    """
    target = folder / Path(os.path.abspath(source)).name  # noqa: PTH100 -- resolving would lose the name of a link
    if target == folder or folder.resolve().is_relative_to(source.resolve()):
        raise InvalidParameterError(f"{source} cannot be copied into itself; name a directory within it")
    _copy(source, target, source.stat())
    return target


def _copy(source: Path, target: Path, status: os.stat_result) -> None:
    if not stat.S_ISDIR(status.st_mode):
        refuse_irregular(status, source)
        _copy_file(source, target, executable=bool(status.st_mode & _EXECUTES))
        return
    target.mkdir()
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.is_symlink():
                (target / entry.name).symlink_to(os.readlink(entry.path))  # noqa: PTH115 -- beside scandir
            else:
                _copy(source / entry.name, target / entry.name, entry.stat())


def _copy_file(source: Path, target: Path, *, executable: bool) -> None:
    # Unbuffered, since it is read by its descriptor as well.
    with source.open("rb", buffering=0) as read, target.open("xb") as write:
        if not _is_cloned(read.fileno(), write.fileno()):
            _copy_in_kernel(read.fileno(), write.fileno())
            shutil.copyfileobj(read, write)  # the rest, from where both stand; all of it where the kernel cannot
        if executable:
            mode = stat.S_IMODE(os.fstat(write.fileno()).st_mode)
            os.fchmod(write.fileno(), mode | (mode & 0o444) >> 2)  # for all who may read it, as far as the umask allows


def _is_cloned(read: int, write: int) -> bool:
    try:
        fcntl.ioctl(write, _CLONE, read)
    except OSError:
        return False
    return True


def _copy_in_kernel(read: int, write: int) -> None:
    copy: Callable[[int, int, int], int] | None = getattr(os, "copy_file_range", None)  # Linux alone has it
    try:
        while copy is not None and copy(read, write, _AT_ONCE):
            pass
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
