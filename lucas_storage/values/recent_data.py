"""Plain data that steps of a run stored lately, in memory, so that the steps after them need not decode it.

Only for a run within one process, and until it ends: a worker that waits for calls keeps nothing. What is handed out is
a copy, equal to what decoding the artifact gives; nothing else of an artifact's life depends on it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from actorc.storage.context_variables import bound
from lucas_storage.formats.json_data.plain_data import copier
from lucas_storage.refs import ArtifactRef

MOST: Final = 32 << 20
"""Bytes of encoded data that a run keeps; as Python objects they take five to eight times as much."""


class RecentData:
    """Plain data by the digests of its artifacts, the last used at the end. For any number of threads.

    Args:
        most: Bytes of encoded data that are kept at the same time.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._size = 0
        self._kept: OrderedDict[str, tuple[int, Any, Callable[[Any], Any]]] = OrderedDict()
        # Steps of a run end at the same time.
        self._lock = threading.Lock()

    def keep(self, ref: ArtifactRef, value: Any, copy: Callable[[Any], Any]) -> None:
        """Keep the data of an artifact; what was used least lately makes room for it.

        Args:
            ref: Of the artifact; one without a digest is not kept.
            value: Its data, which belongs to nobody else.
            copy: Copies it, as `lucas_storage.formats.json_data.plain_data.copier` does.
        """
        if ref.digest is None or ref.size > self._most:
            return
        with self._lock:
            if ref.digest not in self._kept:
                self._size += ref.size
            self._kept[ref.digest] = (ref.size, value, copy)
            while self._size > self._most:
                _, (size, _, _) = self._kept.popitem(last=False)
                self._size -= size

    def copy_of(self, ref: ArtifactRef) -> Any | None:
        """Return a copy of the data of an artifact, or None if it is not kept."""
        with self._lock:
            found = self._kept.get(ref.digest or "")
            if found is None:
                return None
            self._kept.move_to_end(ref.digest or "")
        _, value, copy = found
        return copy(value)

    def clear(self) -> None:
        """Keep nothing any more; threads that outlive the run may still refer to this object."""
        with self._lock:
            self._kept.clear()
            self._most = 0


_recent: ContextVar[RecentData | None] = ContextVar("lucas_storage_recent_data", default=None)


@contextmanager
def kept() -> Iterator[None]:
    """Keep plain data within the body, and what it calls on other threads; a body within another has the same data."""
    if _recent.get() is not None:
        yield
        return
    recent = RecentData()
    try:
        with bound(_recent, recent):
            yield
    finally:
        recent.clear()


def kept_after(store: Callable[[], ArtifactRef], value: Any, text: bytes) -> ArtifactRef:
    """Return the reference of exact data that `store` stores, and keep the data if there is a run to keep it for.

    Args:
        store: Stores the text.
        value: The data.
        text: Its JSON.
    """
    recent = _recent.get()
    if recent is None:
        return store()
    copy = copier(value, text)
    # Before it is stored, which takes long: the function that returned it may have left it to another thread.
    own = copy(value)
    ref = store()
    recent.keep(ref, own, copy)
    return ref


def copy_of(ref: ArtifactRef) -> Any | None:
    """Return a copy of the plain data of an artifact that this run stored lately, or None."""
    recent = _recent.get()
    return None if recent is None else recent.copy_of(ref)
