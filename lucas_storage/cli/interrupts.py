"""Ctrl-C: an exception while a command runs, so that it cleans up, and the end of the process before and after."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lucas_storage.cli.quiet_end import end_at_once

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise `KeyboardInterrupt` in the body, where this process is the program and not a part of another.

    Where Python runs a signal handler while it cannot raise, as in a finalizer, it would print the exception and go on;
    then the interruption is repeated.
    """
    if signal.getsignal(signal.SIGINT) is not end_at_once:
        yield
        return
    before, sys.unraisablehook = sys.unraisablehook, _repeat
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
    finally:
        signal.signal(signal.SIGINT, end_at_once)
        sys.unraisablehook = before


def _repeat(what: UnraisableHookArgs) -> None:
    if what.exc_type is KeyboardInterrupt:
        os.kill(os.getpid(), signal.SIGINT)
    else:
        sys.__unraisablehook__(what)
