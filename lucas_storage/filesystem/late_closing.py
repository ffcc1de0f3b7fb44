"""Files that are closed by other threads while the program ends.

A thread that wants the interpreter's lock while the interpreter is shut down is ended by it, which a program in C++
cannot bear: pyarrow gives up its files on threads of its own, some time after a table was read, and where such a file
is one in Python, the whole program aborts instead of ending. So a program does not end before these files are closed.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from typing import Final

_PATIENCE: Final = 1.0
"""Seconds that the end of a program waits: a thread needs milliseconds, and a file may just be left open."""
_STEP: Final = 0.002
"""Seconds."""

_open: Final[set[int]] = set()
"""Identities of the files that threads other than the main one opened and did not close.

Without a lock, which a finalizer that runs within the block would wait for in vain; each change is one operation.
"""


def opened(file: object) -> None:
    """Note a file that the present thread opened."""
    if threading.current_thread() is not threading.main_thread():
        _open.add(id(file))


def closed(file: object) -> None:
    """Forget a file that is closed."""
    _open.discard(id(file))


def _wait() -> None:
    deadline = time.monotonic() + _PATIENCE
    while _open and time.monotonic() < deadline:
        # Polled: a finalizer that announced it would need a lock, see above.
        time.sleep(_STEP)


atexit.register(_wait)
# The threads that would close them are those of the parent.
os.register_at_fork(after_in_child=_open.clear)
