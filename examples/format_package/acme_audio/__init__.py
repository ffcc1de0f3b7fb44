"""Recordings of one channel. Importing this imports nothing of lucas-storage."""

from __future__ import annotations

from array import array
from dataclasses import dataclass


@dataclass(frozen=True)
class Recording:
    """Samples of 16 bits, and their number per second."""

    samples: array[int]
    rate: int
