"""Statistics of the columns of a table, from a sample of its rows."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, TypeVar

from lucas_storage.formats.base import package
from lucas_storage.preview_data import Column, cut

from .number_statistics import histogram_of

T = TypeVar("T")

ROWS: Final = 10_000
"""Rows that are looked at."""
_FEW: Final = 20
"""Different values up to which the most frequent ones are told."""
_COMMON: Final = 5
_VALUE: Final = 100
"""Characters of a value."""
_CELL_BYTES: Final = 1 << 20
"""Mean bytes of a value up to which values are compared."""


def column_of(field: Any, values: Any | None) -> Column:
    """Return the statistics of a column; without its values, its name and type.

    Args:
        field: Name and type, of pyarrow.
        values: A sample of the column.
    """
    named = Column(name=cut(field.name), type=cut(str(field.type)))
    if values is None:
        return named
    column = replace(named, count=len(values), nulls=values.null_count)
    known = values.drop_null()
    # Values of megabytes would be copied, hashed and compared for a number that helps nobody.
    if not len(known) or known.nbytes > _CELL_BYTES * len(known):
        return column
    return _described(column, known)


def _described(column: Column, known: Any) -> Column:
    arrow = package("pyarrow", "arrow")
    types, kind = arrow.types, known.type
    if types.is_dictionary(kind):
        known = _known(arrow, lambda: known.cast(kind.value_type))
        if known is None:
            return column
        kind = known.type
    if types.is_nested(kind) or types.is_null(kind):
        return column
    column = replace(column, **_counted(arrow, known))
    if types.is_boolean(kind):
        return column
    low, high = _ends(arrow, known)
    column = replace(column, low=low, high=high)
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)):
        return column
    finite = [value for value in _floats(known) if math.isfinite(value)]
    mean = math.fsum(value / len(finite) for value in finite) if finite else None
    return replace(column, mean=mean, histogram=histogram_of(finite))


def _counted(arrow: Any, known: Any) -> dict[str, Any]:
    compute = package("pyarrow.compute", "arrow")
    counts = _known(arrow, lambda: compute.value_counts(known))
    if counts is None:
        return {}
    found: dict[str, Any] = {"distinct": len(counts)}
    if len(counts) <= _FEW and len(counts) < len(known):
        numbers = counts.field("counts").to_pylist()
        order = sorted(range(len(numbers)), key=lambda at: -numbers[at])[:_COMMON]
        values = counts.field("values")
        found["common"] = tuple((_text(values[at]), int(numbers[at])) for at in order)
    return found


def _ends(arrow: Any, known: Any) -> tuple[str | None, str | None]:
    compute = package("pyarrow.compute", "arrow")
    ends = _known(arrow, lambda: compute.min_max(known))
    return (None, None) if ends is None else (_text(ends["min"]), _text(ends["max"]))


def _floats(known: Any) -> Iterator[float]:
    for value in known.to_pylist():
        with contextlib.suppress(OverflowError, ValueError):
            yield float(value)


def _text(scalar: Any) -> str:
    try:
        return _shown(scalar.as_py())
    except (ValueError, ArithmeticError):  # a moment for which Python has no type
        return str(scalar.cast("string").as_py())[:_VALUE]


def _shown(value: Any) -> str:
    return cut(str(value[: _VALUE + 1] if isinstance(value, (str, bytes)) else value), _VALUE)


def _known(arrow: Any, make: Callable[[], T]) -> T | None:
    """Return a result, or None where pyarrow has no such function for the type, or its values are too many for it."""
    try:
        return make()
    except (arrow.ArrowException, NotImplementedError, ValueError, OverflowError):
        return None
