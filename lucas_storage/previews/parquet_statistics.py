"""Nulls, smallest and largest values of all rows of a Parquet file, as its footer tells them; no row is read.

By our own reader of the footer: pyarrow ends the process where statistics are shorter than their type. What a footer
says is a claim of the program that wrote it.
Format: https://github.com/apache/parquet-format, ``Statistics`` in ``parquet.thrift``.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final

from lucas_storage.formats.tables.parquet_footer import BYTE_ARRAY, Chunk
from lucas_storage.preview_data import Column, cut

_NULLS, _HIGH, _LOW = 3, 5, 6
"""Fields of the statistics."""
_LETTERS: Final = {1: "<i", 2: "<q", 4: "<f", 5: "<d"}
"""How values of the physical types INT32, INT64, FLOAT and DOUBLE are written."""
_NUMBERS: Final = frozenset(("int8", "int16", "int32", "int64", "float", "double"))
"""Types whose values are those that the statistics have; of others, such as times, only the nulls are told."""
_TEXTS: Final = ("string", "large_string", "dictionary<values=string")
_VALUE: Final = 100
"""Characters of a value."""


@dataclass(slots=True)
class _Known:
    """What is known of a column; None once a row group lacks it."""

    nulls: int | None = 0
    low: Any = None
    high: Any = None
    has_ends: bool = True


def with_footer(columns: tuple[Column, ...], groups: Sequence[Sequence[Chunk]]) -> tuple[Column, ...]:
    """Return columns with the statistics of all rows, as far as the footer has them.

    Args:
        columns: The first columns of the table, with statistics of a sample.
        groups: The chunks of the file.
    """
    try:
        known = _known(chain.from_iterable(groups))
    except (TypeError, struct.error):
        return columns
    return tuple(_told(column, known.get(column.name)) for column in columns)


def _told(column: Column, known: _Known | None) -> Column:
    if known is None or known.nulls is None:
        return column
    kind_is_known = column.type in _NUMBERS or column.type.startswith(_TEXTS)
    if not (kind_is_known and known.has_ends and known.low is not None):
        return column
    return replace(column, nulls=known.nulls, low=_shown(known.low), high=_shown(known.high), whole=True)


def _known(chunks: Iterable[Chunk]) -> dict[str, _Known]:
    found: dict[str, _Known] = defaultdict(_Known)
    for chunk in chunks:
        if len(chunk.path) > 1:
            continue
        known = found[chunk.path[0]]
        nulls = chunk.statistics.get(_NULLS)
        known.nulls = known.nulls + nulls if known.nulls is not None and isinstance(nulls, int) and nulls >= 0 else None
        low, high = (_value(chunk.physical_type, chunk.statistics.get(field)) for field in (_LOW, _HIGH))
        if low is None or high is None:
            known.has_ends = False
        elif known.has_ends:
            known.low = low if known.low is None else min(known.low, low)
            known.high = high if known.high is None else max(known.high, high)
    return dict(found)


def _value(kind: int, data: Any) -> Any:
    """Return a value of the statistics; None if there is none, or it is of a type that is not told."""
    if not isinstance(data, memoryview):
        return None
    if kind == BYTE_ARRAY:
        return bytes(data[: 4 * _VALUE]).decode(errors="replace")
    # Plus zero, since the format has writers tell a zero as -0.0 and 0.0.
    return struct.unpack(_LETTERS[kind], data)[0] + 0 if kind in _LETTERS else None


def _shown(value: Any) -> str:
    return cut(str(value), _VALUE)
