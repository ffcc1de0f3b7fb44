"""What servers and programs of one user have in a data directory, beside the data: locks, address, signing key.

Locks end with their holder, so nothing here trusts a process id or a file that a killed process left behind.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from . import file_locks
from .errors import InvalidParameterError, StorageError
from .ownership import foreign, is_readable_by_others, open_directory, owner, read_secret, replace_private

DIRECTORY: Final = ".lucas-storage"
"""Name of the data directory that is looked for in the working directory and those above it."""
ENDPOINT_FILE: Final = "endpoint.json"
SERVER_LOCK: Final = ".server.lock"
SIGNING_KEY: Final = ".signing.key"


def make_private(path: Path) -> None:
    """Make a directory that is this user's alone, and one that others may look into so again.

    Raises:
        InvalidParameterError: It is another user's, or holds what another user has put there.
        OSError: It cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        _tighten(path)
    else:
        (path / ".gitignore").write_text("*\n")


def _tighten(path: Path) -> None:
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise InvalidParameterError(f"{path} is no directory; remove it, or name another place with --data")
    if status.st_uid != os.geteuid():
        raise InvalidParameterError(foreign(path, status))
    if not is_readable_by_others(status):
        return
    # first, so that nothing is added while it is looked through
    path.chmod(0o700)
    with os.scandir(path) as entries:
        for entry in entries:
            found = entry.stat(follow_symlinks=False)
            if found.st_uid != os.geteuid():
                raise InvalidParameterError(
                    f"{entry.path} belongs to {owner(found.st_uid)}, who could write to {path}; remove what is not "
                    "yours, or name another place with --data"
                )


def signing_key(directory: Path) -> Path:
    """Return the file with a directory's signing key, made the first time."""
    path = directory / SIGNING_KEY
    # a server and who starts one may both be the first
    with file_locks.locked(directory):
        if not path.exists():
            replace_private(path, secrets.token_urlsafe(32) + "\n", durable=True)
    return path


@contextmanager
def published(path: Path, told: Mapping[str, Any]) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Let a file say this while the block runs, for this user's eyes only, and never seen half-written.

    Yields:
        What lets it say something else from then on.
    """
    ours = (0, 0)

    def tell(news: Mapping[str, Any]) -> None:
        nonlocal ours
        replace_private(path, json.dumps(news))
        ours = _identity(path)

    tell(told)
    try:
        yield tell
    finally:
        with suppress(OSError):
            # somebody else's may have taken its place
            if _identity(path) == ours:
                path.unlink()


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_ino, status.st_mtime_ns


@contextmanager
def serving(directory: Path, patience: float) -> Iterator[None]:
    """Be the server of a data directory while the block runs, and until the end of this process if it never ends.

    Args:
        directory: It must be there.
        patience: Seconds to wait for another server to end.

    Raises:
        StorageError: Another server has it.
        OSError: The lock cannot be made.
    """
    try:
        # also waits for readers, which hold the lock for a moment to see whether it is free
        lock = file_locks.open_within(patience, directory / SERVER_LOCK)
    except TimeoutError:
        raise StorageError(
            f"{directory} has a server already{_told_of(directory)}; use that one, stop it, or choose another data "
            "directory"
        ) from None
    try:
        # what a killed server left behind is true no longer
        (directory / ENDPOINT_FILE).unlink(missing_ok=True)
        yield
    finally:
        os.close(lock)


def _told_of(directory: Path) -> str:
    """Return in words what the server of a directory says of itself, if it does; for messages alone."""
    try:
        descriptor = open_directory(directory)
        try:
            told = json.loads(read_secret(directory / ENDPOINT_FILE, descriptor))
        finally:
            os.close(descriptor)
        return f", process {int(told['pid'])} on {told['endpoint']}"
    except (InvalidParameterError, OSError, ValueError, KeyError, TypeError):
        return ""
