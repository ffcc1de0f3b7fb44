"""Standard input that Ctrl-C interrupts at any moment."""

from __future__ import annotations

import fcntl
import io
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, cast

import click


class Interruptible:
    """A reader of a descriptor that may give no bytes for a long time. For the main thread.

    Python checks for signals before a system call, not during it: a signal in between would wait for the next byte,
    which may never come. Here each signal makes a socket readable, which ends the wait.

    Args:
        descriptor: The descriptor to read.
        woken: Socket that gets a byte with each signal.
    """

    def __init__(self, descriptor: int, woken: socket.socket) -> None:
        self._descriptor = descriptor
        self._woken = woken

    def read(self, size: int) -> bytes:
        """Return that many bytes, or fewer at the end; raises the exception of a signal handler."""
        pieces = bytearray()
        while len(pieces) < size and (piece := self._next(size - len(pieces))):
            pieces += piece
        return bytes(pieces)

    def _next(self, size: int) -> bytes:
        while True:
            ready, _, _ = select.select((self._descriptor, self._woken.fileno()), (), ())
            if self._descriptor in ready:
                return os.read(self._descriptor, size)
            # A signal came; its handler runs before the next wait, and what woke this one is taken off.
            with suppress(BlockingIOError):
                self._woken.recv(4096)


@contextmanager
def standard_input() -> Iterator[IO[bytes]]:
    """Yield standard input; a file as it is, so that an upload that failed can read it again.

    Raises:
        UsageError: It was closed, or is open for writing only.
    """
    whole = sys.stdin.buffer
    if not _may_be_read(whole):
        raise click.UsageError("standard input is closed; pipe what is to be stored into it, or name a file")
    # Reading a file never blocks for long, and Python runs signal handlers on the main thread only.
    if whole.seekable() or threading.current_thread() is not threading.main_thread():
        yield whole
        return
    woken, waking = socket.socketpair()
    with woken, waking:
        # Neither end may block: the interpreter writes into one in its signal handler, where waiting would not end.
        woken.settimeout(0)
        waking.settimeout(0)
        before = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        try:
            yield cast("IO[bytes]", Interruptible(whole.fileno(), woken))
        finally:
            signal.set_wakeup_fd(before)


def _may_be_read(stream: IO[bytes]) -> bool:
    """Tell whether a stream may be read, which Python takes for granted of the one with number 0."""
    try:
        return fcntl.fcntl(stream.fileno(), fcntl.F_GETFL) & os.O_ACCMODE != os.O_WRONLY
    except io.UnsupportedOperation:  # it is in memory
        return stream.readable()
