"""Locks on whole files between processes, with ``flock``.

A lock belongs to the open file, not to the process. The kernel releases it when the last descriptor of that open file
is closed, however its holder ends, so nothing here trusts a process id or a file that a killed process left behind. Two
descriptors that were opened apart exclude each other, also within one process. A forked child shares the open file, and
so the lock, until both have closed it; ``O_CLOEXEC`` keeps programs that a child runs from sharing it, too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SHARED: Final = fcntl.LOCK_SH
EXCLUSIVE: Final = fcntl.LOCK_EX

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_POLL_SECONDS: Final = 0.02
"""Pause between two attempts to lock a file."""


def lock(descriptor: int, kind: int = EXCLUSIVE) -> None:
    """Lock an open file; wait as long as another lock conflicts. A lock of the other kind is converted."""
    fcntl.flock(descriptor, kind)


def try_lock(descriptor: int, kind: int = EXCLUSIVE) -> bool:
    """Lock an open file without waiting; return False if another lock conflicts."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def try_open(path: Path, kind: int = EXCLUSIVE, *, mode: int = 0o600) -> int | None:
    """Open a file and lock it without waiting; return its descriptor, or None if another lock conflicts.

    Args:
        path: The file, made with `mode` if it is missing; a link is not followed.
        kind: `SHARED` or `EXCLUSIVE`.
        mode: Permissions of a new file.
    """
    descriptor = os.open(path, _FLAGS, mode)
    try:
        if try_lock(descriptor, kind):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def open_within(seconds: float, path: Path, kind: int = EXCLUSIVE) -> int:
    """Open a file and lock it, as `try_open` does, but wait for it; return its descriptor.

    Raises:
        TimeoutError: Another lock conflicted for so many seconds.
    """
    deadline = time.monotonic() + seconds
    # tried again and again, because flock itself waits without a limit
    while (descriptor := try_open(path, kind)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "another process keeps it locked", str(path))
        time.sleep(_POLL_SECONDS)
    return descriptor


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock a file, made if it is missing, within the block; wait for other processes and threads."""
    with _locked(os.open(path, _FLAGS, 0o600)):
        yield


@contextmanager
def locked_directory(path: Path) -> Iterator[None]:
    """Lock a directory within the block; wait for other processes and threads.

    Raises:
        OSError: There is no such directory; nothing is made.
    """
    with _locked(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)):
        yield


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    try:
        lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def is_same_file(path: Path, descriptor: int) -> bool:
    """Return whether `path`, itself no link, still names the open file; if not, a lock on that excludes nobody."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
