"""Standard input, the reading of which Ctrl-C always ends."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, cast


class Interruptible:
    """Bytes of a descriptor that may have none for a long time.

    Python looks for signals before it calls the system, not within: one that comes in between waits for the next byte,
    which may never come. Here the signal itself is something to read.

    Args:
        descriptor: Where bytes come from.
        woken: Where a byte comes with each signal.
    """

    def __init__(self, descriptor: int, woken: socket.socket) -> None:
        self._descriptor = descriptor
        self._woken = woken

    def read(self, size: int) -> bytes:
        """Return that many bytes, or fewer at the end; what the handler of a signal raises is raised."""
        pieces = bytearray()
        while len(pieces) < size and (piece := self._next(size - len(pieces))):
            pieces += piece
        return bytes(pieces)

    def _next(self, size: int) -> bytes:
        while True:
            ready, _, _ = select.select((self._descriptor, self._woken.fileno()), (), ())
            if self._descriptor in ready:
                return os.read(self._descriptor, size)
            with suppress(BlockingIOError):
                self._woken.recv(4096)


@contextmanager
def standard_input() -> Iterator[IO[bytes]]:
    """Offer standard input; where it is a file, as that, so that it can be read again."""
    whole = sys.stdin.buffer
    # a file never lets anybody wait, and only the main thread hears of signals
    if whole.seekable() or threading.current_thread() is not threading.main_thread():
        yield whole
        return
    woken, waking = socket.socketpair()
    with woken, waking:
        woken.settimeout(0)
        waking.settimeout(0)
        before = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        try:
            yield cast("IO[bytes]", Interruptible(whole.fileno(), woken))
        finally:
            signal.set_wakeup_fd(before)
