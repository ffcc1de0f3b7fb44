"""Leases: no process evicts a copy that a step of another process reads, however long the step takes.

A copy in use is one locked byte of a file, at an offset that follows from its digest: any number of them costs one file
descriptor and no byte on a disk that may be full. A second byte for each digest is locked by the process that fetches
the copy. The kernel releases the locks of a process when it ends, even by a signal.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from actorc.storage.context_variables import Bound
from actorc.storage.files import file_locks

logger = logging.getLogger(__name__)

NAME: Final = ".leases"
_DIGITS: Final = 15
"""Hexadecimal digits of an address that make an offset; 16 would not fit into a signed 64-bit file offset."""
_FETCHES: Final = 16**_DIGITS
"""Offset of the bytes that are locked while a copy is fetched, above those of the leases."""
_POLL_SECONDS: Final = 0.02
_TAKEN: Final = (errno.EACCES, errno.EAGAIN)
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC

_known: dict[tuple[int, int, int], Leases] = {}
"""By process, device and inode of the root; a forked child does not inherit the locks of its parent."""
_step: ContextVar[Holder | None] = ContextVar("lucas_storage_leases", default=None)


class Leases:
    """The copies of one cache that this process uses. Safe to share between threads; a forked child makes its own.

    There must be one of them for a cache and process: the kernel counts these locks by process, and closing any
    descriptor of the file releases all of them. So it is never closed.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / NAME
        # Guards the counts together with the locks in the kernel: between the two another thread could evict.
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
        """Yield whether a copy is unused; if so, it stays unused until the body ends, which should be short."""
        with self._lock:  # the kernel's lock does not keep out threads of this process
            free = not self._counts[address] and self._lock_byte(address, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._counts[address]:
                del self._counts[address]
            try:
                yield free
            finally:
                if free:
                    self._lock_byte(address, fcntl.LOCK_UN)

    @contextlib.contextmanager
    def fetching(self, address: str, seconds: float) -> Iterator[None]:
        """Keep other processes that ask for the same from fetching a copy until the body ends.

        Waits for another one that does, but no longer than `seconds`: a process that was stopped must not stop all
        others, and two that fetch the same do no harm.
        """
        deadline = time.monotonic() + seconds
        while not (is_locked := self._try_to_fetch(address)) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)  # the kernel's own waiting has no limit
        try:
            yield
        finally:
            if is_locked:
                with self._lock:
                    self._lock_byte(address, fcntl.LOCK_UN, _FETCHES)

    def _try_to_fetch(self, address: str) -> bool:
        with self._lock:
            return self._lock_byte(address, fcntl.LOCK_EX | fcntl.LOCK_NB, _FETCHES)

    def _lock_byte(self, address: str, how: int, above: int = 0) -> bool:
        try:
            fcntl.lockf(self._opened(), how, 1, above + _offset(address))
            self.are_shared = True
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            # A file system without locks must not fail a step that only reads: eviction goes by age instead.
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
        """Return the file, open; if it was removed, a new one with the same bytes locked."""
        if self._file is not None and file_locks.is_same_file(self._path, self._file):
            return self._file
        self._file = os.open(self._path, _FLAGS, 0o600)
        os.utime(self._file)  # cleaners of temporary directories remove old files first
        for address in self._counts:
            fcntl.lockf(self._file, fcntl.LOCK_SH, 1, _offset(address))
        return self._file


class Holder:
    """The leases of one step, or of one handle, each taken once and all released together. Safe to share by threads.

    It also knows which files it was handed, since a path may lead to another file by the time it is returned.
    """

    def __init__(self) -> None:
        self._held: set[tuple[Leases, str]] = set()
        self._handed: dict[str, int] = {}
        # Guards what is held: a lease that two threads took would be released once, and its copy never removed.
        self._lock = threading.Lock()

    def hold(self, leases: Leases, address: str) -> None:
        """Keep a copy until `release`."""
        with self._lock:
            if (leases, address) not in self._held:
                leases.hold(address)
                self._held.add((leases, address))

    def note(self, path: Path) -> bool:
        """Remember which file or directory a path leads to; return False if it leads nowhere."""
        try:
            self._handed[os.fspath(path)] = os.lstat(path).st_ino
        except FileNotFoundError:
            return False
        return True

    def is_replaced(self, path: Path) -> bool:
        """Return whether a path that was noted leads to another file or directory by now, or nowhere."""
        before = self._handed.get(os.path.abspath(path))  # noqa: PTH100 -- resolving would lose the name
        try:
            return before is not None and os.lstat(path).st_ino != before
        except FileNotFoundError:
            return True

    def release(self) -> None:
        """Release all leases."""
        # Taken out under the lock and released outside it: a release calls the kernel.
        with self._lock:
            held, self._held = self._held, set()
            self._handed = {}
        for leases, address in held:
            leases.release(address)


def step() -> contextlib.AbstractContextManager[None]:
    """Keep the copies that `hold` takes meanwhile until the block ends."""
    return _Step()


class _Step(Bound[Holder | None]):
    """The block of `step`."""

    __slots__ = ("_holder",)

    def __init__(self) -> None:
        self._holder = Holder()
        super().__init__(_step, self._holder)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._holder.release()


def hold(leases: Leases, address: str, otherwise: Holder) -> None:
    """Keep a copy for as long as the present step runs; outside one, until `otherwise` is released."""
    holder_of_step(otherwise).hold(leases, address)


def holder_of_step(otherwise: Holder) -> Holder:
    """Return the leases of the present step; outside one, `otherwise`."""
    return _step.get() or otherwise


def leases_of(root: Path) -> Leases:
    """Return the leases of this process on the cache in a directory, the same ones for every path that leads to it."""
    status = os.stat(root)  # noqa: PTH116 -- at every hand-out
    return _known.setdefault((os.getpid(), status.st_dev, status.st_ino), Leases(root))


def _offset(address: str) -> int:
    return int(address.rpartition(":")[2][:_DIGITS], 16)
