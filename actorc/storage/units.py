"""Parsing and formatting of sizes and durations with units.

Errors are ValueErrors with only the rule: the reader of a setting adds its name and origin, and the reader of an option
adds the value.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Final

_SIZE: Final = re.compile(r"([0-9]{1,19})(?:\.([0-9]{1,9}))?\s*((?:[kmgtpe]i?)?)b?", re.IGNORECASE)
_BYTES: Final[dict[str, int]] = {"": 1} | {
    letter + binary: base**power
    for power, letter in enumerate("kmgtpe", 1)
    for binary, base in (("", 1000), ("i", 1024))
}
_SHOWN: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


def size(value: object) -> int:
    """Return a number of bytes, from a whole number or a text with a unit.

    A unit is a letter of ``KMGTPE``: with ``i`` behind it a power of 1024 (``64KiB``, ``512Mi``), without one of 1000
    (``5GB``, ``1.5G``). Case and the final ``B`` do not matter, and a part of a byte is dropped.

    Raises:
        ValueError: It is no such number.
    """
    if type(value) is int and value >= 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a number of bytes, such as 4096, 10MiB or 5GB")
    whole, part, unit = match.groups(default="")
    return int(f"{whole}{part}") * _BYTES[unit.lower()] // int(f"1{'0' * len(part)}")


def shown_size(size: int) -> str:
    """Return a number of bytes with a unit of 1024, exact where one decimal is."""
    power = min(max(size.bit_length() - 1, 0) // 10, len(_SHOWN) - 1)
    number = f"{size / (1 << 10 * power):.1f}".removesuffix(".0")
    return f"{number} {_SHOWN[power]}"


def seconds(value: object) -> float:
    """Return a duration in seconds, from a number of seconds, a timedelta, or text with or without a unit.

    Units are ``s``, ``m``, ``h`` and ``d``; case does not matter.

    Raises:
        ValueError: It is no such length, is negative, or does not end.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    found = _parsed(value.strip().lower()) if isinstance(value, str) else value
    if type(found) not in (int, float) or not 0 <= found < math.inf:  # type: ignore[operator]  # a number, by type
        raise ValueError("a length of time, such as 90s, 15m, 48h or 30d")
    return float(found)  # type: ignore[arg-type]  # likewise


def _parsed(text: str) -> float:
    unit = text[-1:] if text[-1:] in _SECONDS else ""
    try:
        return float(text.removesuffix(unit)) * _SECONDS.get(unit, 1)
    except ValueError:
        # refused by the caller's comparison, like every number out of range
        return math.nan
