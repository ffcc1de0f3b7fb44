"""Differences of two texts, line by line, in time that a stranger's texts cannot drive up."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from typing import Final

from lucas_storage.preview_data import cut

_LINES: Final = 400
"""Lines of a diff."""
_COLUMNS: Final = 1000
"""Characters of a line."""
_COMPARED: Final = 1500
"""Lines between the equal beginning and the equal end up to which they are matched: it takes time with their square."""
_CONTEXT: Final = 3
_HUNK: Final = re.compile(r"@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@")


def changed_lines(before: str, after: str, first: tuple[int, int] = (1, 1)) -> tuple[str, ...]:
    """Return the lines of a unified diff of two texts, without its header; empty if they are equal.

    Args:
        before: Any text.
        after: Another one.
        first: The numbers of their first lines.
    """
    if before == after:
        return ()
    ours, theirs = before.splitlines(), after.splitlines()
    head = _same(ours, theirs)
    rest = min(len(ours), len(theirs)) - head
    tail = _same(list(islice(reversed(ours), rest)), list(islice(reversed(theirs), rest)))
    begin, end = max(0, head - _CONTEXT), max(0, tail - _CONTEXT)
    middle = ours[begin : len(ours) - end], theirs[begin : len(theirs) - end]
    diff = _matched(*middle) if max(map(len, middle)) <= _COMPARED else _unmatched(*middle)
    moved = begin + first[0] - 1, begin + first[1] - 1
    lines = [cut(_moved(line, moved), _COLUMNS) for line in islice(diff, _LINES + 1)]
    # Line ends and a last line without one are all that differs.
    return (*lines[:_LINES], *(["…"] if len(lines) > _LINES else [])) or ("\\ the line ends differ",)


def _same(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Return the number of lines at the beginning that are equal."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs, strict=False)))


def _matched(ours: list[str], theirs: list[str]) -> Iterator[str]:
    # Its first two lines name files.
    return islice(difflib.unified_diff(ours, theirs, lineterm="", n=_CONTEXT), 2, None)


def _unmatched(ours: list[str], theirs: list[str]) -> Iterator[str]:
    yield f"@@ -1,{len(ours)} +1,{len(theirs)} @@"
    half = _LINES // 2
    yield from (f"-{line}" for line in ours[:half])
    yield from (f"+{line}" for line in theirs[:half])
    yield "…"


def _moved(line: str, begin: tuple[int, int]) -> str:
    """Return a line of a diff; of the beginning of a hunk with the numbers of the lines in the whole texts."""
    hunk = _HUNK.fullmatch(line)
    if hunk is None:
        return line
    return f"@@ -{int(hunk[1]) + begin[0]}{hunk[2] or ''} +{int(hunk[3]) + begin[1]}{hunk[4] or ''} @@"
