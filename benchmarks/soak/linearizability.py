"""Linearizability check of the reads and writes of one object by several processes. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A read or a write of the one object.

    Attributes:
        value: What was written or read; every write writes another value.
        is_write: Whether it was a write.
        start: When the call began, by a clock that all processes share.
        finish: When it returned; infinite for a write whose outcome is unknown.
    """

    value: str
    is_write: bool
    start: float
    finish: float = math.inf


def violation(history: Iterable[Operation]) -> str | None:
    """Return why no order of the operations explains what was read, or None if there is one.

    Decided by zones, in O(n log n): the zone of a value lies between the first return and the last beginning of the
    operations that have it. Gibbons and Korach, "Testing Shared Memories", SIAM Journal on Computing 26 (1997).
    """
    groups: dict[str, list[Operation]] = defaultdict(list)
    for operation in history:
        groups[operation.value].append(operation)
    forward: list[tuple[float, float, str]] = []
    backward: list[tuple[float, float, str]] = []
    for value, group in groups.items():
        if reason := _unexplained(value, group):
            return reason
        returned, began = min(each.finish for each in group), max(each.start for each in group)
        if returned < began:
            forward.append((returned, began, value))
        else:
            backward.append((began, returned, value))
    return _conflict(sorted(forward), backward)


def _unexplained(value: str, group: list[Operation]) -> str | None:
    writes = [each for each in group if each.is_write]
    if len(writes) != 1:
        return f"{value} was read and {len(writes)} calls wrote it"
    if any(each.finish < writes[0].start for each in group):
        return f"{value} was read before it was written"
    return None


def _conflict(forward: list[tuple[float, float, str]], backward: list[tuple[float, float, str]]) -> str | None:
    for (_, end, first), (start, _, second) in pairwise(forward):
        if start < end:
            return f"{first} was still there when {second} had been, and the reverse"
    for begin, end, within in backward:
        for start, stop, around in forward:
            if start < begin and end < stop:
                return f"{within} came and went while {around} was there throughout"
    return None
