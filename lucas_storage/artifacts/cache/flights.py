"""Flights: a copy that several threads and processes ask for at once is fetched by one of them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from .leases import Leases

PATIENCE: Final = 60.0
"""Seconds to wait for another process that fetches the same copy."""
SLOWEST: Final = 1 << 20
"""Bytes a second that such a process is expected to fetch at least; it is waited for so much longer."""


class Flights:
    """The copies of one cache that are being fetched. Safe to share between threads; a forked child makes its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # One lock for each address that is being fetched; `_lock` guards the table. Weak: a lock is forgotten when no
        # thread has it or waits for it, and not before.
        self._flights: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()

    def found_or_made(
        self,
        address: str,
        size: int,
        find: Callable[[], Path | None],
        make: Callable[[], Path],
        leases: Callable[[], Leases],
    ) -> Path:
        """Return the copy that `find` finds, else the one that `make` makes.

        Args:
            address: Address of the copy.
            size: Its bytes; no process waits for ever for another one that makes it.
            find: Returns the copy if it is there.
            make: Makes it.
            leases: Returns the locks that other processes see.
        """
        with self.alone(address):
            found = find()
            if found is not None:
                return found
            with leases().fetching(address, PATIENCE + size / SLOWEST):
                # Once more, since another process may have made it before this one got its turn.
                return find() or make()

    @contextlib.contextmanager
    def alone(self, address: str) -> Iterator[None]:
        """Let one thread of this process at a time run the body for an address."""
        with self._lock:
            lock = self._flights.setdefault(address, threading.Lock())
        with lock:
            yield
