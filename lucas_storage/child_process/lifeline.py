"""A pipe by which a child process ends with its parent, however that ends, and takes its own children with it."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import threading
from typing import Final

_SET_SIGNAL: Final = getattr(fcntl, "F_SETSIG", 10)
"""The number in Linux; Python has no name for it before 3.13."""


def hold(end: int, *, by_kernel: bool) -> None:
    """Kill the process group of this process once nothing holds the other end of a pipe.

    Args:
        end: The end for reading, to which nothing is ever written.
        by_kernel: Whether the kernel sends the signal, as that of Linux can, which C code cannot delay.
    """
    os.set_inheritable(end, False)  # noqa: FBT003  # it takes it by position only
    if not by_kernel or not _is_held_by_kernel(end):
        threading.Thread(target=_wait, args=(end,), name="lucas-storage-lifeline", daemon=True).start()


def _is_held_by_kernel(end: int) -> bool:
    try:
        fcntl.fcntl(end, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(end, _SET_SIGNAL, signal.SIGKILL)
        fcntl.fcntl(end, fcntl.F_SETFL, fcntl.fcntl(end, fcntl.F_GETFL) | os.O_ASYNC)
    except OSError:  # a sandbox in the place of Linux
        return False
    # No signal is sent for an end that was closed before it was asked for.
    polled = select.poll()  # whatever its number: a program may have more than a thousand files open
    polled.register(end, select.POLLIN)
    if polled.poll(0):
        _wait(end)
    return True


def _wait(end: int) -> None:
    os.read(end, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)
