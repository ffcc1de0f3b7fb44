"""Differences of two tables: their columns, their rows, and the values that changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from lucas_storage.formats.base import package
from lucas_storage.preview_data import cut
from lucas_storage.previews.table_sample import TableSample

from .difference import CHANGES, TEXT, Change, ContentDifference, counted

_EACH: Final = 5
"""Changed values of a column that are told."""
_SLOWLY: Final = 10_000
"""Rows of a column that are compared where pyarrow has no function for its type."""


def compared(before: TableSample, after: TableSample) -> ContentDifference:
    """Return how two tables differ, row by row, as far as their rows were read."""
    schema = list(_schema(before.schema, after.schema))
    summary = [_rows(before, after)] if before.rows != after.rows or before.rows is None else []
    changes: list[Change] = []
    theirs = set(_names(after))
    shared = [name for name in _names(before) if name in theirs]
    moved = _moved_rows(before, after, shared) if not schema else None
    if moved is not None:
        summary.append(moved)
    else:
        for name in shared:
            if before.table.schema.field(name).type == after.table.schema.field(name).type:
                told, found = _column(name, before.table.column(name), after.table.column(name))
                summary += told
                changes += found
    complete = before.complete and after.complete
    if not complete:
        summary.append(f"the first {min(before.table.num_rows, after.table.num_rows)} rows were compared")
    return ContentDifference(
        kind="table", summary=tuple(summary), changes=(*schema, *changes)[:CHANGES], complete=complete
    )


def _names(sample: TableSample) -> list[str]:
    """Return the names of the columns that were read and share theirs with no other."""
    counts = Counter(sample.table.column_names)
    return [name for name, count in counts.items() if count == 1]


def _schema(before: Any, after: Any) -> Iterator[Change]:
    ours, theirs = ({field.name: str(field.type) for field in each} for each in (before, after))
    for name in {**ours, **theirs}:
        if ours.get(name) != theirs.get(name):
            yield Change.of(f"column {name}", ours.get(name), theirs.get(name))
    if set(ours) == set(theirs) and before.names != after.names:
        yield Change.of("order of columns", ", ".join(before.names), ", ".join(after.names))


def _rows(before: TableSample, after: TableSample) -> str:
    shown = [f"at least {each.table.num_rows}" if each.rows is None else str(each.rows) for each in (before, after)]
    return f"{shown[0]} rows before, {shown[1]} after"


def _moved_rows(before: TableSample, after: TableSample, names: list[str]) -> str | None:
    """Return a sentence if all that differs is that some rows in one place are there once only."""
    ours, theirs = before.table.num_rows, after.table.num_rows
    if ours == theirs or not names or not (before.complete and after.complete):
        return None
    rows, more = min(ours, theirs), abs(ours - theirs)
    head = min(_first(before.table.column(name), after.table.column(name), rows) for name in names)
    # The rest, moved by as many rows as one table has more.
    rest = rows - head
    for name in names:
        former, latter = (each.column(name).slice(each.num_rows - rest) for each in (before.table, after.table))
        if _first(former, latter, rest) < rest:
            return None
    place = f"row {head}" if more == 1 else f"rows {head} to {head + more - 1}"
    return f"{place} {'was' if more == 1 else 'were'} {'added' if theirs > ours else 'removed'}; all others are equal"


def _first(before: Any, after: Any, rows: int) -> int:
    """Return the number of rows at the beginning that are equal, of as many as are given."""
    places = _changed(before.slice(0, rows), after.slice(0, rows))
    return int(places[0]) if len(places) else rows


def _column(name: str, before: Any, after: Any) -> tuple[list[str], list[Change]]:
    rows = min(len(before), len(after))
    before, after = before.slice(0, rows), after.slice(0, rows)
    places = _changed(before, after)
    if not len(places):
        return [], []
    told = f"column {cut(name, TEXT)}: {len(places)} of {counted(rows, 'value')} differ{_apart(before, after, places)}"
    shown = [int(place) for place in places[:_EACH]]
    return [told], [Change.of(f"row {at}, column {name}", _cell(before[at]), _cell(after[at])) for at in shown]


def _changed(before: Any, after: Any) -> Any:
    """Return the numbers of the rows in which two columns of one type and length differ."""
    arrow, compute = package("pyarrow", "arrow"), package("pyarrow.compute", "arrow")
    if before.equals(after):
        return []
    if arrow.types.is_dictionary(before.type):
        before, after = before.cast(before.type.value_type), after.cast(after.type.value_type)
    try:
        differ = compute.fill_null(compute.not_equal(before, after), fill_value=False)
        if arrow.types.is_floating(before.type):
            both = compute.and_(compute.is_nan(before), compute.is_nan(after))
            differ = compute.and_not(differ, compute.fill_null(both, fill_value=False))
        differ = compute.or_(differ, compute.xor(compute.is_null(before), compute.is_null(after)))
        return compute.indices_nonzero(differ).to_pylist()
    except (arrow.ArrowException, NotImplementedError):  # of a type such as a list
        ours, theirs = before.slice(0, _SLOWLY), after.slice(0, _SLOWLY)
        return [at for at in range(len(ours)) if not ours.slice(at, 1).equals(theirs.slice(at, 1))]


def _apart(before: Any, after: Any, places: list[int]) -> str:
    """Return how far numbers are apart at most."""
    arrow, compute = package("pyarrow", "arrow"), package("pyarrow.compute", "arrow")
    if not (arrow.types.is_integer(before.type) or arrow.types.is_floating(before.type)):
        return ""
    taken = [each.take(places).cast("float64", safe=False) for each in (before, after)]
    apart = compute.abs(compute.subtract(*taken))
    most = compute.max(compute.if_else(compute.is_finite(apart), apart, None)).as_py()
    return "" if most is None else f", by at most {most:.6g}"


def _cell(scalar: Any) -> str:
    make: Callable[[], Any] = scalar.as_py
    try:
        value = make()
    except (ValueError, ArithmeticError):  # a moment for which Python has no type
        value = scalar.cast("string").as_py()
    return "null" if value is None else str(value)
