"""Fields of what is stored: others may write into the store, and a field of another form must not fail a listing."""

from __future__ import annotations

from itertools import chain
from typing import Any, Final

from actorc.storage.rules import is_utf8

GREATEST_GENERATION: Final = (1 << 63) - 1
"""What a message can hold."""
LAST_US: Final = 253_402_300_799_999_999
"""Microseconds from 1970 to the end of the year 9999, the last that Python can name."""


def number(text: str, greatest: int, *, base: int = 10) -> int:
    """Return the number from 0 to `greatest` that a text has.

    Raises:
        ValueError: It has none.
    """
    found = int(text, base)
    if not 0 <= found <= greatest:
        raise ValueError("a stored number is out of its range")
    return found


def texts(found: Any) -> dict[str, str]:
    """Return a dict of texts that a message can hold.

    Raises:
        ValueError: It is another value.
    """
    if not isinstance(found, dict) or not all(
        isinstance(each, str) and is_utf8(each) for each in chain(*found.items())
    ):
        raise ValueError("stored names and texts are of another form")
    return found
