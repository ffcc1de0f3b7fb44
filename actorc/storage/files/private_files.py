"""Checks of ownership and mode, so that secrets and state are read only from files of this user alone.

The checked file is the opened one: links are not followed, and owner and mode are those of the open descriptor.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from actorc.storage.errors import InvalidParameterError

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_LARGEST: Final = 64 << 10
"""Bytes of a file with secrets; a larger one is no such file."""


def open_directory(path: Path) -> int:
    """Return a descriptor of a directory that this user owns and no other user can write to.

    Raises:
        InvalidParameterError: It is not; the message says why, and what to do.
        OSError: It is not there, or cannot be opened.
    """
    _check_directory(path, path.lstat())
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        # another directory may have taken its place since the first check
        _check_directory(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_secret(path: Path, directory: int) -> bytes:
    """Return the content of a file that this user owns and no other user can read or write.

    Args:
        path: The file, for messages; its name is looked up in `directory`.
        directory: The result of `open_directory`.

    Raises:
        InvalidParameterError: It is not; the message says why, and what to do.
        OSError: It is not there, or cannot be read.
    """
    _check_secret(path, os.stat(path.name, dir_fd=directory, follow_symlinks=False))
    # without blocking: opening a pipe in its place would wait for a writer
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path.name, flags, dir_fd=directory)
    try:
        _check_secret(path, os.fstat(descriptor))
        return os.read(descriptor, _LARGEST)
    finally:
        os.close(descriptor)


def make_directory(path: Path, mode: int = 0o777) -> None:
    """Make a directory and those above it, if they are missing.

    Raises:
        NotADirectoryError: One of them is a file, of which `Path.mkdir` says that it exists already.
        OSError: It cannot be made.
    """
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), error.filename) from None


def replace_private(path: Path, text: str, *, durable: bool = False) -> None:
    """Write a file that only this user may read, all or nothing: a reader finds the old text or the new one.

    Args:
        path: The file.
        text: Its content.
        durable: Return only once the file is on the disk under its name.
    """
    import tempfile  # noqa: PLC0415  # loads archives and random numbers, and only what writes needs it

    # mkstemp makes files of mode 0600, so that nobody else reads a secret at any moment
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name.lstrip('.')}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if durable:
                # before the rename, or the name could outlive a power cut and the text not
                file.flush()
                os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        # a draft that is left behind would never be removed
        Path(draft).unlink(missing_ok=True)
        raise
    if durable:
        # the name as well, or after a power cut the file of before could be back
        _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_ours(status: os.stat_result) -> bool:
    """Return whether a file belongs to this user, or to root, who can do everything anyway."""
    return status.st_uid in (os.geteuid(), 0)


def is_writable_by_others(status: os.stat_result) -> bool:
    """Return whether other users can write to a file or directory."""
    return bool(status.st_mode & _OTHERS_WRITE)


def check_writers(path: Path, status: os.stat_result) -> None:
    """Check that only this user and root can have written a file.

    Raises:
        InvalidParameterError: Other users can; the message names them, and says what to do.
    """
    if not is_ours(status):
        raise InvalidParameterError(
            f"{path} belongs to {owner(status.st_uid)}, who can write to it; use a file of yours"
        )
    if is_writable_by_others(status):
        raise InvalidParameterError(f"other users may write to {path} ({_mode(status)}); run 'chmod go-w' on it")


def check_own_directory(path: Path, status: os.stat_result) -> None:
    """Check that a path is a directory of this user.

    Raises:
        InvalidParameterError: It is not; the message says what to do.
    """
    if not stat.S_ISDIR(status.st_mode):
        raise InvalidParameterError(
            f"{path} is no directory; remove it, or name another data directory (--data, local(data))"
        )
    if status.st_uid != os.geteuid():
        raise InvalidParameterError(foreign(path, status))


def is_readable_by_others(status: os.stat_result) -> bool:
    """Return whether other users can read a file, or look into a directory."""
    return bool(status.st_mode & _OTHERS)


def _check_directory(path: Path, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise InvalidParameterError(
            f"{path} is a symbolic link; name the directory that it leads to (--data, local(data))"
        )
    check_own_directory(path, status)
    if is_writable_by_others(status):
        raise InvalidParameterError(
            f"other users may write to {path} ({_mode(status)}), so it may be a trap; if all in it is yours, run "
            "'chmod 700' on it"
        )


def _check_secret(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InvalidParameterError(f"{path} is no regular file, so it may be a trap; remove it")
    if status.st_uid != os.geteuid():
        raise InvalidParameterError(f"{path} belongs to {owner(status.st_uid)}, so it may be a trap; remove it")
    if status.st_mode & _OTHERS:
        raise InvalidParameterError(
            f"other users may use the secrets in {path} ({_mode(status)}); remove it and start the server again"
        )


def foreign(path: Path, status: os.stat_result) -> str:
    """Return why a directory of another user is not used."""
    return (
        f"{path} belongs to {owner(status.st_uid)}, so it may be a trap; name a directory of yours (--data, "
        "local(data)), or a server with STORAGE_ENDPOINT, or work elsewhere"
    )


def owner(uid: int) -> str:
    """Return the name of a user for messages."""
    return "root" if uid == 0 else f"the user with id {uid}"


def _mode(status: os.stat_result) -> str:
    return f"mode {stat.S_IMODE(status.st_mode):04o}"
