"""What servers and programs of one user have in a data directory, beside the data: locks, address, signing key.

Locks are ``flock``, which the kernel drops however their holder ends, so nothing here trusts a process id or a file
that a killed process left behind.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from .errors import InvalidParameterError, StorageError
from .ownership import foreign, is_readable_by_others, open_directory, owner, read_secret

DIRECTORY: Final = ".lucas-storage"
"""Name of the data directory that is looked for in the working directory and those above it."""
ENDPOINT_FILE: Final = "endpoint.json"
SERVER_LOCK: Final = ".server.lock"
SIGNING_KEY: Final = ".signing.key"

_POLL: Final = 0.02


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
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # a server and who starts one may both be the first
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not path.exists():
            _replace(path, secrets.token_urlsafe(32) + "\n", durable=True)
    finally:
        os.close(descriptor)
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
        _replace(path, json.dumps(news))
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
    deadline = time.monotonic() + patience
    # readers hold the lock for a moment to see whether it is free, so one look is not enough
    while (lock := try_lock(directory / SERVER_LOCK, fcntl.LOCK_EX)) is None:
        if time.monotonic() > deadline:
            raise StorageError(
                f"{directory} has a server already{_told_of(directory)}; use that one, stop it, or choose another data "
                "directory"
            )
        time.sleep(_POLL)
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


def try_lock(path: Path, kind: int) -> int | None:
    """Return the open descriptor that holds a lock of a kind of `fcntl.flock`, or None if another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _replace(path: Path, text: str, *, durable: bool = False) -> None:
    # mkstemp makes files of mode 0600, so that nobody else reads a secret at any moment
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name.lstrip('.')}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
