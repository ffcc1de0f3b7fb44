"""Random identifiers, of calls and of what they change, of which many are made at once.

To ask the system for randomness lets go of the interpreter's lock, and among many threads each waits to get it back.
"""

from __future__ import annotations

import os
from typing import Final

_DIGITS: Final = 32
_AT_ONCE: Final = 64

_made: list[str] = []
"""Those that nobody has yet; no lock guards it, since each method of a list that is used here is one step."""


def random_id() -> str:
    """Return 32 hexadecimal digits that no other call returns, in no process. Safe to call from any thread.

    They are drawn from the system's generator, and so cannot be foreseen from earlier ones.
    """
    try:
        return _made.pop()
    except IndexError:
        digits = os.urandom(_AT_ONCE * _DIGITS // 2).hex()
        own, *others = [digits[at : at + _DIGITS] for at in range(0, len(digits), _DIGITS)]
        _made.extend(others)
        return own


# else a child would use those of its parent again
os.register_at_fork(after_in_child=_made.clear)
