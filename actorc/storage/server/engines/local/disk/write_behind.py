"""Writes to one file on a thread of its own, so that the next bytes are received while the last ones are written."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Queue
from typing import Final

_WAITING: Final = 2
"""Pieces that may wait; the caller waits with a further one, so a slow disk slows the sender and fills no memory."""


class WriteBehind:
    """Writes pieces of one file, in order. For one thread at a time, which must call `finish` or `stop` in the end.

    The thread begins with the first piece. A piece must not change before it is written.

    Args:
        write: Writes a piece at an offset; called on the thread.
    """

    def __init__(self, write: Callable[[bytes | memoryview, int], None]) -> None:
        self._write = write
        self._pieces: Queue[tuple[bytes | memoryview, int] | None] = Queue(_WAITING)
        self._thread: threading.Thread | None = None
        # set by the thread and read by the caller, without a lock: after `stop` joined it, or a piece later
        self._error: BaseException | None = None

    def put(self, data: bytes | memoryview, offset: int) -> None:
        """Write a piece soon; wait while too many others do.

        Raises:
            OSError: An earlier piece could not be written; no later one is.
        """
        self._check()
        if self._thread is None:
            # daemon: what is staged when the process ends is never published, and swept by the next one
            thread = threading.Thread(target=self._run, name="storage-write", daemon=True)
            thread.start()
            self._thread = thread
        self._pieces.put((data, offset))

    def finish(self) -> None:
        """Wait until all pieces are written, and end the thread.

        Raises:
            OSError: One of them could not be written.
        """
        self._end()
        self._check()

    def stop(self) -> None:
        """End the thread without writing what waits. Never raises."""
        # the thread skips what follows an error
        self._error = self._error or InterruptedError()
        self._end()

    def _end(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._pieces.put(None)
            # joined, since the caller closes the descriptor next, whose number another file may get
            thread.join()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self._error is None:
                try:
                    self._write(*piece)
                except BaseException as error:  # noqa: BLE001  # raised again on the thread that waits
                    self._error = error
