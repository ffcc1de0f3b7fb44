"""An iterator whose items are made ahead, on a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

_Waiting: TypeAlias = "queue.Queue[bytes | BaseException | None]"

_DEPTH: Final = 8
"""Pieces that may wait to be consumed."""
_POLL: Final = 0.5
"""Seconds between two checks whether the consumer of a full queue is gone."""


@contextmanager
def prefetched(pieces: Iterable[bytes]) -> Iterator[Iterator[bytes]]:
    """Yield an iterator over `pieces`, which are made on another thread.

    obstore consumes the iterator inside a call, from where it cannot be called again, as these pieces may need it.
    """
    waiting: _Waiting = queue.Queue(_DEPTH)
    stopped = threading.Event()

    def make() -> None:
        try:
            for piece in pieces:
                if not _put(waiting, piece, stopped):
                    return
            _put(waiting, None, stopped)
        except BaseException as error:  # noqa: BLE001 - raised where the pieces are taken
            _put(waiting, error, stopped)

    # daemon: it may be waiting for the store when the process ends
    thread = threading.Thread(target=make, name="store-ahead", daemon=True)
    thread.start()
    try:
        yield _consume(waiting)
    finally:
        # the thread ends before the block does, since the caller then closes what the pieces are read from
        stopped.set()
        thread.join()


def _put(waiting: _Waiting, item: bytes | BaseException | None, stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            # never for ever: the consumer may have stopped taking pieces
            waiting.put(item, timeout=_POLL)
        except queue.Full:
            continue
        return True
    return False


def _consume(waiting: _Waiting) -> Iterator[bytes]:
    while (item := waiting.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item
