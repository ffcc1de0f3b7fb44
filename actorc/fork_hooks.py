"""Resets objects in a forked child, before any of its own code runs.

Only the thread that forked exists in a child. A lock that another thread held at that moment is never released there,
other threads do not exist, and connections belong to the parent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

Owner = TypeVar("Owner")

_resets: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def in_child(owner: Owner, reset: Callable[[Owner], None]) -> None:
    """Call ``reset(owner)`` at the beginning of every forked child, in the order of these calls.

    Hooks of `os.register_at_fork` cannot be removed; this one is gone with its owner. Any thread may call it.

    Args:
        owner: Referenced weakly; it has one reset.
        reset: An unbound method or a function without a reference to `owner`; it must neither fail nor block.
    """
    _resets[owner] = reset


class ForkSafeLock:
    """A lock that is free in a forked child.

    Args:
        make: `threading.Lock`, `threading.RLock`, or what returns a semaphore.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[object]] = threading.Lock) -> None:
        self._make = make
        self._renew()
        in_child(self, ForkSafeLock._renew)

    def held(self) -> AbstractContextManager[object]:
        """Return the lock, for ``with``; a block that was entered before a fork releases the one it entered."""
        return self._lock

    def _renew(self) -> None:
        self._lock = self._make()


def _reset_all() -> None:
    for owner, reset in list(_resets.items()):
        reset(owner)


os.register_at_fork(after_in_child=_reset_all)
