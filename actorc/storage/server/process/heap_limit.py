"""The number of heaps of a process that serves."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from typing import Final

_ARENA_MAX: Final = -8
"""``M_ARENA_MAX`` of glibc's malloc.h."""
_HEAPS: Final = 4
_SETTINGS: Final = ("MALLOC_ARENA_MAX", "MALLOC_ARENA_TEST", "GLIBC_TUNABLES")


def limit_heaps() -> None:
    """Let all threads share four heaps, unless the environment says how many there are.

    By default glibc gives eight heaps to each processor. Ten uploads spread their frames over as many, and each keeps
    what it had at its peak: 150 MiB in place of 90. Four serve sixteen threads with small calls as fast as any number.
    """
    if sys.platform != "linux" or any(map(os.environ.get, _SETTINGS)):
        return
    # other C libraries have no such call, or ignore it
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _HEAPS)
