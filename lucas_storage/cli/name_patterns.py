"""Patterns of names with slashes: ``*``, ``?`` and ``[…]`` within a segment, ``**`` for any number of segments."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

ANY_DEPTH: Final = "**"
"""The segment of a pattern that stands for any number of segments."""


def matches(name: str, pattern: str) -> bool:
    """Return whether the whole name is like the pattern."""
    return segments_match(name.split("/"), pattern.split("/"))


def segments_match(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the segments of a name are like those of a pattern."""
    if not pattern:
        return not names
    if pattern[0] == ANY_DEPTH:
        return any(segments_match(names[skipped:], pattern[1:]) for skipped in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], pattern[0]) and segments_match(names[1:], pattern[1:])
