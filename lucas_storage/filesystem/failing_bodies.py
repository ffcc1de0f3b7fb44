"""``with`` statements that are being left because their body raised.

A file that is written must not be published when the body of its ``with`` raises. Python tells that to the
`__exit__` of the file. But programs seldom enter the file itself: `fsspec.open`, pandas and others enter an object of
theirs, whose `__exit__` calls `close` of the file, whether the body raised or not. So `close` looks for itself.
"""

from __future__ import annotations

import dis
import sys
from types import FrameType
from typing import Final

_CALLS_EXIT: Final = dis.opmap.get("WITH_EXCEPT_START")
"""The instruction by which CPython calls `__exit__` with an exception; with other interpreters nothing is found."""


def count() -> int:
    """Return how many ``with`` statements this thread is leaving at this moment because their bodies raised.

    More of them when a file is closed than when it was opened: the file is closed because of an error. A `close` in an
    ``except`` or ``finally`` clause is none of them, and is what its writer meant.
    """
    # Nearly always there is no exception, and nothing to look through.
    if sys.exc_info()[1] is None:
        return 0
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # documented; the call stack is what is asked about
    found = 0
    while frame is not None:
        found += frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == _CALLS_EXIT
        frame = frame.f_back
    return found
