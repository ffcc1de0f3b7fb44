"""Ranges of one object: which bytes they are, and which of them are read together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

Wanted: TypeAlias = tuple[int | None, int | None]
"""Start and end as those of a slice: None for the beginning and the end, negative ones counted from the end."""


class Range(NamedTuple):
    """Bytes ``start`` up to, not including, ``end``."""

    start: int
    end: int


def needs_size(wanted: Wanted) -> bool:
    """Return whether only the size of the object tells which bytes these are."""
    start, end = wanted
    return end is None or end < 0 or (start or 0) < 0


def resolved(wanted: Wanted, size: int) -> Range:
    """Return the bytes that are wanted of an object of this many bytes."""
    start, end, _ = slice(*wanted).indices(size)
    return Range(start, max(start, end))


def joined(ranges: Sequence[Range], gap: int) -> list[Range]:
    """Return ranges in order, of which those that overlap, touch, or are at most `gap` bytes apart are one."""
    joint: list[Range] = []
    for each in sorted(each for each in ranges if each.end > each.start):
        if joint and each.start <= joint[-1].end + gap:
            joint[-1] = Range(joint[-1].start, max(joint[-1].end, each.end))
        else:
            joint.append(each)
    return joint


def read(ranges: Sequence[Range], gap: int, fetch: Callable[[list[Range]], Sequence[bytes]]) -> list[bytes]:
    """Return the bytes of each range.

    Args:
        ranges: In any order; an empty one is not fetched.
        gap: Bytes between two of them up to which they are fetched as one.
        fetch: Returns the bytes of ranges that are in order and apart, fewer at the end of the object.
    """
    joint = joined(ranges, gap)
    fetched = dict(zip(joint, fetch(joint) if joint else (), strict=True))
    return [_cut(each, fetched) for each in ranges]


def _cut(part: Range, fetched: dict[Range, bytes]) -> bytes:
    for whole, data in fetched.items():
        if whole.start <= part.start and part.end <= whole.end:
            return data[part.start - whole.start : part.end - whole.start]
    return b""
