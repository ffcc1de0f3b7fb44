"""The cache directory: its owner, its mode, and its file-system errors as `CacheError`.

A user who may write to it decides what steps compute, and by the copy of a signed pickle what code runs. So it is used
only if it belongs to this user, or to root, and nobody else may write to it; it is made with mode 0700.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from actorc.storage.files.private_files import is_ours, is_writable_by_others, owner
from lucas_storage.artifacts import scratch
from lucas_storage.errors import CacheError, CacheFullError, CacheRefusedError, ResourceExhaustedError, StorageError

logger = logging.getLogger(__name__)

MODE: Final = 0o700
_SHARED: Final = stat.S_ISVTX | stat.S_IWOTH
"""Mode bits of a directory for everybody, such as ``/tmp``: users cannot remove each other's files there."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_NO_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE)
_FORBIDDEN: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_UNUSABLE: Final = (*_FORBIDDEN, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG)
"""Errors of a directory that cannot be written to at all, so that another one takes its place."""


class CacheDirectory:
    """A private directory, made when it is needed, and again if it was removed. Safe to share between threads.

    Args:
        wanted: Where it lies. One that cannot be written to is replaced by a temporary directory of this process, with
            one warning. Within a directory for everybody, such as ``/tmp``, it is ``lucas-storage-<user id>``.
    """

    def __init__(self, wanted: Path) -> None:
        self.wanted = wanted
        """The path of the settings, which errors name."""
        # Guards the making, so that threads agree on one temporary directory if the wanted one cannot be written to.
        self._lock = threading.Lock()
        self._path: Path | None = None

    def path(self) -> Path:
        """Return the directory, which is there and private.

        Raises:
            CacheRefusedError: Another user owns it or may write to it.
            CacheError: It cannot be made.
        """
        # Asked at every hand-out: a stat costs a microsecond, and a cleaner or another user may have come by.
        with file_errors(self.wanted):
            if self._path is not None and _is_private(self._path):
                return self._path
            with self._lock:
                if self._path is None or not _is_private(self._path):
                    self._path = self._prepare()
                return self._path

    def _prepare(self) -> Path:
        try:
            return _made(self.wanted)
        except OSError as error:
            if isinstance(error, StorageError) or error.errno not in _UNUSABLE:
                raise
            instead = scratch.lasting()
            logger.warning(
                "the cache directory %s cannot be written (%s); copies live in %s until this process ends. "
                "Set LUCAS_STORAGE_CACHE to a directory of yours",
                self.wanted,
                error.strerror,
                instead,
            )
            return instead


@contextlib.contextmanager
def file_errors(directory: Path) -> Iterator[None]:
    """Raise file-system errors as errors of the cache; to be entered around file calls alone.

    Raises:
        CacheRefusedError: This process may not read or write there.
        CacheFullError: The disk, or the user's share of it, is full.
        ResourceExhaustedError: The process, or the machine, has no file descriptor left.
        CacheError: Anything else the file system said.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if error.errno is None:  # raised by a program, not by a file system
            raise
        raise _explained(error, directory) from error


def _explained(error: OSError, directory: Path) -> StorageError:
    why = error.strerror or type(error).__name__
    if error.errno in _FULL:
        return CacheFullError(
            f"the cache directory {directory} has no room ({why}); free some, or set LUCAS_STORAGE_CACHE to a "
            "directory on a larger disk and LUCAS_STORAGE_CACHE_MAX to what fits there"
        )
    if error.errno in _NO_DESCRIPTORS:
        return ResourceExhaustedError(
            f"no file of the cache can be opened ({why}); close files, or raise the limit with ulimit -n"
        )
    if error.errno in _FORBIDDEN:
        return CacheRefusedError(
            f"the cache directory {directory} may not be used by this process ({why}); set LUCAS_STORAGE_CACHE to a "
            "directory of yours"
        )
    return CacheError(
        f"the cache directory {directory} cannot be used ({why}); look at it, or set LUCAS_STORAGE_CACHE to another one"
    )


def within(root: Path, *names: str, make: bool = False) -> Path | None:
    """Return a directory below the root, or None if it, or one above it, is missing, a link, or another user's.

    Args:
        root: A private directory.
        names: Directories, each within the one before.
        make: Whether to make those that are missing.

    Raises:
        CacheRefusedError: One cannot be made, since something that is not this user's is in its place.
    """
    path = os.fspath(root)
    for name in names:
        path = os.path.join(path, name)  # noqa: PTH118 -- at every hand-out, and Path takes five times as long
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, MODE)  # noqa: PTH102 -- likewise
        if not _is_folder_of_ours(path):
            if make:
                raise CacheRefusedError(f"the cache directory holds {path}, which is not this user's; remove it")
            return None
    return Path(path)


def _is_folder_of_ours(path: str) -> bool:
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISDIR(status.st_mode) or not is_ours(status):
        return False
    if is_writable_by_others(status) and status.st_uid == os.geteuid():
        # As an earlier version made them under a wide umask; nobody could come this far through a private root.
        os.chmod(path, MODE)  # noqa: PTH101 -- likewise
    return True


def _made(wanted: Path) -> Path:
    """Return the directory to use, made if need be; raises an error if it is not private and writable."""
    wanted.mkdir(mode=MODE, parents=True, exist_ok=True)
    # Not an error: the operator names a place for all users. Within it each one has his own.
    if wanted.stat().st_mode & _SHARED == _SHARED:
        wanted = wanted / f"lucas-storage-{os.geteuid()}"
        wanted.mkdir(mode=MODE, exist_ok=True)
        if wanted.is_symlink():
            raise _refused(wanted, "is a link that anybody may have made; remove it")
    _check_private(wanted)
    # Tried, since no mode tells of a read-only mount or a full quota.
    with tempfile.TemporaryFile(dir=wanted):
        return wanted


def _is_private(path: Path) -> bool:
    try:
        status = os.stat(path)  # noqa: PTH116 -- at every hand-out
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISDIR(status.st_mode) and is_ours(status) and not is_writable_by_others(status)


def _check_private(path: Path) -> None:
    status = path.stat()
    if not is_ours(status):
        raise _refused(path, f"belongs to {owner(status.st_uid)}; remove it")
    if is_writable_by_others(status):
        raise _refused(
            path, f"may be written to by other users; run 'chmod go-w {path}' if you know what is in it, or remove it"
        )


def _refused(path: Path, why: str) -> CacheRefusedError:
    return CacheRefusedError(
        f"the cache directory {path} is not used because it {why}, or set LUCAS_STORAGE_CACHE to a directory of yours"
    )
