"""Bytes that can be told from all others, and made again from their name."""

from __future__ import annotations

import hashlib
import random

KiB, MiB = 1 << 10, 1 << 20
SIZES = (0, 100, 4 * KiB, 15 * KiB, 17 * KiB, 70 * KiB, 300 * KiB, 2 * MiB, 5 * MiB)
"""On both sides of what is inline in the index, in one message, and in one block."""


def content(name: str, size: int) -> bytes:
    """Return `size` bytes that only this name has."""
    return random.Random(name).randbytes(size)


def state(data: bytes) -> str:
    """Return what stands for `data` in a journal."""
    return f"{len(data)}:{hashlib.sha256(data).hexdigest()[:24]}"
