"""Which copies of a cache are in use: nobody removes what a step reads, however long that takes.

A copy in use is one byte of a file that is locked, at a place that follows from its digest: any number of them costs
one file descriptor and no byte on a disk that may be full. The kernel lets go of the locks of a process when it ends,
however that happens.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

NAME: Final = ".leases"
_DIGITS: Final = 15
"""Hexadecimal digits of an address that make a place; more would not fit into a file offset."""
_TAKEN: Final = (errno.EACCES, errno.EAGAIN)
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC

_known: dict[tuple[int, int, int], Leases] = {}
"""By process, device and inode of the root; in a forked child those of its parent are not its own."""
_step: ContextVar[Holder | None] = ContextVar("lucas_storage_leases", default=None)


class Leases:
    """The copies of one cache that this process uses. Safe to share between threads; a forked child makes its own.

    There must be one of them for a cache and process: the kernel knows locks by process, and closing any descriptor of
    the file lets go of all. So it is never closed.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / NAME
        self._lock = threading.Lock()
        self._file: int | None = None
        self._counts: Counter[str] = Counter()
        self._warned = False
        self.are_shared = True
        """Whether other processes see them; not on a file system without locks."""

    def hold(self, address: str) -> None:
        """Keep a copy, whether it is there or not, from being removed until `release`."""
        with self._lock:
            self._counts[address] += 1
            if self._counts[address] == 1:
                self._lock_byte(address, fcntl.LOCK_SH)

    def release(self, address: str) -> None:
        """Take back one `hold`."""
        with self._lock:
            self._counts[address] -= 1
            if self._counts[address] <= 0:
                del self._counts[address]
                self._lock_byte(address, fcntl.LOCK_UN)

    @contextlib.contextmanager
    def unused(self, address: str) -> Iterator[bool]:
        """Say whether nobody uses a copy; if so, nobody begins to before the body ends, which should be short."""
        with self._lock:  # the kernel's lock does not keep out threads of this process
            free = not self._counts[address] and self._lock_byte(address, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._counts[address]:
                del self._counts[address]
            try:
                yield free
            finally:
                if free:
                    self._lock_byte(address, fcntl.LOCK_UN)

    def _lock_byte(self, address: str, how: int) -> bool:
        try:
            fcntl.lockf(self._opened(), how, 1, _place(address))
            self.are_shared = True
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            self.are_shared = False
            self._warn(error)
        return True

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "processes cannot tell each other what they read of the cache (%s); what was used within ten minutes "
                "is spared. Set LUCAS_STORAGE_CACHE to a directory on a local disk with room",
                error.strerror,
            )

    def _opened(self) -> int:
        """Return the file, open; another one after somebody removed it, with the same bytes locked."""
        if self._file is not None and _is_still(self._path, self._file):
            return self._file
        self._file = os.open(self._path, _FLAGS, 0o600)
        os.utime(self._file)  # whoever removes what is old should not begin here
        for address in self._counts:
            fcntl.lockf(self._file, fcntl.LOCK_SH, 1, _place(address))
        return self._file


class Holder:
    """What somebody uses until he is done with it."""

    def __init__(self) -> None:
        self._held: set[tuple[Leases, str]] = set()
        self._lock = threading.Lock()

    def hold(self, leases: Leases, address: str) -> None:
        """Keep a copy until `release`."""
        with self._lock:
            if (leases, address) not in self._held:
                leases.hold(address)
                self._held.add((leases, address))

    def release(self) -> None:
        """Let go of everything."""
        with self._lock:
            held, self._held = self._held, set()
        for leases, address in held:
            leases.release(address)


@contextlib.contextmanager
def step() -> Iterator[None]:
    """Keep until the end of the body what `hold` is asked for meanwhile."""
    holder = Holder()
    token = _step.set(holder)
    try:
        yield
    finally:
        _step.reset(token)
        holder.release()


def hold(leases: Leases, address: str, otherwise: Holder) -> None:
    """Keep a copy for as long as the present step runs; outside one, until `otherwise` lets go of it."""
    (_step.get() or otherwise).hold(leases, address)


def leases_of(root: Path) -> Leases:
    """Return what this process uses of the cache in a directory, whatever path leads to it."""
    status = os.stat(root)  # noqa: PTH116 -- at every hand-out
    return _known.setdefault((os.getpid(), status.st_dev, status.st_ino), Leases(root))


def _place(address: str) -> int:
    return int(address.rpartition(":")[2][:_DIGITS], 16)


def _is_still(path: Path, file: int) -> bool:
    try:
        named = os.lstat(path)
    except OSError:
        return False
    opened = os.fstat(file)
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)
