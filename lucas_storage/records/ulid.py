"""ULIDs: identifiers that sort by time, 48 bits of milliseconds and 80 random ones, in 26 characters of base 32."""

from __future__ import annotations

import os
import secrets
import threading
import time
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's; its order is that of ASCII."""
_RANDOM_BITS: Final = 80
_LENGTH: Final = 26
_SHIFTS: Final = range(5 * (_LENGTH - 1), -1, -5)

_lock = threading.Lock()
"""Guards `_last`, so that no two threads get the same identifier."""
_last = 0


def ulid() -> str:
    """Return a new identifier, greater than all that this process made before. Safe to call from any thread."""
    global _last  # noqa: PLW0603  # the last one, so that they grow within one millisecond
    moment = time.time_ns() // 1_000_000
    with _lock:
        # Within one millisecond, or after the clock was set back, one more than the last, so that order is kept.
        grown = moment > _last >> _RANDOM_BITS
        _last = (moment << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)) if grown else _last + 1
        number = _last
    return _text(number)


def first_at(moment: float) -> str:
    """Return the least identifier that can be made at a time, in seconds since 1970; all that are made later follow."""
    return _text(max(0, int(moment * 1000)) << _RANDOM_BITS)


def is_ulid(text: str) -> bool:
    """Return whether `text` has the form of an identifier of `ulid`."""
    return len(text) == _LENGTH and set(text) <= set(_ALPHABET)


def moment_of(text: str) -> float:
    """Return the time at which an identifier was made, in seconds since 1970."""
    number = 0
    for character in text:
        number = number << 5 | _ALPHABET.index(character)
    return (number >> _RANDOM_BITS) / 1000


def reversed_order(text: str) -> str:
    """Return another text for an identifier, in whose order the later ones come first; of that, the identifier."""
    return "".join(_ALPHABET[31 - _ALPHABET.index(character)] for character in text)


def _text(number: int) -> str:
    return "".join([_ALPHABET[number >> shift & 31] for shift in _SHIFTS])


def _forget() -> None:
    """Reset the state in a forked child: its parent continues with the same numbers, and may hold the lock."""
    global _lock, _last
    _lock, _last = threading.Lock(), 0


os.register_at_fork(after_in_child=_forget)
