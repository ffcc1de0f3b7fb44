"""Lists of values in statements, of three lengths, so that few statements are prepared."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, TypeVar

LONGEST: Final = 100
_SHORT: Final = 10
_FEW: Final = LONGEST // 2
"""Values that take short lists; a long one of so few would be mostly padding."""

V = TypeVar("V", str, bytes)


class ListStatement:
    """A statement with a list of values, such as ``... WHERE key IN {}``.

    Args:
        text: The statement; a pair of braces stands for the list, behind all other parameters.
    """

    def __init__(self, text: str) -> None:
        self._texts = {length: text.format(f"({', '.join('?' * length)})") for length in (1, _SHORT, LONGEST)}

    def rows(
        self, connection: sqlite3.Connection, fixed: Sequence[object], values: Sequence[V]
    ) -> list[tuple[Any, ...]]:
        """Execute it for all values, as often as they need; return all rows.

        Args:
            connection: The connection.
            fixed: The parameters before the list.
            values: The list, of any length.
        """
        found: list[tuple[Any, ...]] = []
        at = 0
        while at < len(values):
            left = len(values) - at
            length = LONGEST if left > _FEW else _SHORT if left > 1 else 1
            group: Sequence[V] = values[at : at + length]
            # a short group is filled up by its last value; a row is found once, however often it is asked for
            padding: list[V] = [group[-1]] * (length - len(group))
            found += connection.execute(self._texts[length], (*fixed, *group, *padding)).fetchall()
            at += length
        return found
