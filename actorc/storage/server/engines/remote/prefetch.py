"""An iterator that is a little ahead of whoever takes from it, on a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

_Waiting: TypeAlias = "queue.Queue[bytes | BaseException | None]"

_DEPTH: Final = 8
"""Pieces that wait to be taken."""
_POLL: Final = 0.5
"""Seconds after which a full queue is looked at again, in case nobody takes from it any more."""


@contextmanager
def ahead(pieces: Iterable[bytes]) -> Iterator[Iterator[bytes]]:
    """Lend an iterator over `pieces`, which are made on another thread.

    obstore calls an iterator that it sends while it waits itself, and cannot be called from there.
    """
    waiting: _Waiting = queue.Queue(_DEPTH)
    left = threading.Event()

    def make() -> None:
        try:
            for piece in pieces:
                if not _put(waiting, piece, left):
                    return
            _put(waiting, None, left)
        except BaseException as error:  # noqa: BLE001 - raised where the pieces are taken
            _put(waiting, error, left)

    thread = threading.Thread(target=make, name="store-ahead", daemon=True)
    thread.start()
    try:
        yield _taken(waiting)
    finally:
        left.set()
        thread.join()


def _put(waiting: _Waiting, item: bytes | BaseException | None, left: threading.Event) -> bool:
    while not left.is_set():
        try:
            waiting.put(item, timeout=_POLL)
        except queue.Full:
            continue
        return True
    return False


def _taken(waiting: _Waiting) -> Iterator[bytes]:
    while (item := waiting.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item
