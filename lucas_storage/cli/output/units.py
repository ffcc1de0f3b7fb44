"""Numbers as people read them."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def human(size: int) -> str:
    """Return a number of bytes with a unit, exact where one decimal is."""
    unit = min(max(size.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    number = f"{size / (1 << 10 * unit):.1f}".removesuffix(".0")
    return f"{number} {_UNITS[unit]}"


def counted(number: int, what: str) -> str:
    """Return a number with a noun, such as ``1 object`` or ``2 objects``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
