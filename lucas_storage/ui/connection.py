"""The handle of the store, made anew when its server is gone: another one may have come, at another address."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from actorc.storage.errors import DeadlineExceededError, NetworkError
from lucas_storage.storage import Storage

T = TypeVar("T")


class OpenedStore(NamedTuple):
    """A handle, and where its server keeps its data."""

    storage: Storage
    data: Path | None
    """The data directory; None if it is on another machine, or not known."""


Opener: TypeAlias = Callable[[], AbstractContextManager[OpenedStore]]
"""Opens the store with the settings that are in force at that moment; they hold until it is closed."""


class Connection:
    """A store that is opened again after its server was gone. Threads may share it.

    Args:
        opener: Opens the store.
    """

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        # Guards the two below: threads that find the server gone at the same time open the store once.
        self._lock = threading.Lock()
        self._opened: _Opened | None = None
        self._retired: list[_Opened] = []

    def run(self, call: Callable[[OpenedStore], T]) -> T:
        """Return what a function makes of the store, with its settings in force.

        Raises:
            StorageError: Of opening the store, or of the function. After one of an unreachable server the next call
                opens the store again.
        """
        opened = self._present()
        try:
            return opened.run(call)
        except (NetworkError, DeadlineExceededError):
            self._retire(opened)
            raise

    def close(self) -> None:
        """Close all that was opened."""
        with self._lock:
            retired, self._retired, opened, self._opened = self._retired, [], self._opened, None
        for each in (*retired, *([opened] if opened else [])):
            each.close()

    def _present(self) -> _Opened:
        with self._lock:
            if self._opened is None:
                self._opened = _Opened(self._opener)
            return self._opened

    def _retire(self, opened: _Opened) -> None:
        with self._lock:
            if self._opened is not opened:
                return
            self._opened = None
            # Other threads may still use it; each is one idle connection, and there are few.
            self._retired.append(opened)
            old, self._retired = self._retired[:-1], self._retired[-1:]
        for each in old:
            each.close()


class _Opened:
    """A store that is open, and the context in which its settings hold."""

    def __init__(self, opener: Opener) -> None:
        self._context = contextvars.copy_context()
        self._stack = ExitStack()
        self.store: OpenedStore = self._context.run(self._stack.enter_context, opener())

    def run(self, call: Callable[[OpenedStore], T]) -> T:
        # A copy, since a context can be entered by one thread at a time.
        return self._context.copy().run(call, self.store)

    def close(self) -> None:
        # In the context in which it was opened: settings are taken back where they were set.
        self._context.run(self._stack.close)
