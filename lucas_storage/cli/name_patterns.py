"""Patterns of names with slashes: ``*``, ``?`` and ``[…]`` within a segment, ``**`` for any number of segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

ANY_DEPTH: Final = "**"
"""The segment of a pattern that stands for any number of segments."""


def matches(name: str, pattern: str) -> bool:
    """Return whether the whole name is like the pattern."""
    segments = name.split("/")
    return len(segments) in matched_lengths(segments, pattern.split("/"))


def matched_lengths(names: Sequence[str], pattern: Sequence[str]) -> Iterator[int]:
    """Yield how many of the first segments of a name the pattern is like, for each number that there is, ascending.

    The time is that of the segments times those of the pattern: a key chosen by a stranger may have a thousand, and
    trying each place of each ``**`` would not end.
    """
    places = _with_skips({0}, pattern)
    for length, name in enumerate(names):
        if len(pattern) in places:
            yield length
        stays = {place for place in places if place < len(pattern) and pattern[place] == ANY_DEPTH}
        fits = {place for place in places - stays if place < len(pattern) and fnmatchcase(name, pattern[place])}
        places = _with_skips(stays | {place + 1 for place in fits}, pattern)
        if not places:
            return
    if len(pattern) in places:
        yield len(names)


def _with_skips(places: set[int], pattern: Sequence[str]) -> set[int]:
    """Return places in a pattern, and those behind a ``**`` at them, which stands for no segment, too."""
    found = set(places)
    for place, segment in enumerate(pattern):
        if place in found and segment == ANY_DEPTH:
            found.add(place + 1)
    return found
