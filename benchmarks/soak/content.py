"""Content of objects: bytes that are unique to their name, and can be made again from it."""

from __future__ import annotations

import hashlib
import random

KiB, MiB = 1 << 10, 1 << 20
SIZES = (0, 100, 4 * KiB, 15 * KiB, 17 * KiB, 70 * KiB, 300 * KiB, 2 * MiB, 5 * MiB)
"""Below and above the limits of bytes in the index, in one message, and in one block."""


def content(name: str, size: int) -> bytes:
    """Return `size` bytes that are unique to this name."""
    return random.Random(name).randbytes(size)


def state(data: bytes) -> str:
    """Return the form of `data` in a journal: its size and a part of its digest."""
    return f"{len(data)}:{hashlib.sha256(data).hexdigest()[:24]}"
