"""Times and sizes as people write them: ``90s``, ``1h``, ``7d``; ``10MiB``, ``5MB``, or a bare number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import click

_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_BYTES: Final = {
    "": 1,
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
}
_QUANTITY: Final = re.compile(r"([0-9]{1,15}) ?([A-Za-z]*)")


def seconds(text: str) -> int:
    """Return the seconds that `text` stands for."""
    return _read(text, _SECONDS, "time; write it like 90s, 15m, 1h or 7d")


def size(text: str) -> int:
    """Return the bytes that `text` stands for."""
    return _read(text, _BYTES, "size; write it like 4096, 10MiB or 5GB")


def _read(text: str, units: Mapping[str, int], what: str) -> int:
    found = _QUANTITY.fullmatch(text.strip())
    if found is None or found[2].lower() not in units:
        raise click.BadParameter(f"{text!r} is no {what}")
    return int(found[1]) * units[found[2].lower()]
