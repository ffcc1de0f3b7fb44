"""The first rows of a stored table.

What a file claims about its size is checked before pyarrow allocates it, as when it is loaded, but against a smaller
limit: a preview is asked for by accident, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from actorc.storage.units import shown_size
from lucas_storage import limits
from lucas_storage.formats.base import package
from lucas_storage.formats.tables import decoded_size, parquet_ranges

from . import arrow_rows

COLUMNS: Final = 30
"""Columns that are shown."""
_DECODED_MAX: Final = 256 << 20
"""Bytes in memory that an Arrow stream may take for its preview."""
_SMALL: Final = 1 << 20
"""Bytes of an Arrow stream up to which it is read whole at once."""
_ARROW_MAX: Final = 64 << 20
"""Bytes up to which it is read whole for the sake of columns whose first rows cannot be read alone."""
_BUFFER: Final = 64 << 10
"""Bytes that are read at a time of a column of a Parquet file, instead of all of it."""
_CELL: Final = 1000
"""Characters of a cell."""
_CELL_BYTES: Final = 1 << 20
"""Bytes of a cell up to which all of it is converted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableHead:
    """The columns and the first rows of a table."""

    facts: dict[str, str]
    width: int
    """Columns of the whole table."""
    names: tuple[str, ...]
    """Those of its first columns."""
    rows: tuple[tuple[str, ...], ...] = ()
    complete: bool = False
    """Whether the rows are all rows, with all their cells."""


def of_arrow(file: BinaryIO, size: int, count: int) -> TableHead:
    """Return the head of an Arrow stream with `count` rows and one more, if there are so many.

    Raises:
        ValueError: It is no Arrow stream.
    """
    arrow, ipc = package("pyarrow", "arrow"), package("pyarrow.ipc", "arrow")
    if size > _SMALL:
        schema = ipc.open_stream(file).schema
        found = arrow_rows.columns(file, schema, count + 1, COLUMNS)
        if size > _ARROW_MAX or (found and len(found) == min(len(schema), COLUMNS) and None not in found):
            return _of_columns(found, schema, size)
        file.seek(0)
    stored = arrow.py_buffer(file.read())
    decoded = decoded_size.of_messages(arrow, stored)
    with ipc.open_stream(stored) as reader:
        if decoded > _DECODED_MAX:
            return _without_rows(reader.schema, f"rows that take {shown_size(decoded)} in memory")
        return _head(reader.schema, reader, count, {})


def _of_columns(found: list[Any] | None, schema: Any, size: int) -> TableHead:
    if not found or set(map(type, found)) == {type(None)}:
        return _without_rows(schema, f"rows of an Arrow table of {shown_size(size)}")
    names = tuple(schema.names[:COLUMNS])
    length = min(len(column) for column in found if column is not None)
    cells = [["…"] * length if column is None else _column_cells(column) for column in found]
    cells += [["…"] * length] * (len(names) - len(cells))
    rows = tuple(zip(*cells, strict=True))
    return TableHead(facts=_facts(schema, {}), width=len(schema), names=names, rows=rows)


def of_parquet(file: BinaryIO, size: int, count: int) -> TableHead:
    """Return the head of a Parquet file with `count` rows and one more, if there are so many.

    Raises:
        DecodeError: It is no Parquet file, or a damaged one.
    """
    arrow, parquet = package("pyarrow", "arrow"), package("pyarrow.parquet", "arrow")
    stored = parquet_ranges.opened(file, size)
    parquet_ranges.checked_footer(stored)
    with parquet.ParquetFile(parquet_ranges.as_input(arrow, stored), buffer_size=_BUFFER, pre_buffer=False) as whole:
        schema, rows = whole.schema_arrow, whole.metadata.num_rows
        if not whole.metadata.num_row_groups:
            names = tuple(schema.names[:COLUMNS])
            facts = _facts(schema, {"rows": str(rows)})
            return TableHead(facts=facts, width=len(schema), names=names, complete=len(names) == len(schema))
        decoded = _first_group_size(whole.metadata.row_group(0))
        # Pages are decoded one by one, and a page is a small part of this, in files that programs make.
        if decoded > limits.allowed(size, limits.EXPANSION):
            return _without_rows(schema, f"rows that take {shown_size(decoded)} in memory", {"rows": str(rows)})
        batches = whole.iter_batches(batch_size=count + 1, row_groups=[0], columns=schema.names[:COLUMNS])
        return _head(schema, batches, count, {"rows": str(rows)}, rows)


def _first_group_size(group: Any) -> int:
    chunks = [group.column(number) for number in range(min(group.num_columns, COLUMNS))]
    return sum(max(0, chunk.total_uncompressed_size) for chunk in chunks)


def _head(schema: Any, batches: Iterable[Any], count: int, facts: dict[str, str], rows: int | None = None) -> TableHead:
    found: list[tuple[str, ...]] = []
    for batch in batches:
        # One row more than shown, which tells whether the preview is complete.
        found += _cells(batch.slice(0, count + 1 - len(found)))
        if len(found) > count:
            break
    is_whole = len(schema.names) <= COLUMNS and len(found) == (len(found) if rows is None else rows)
    names = tuple(schema.names[:COLUMNS])
    facts = _facts(schema, facts)
    return TableHead(facts=facts, width=len(schema), names=names, rows=tuple(found), complete=is_whole)


def _cells(rows: Any) -> list[tuple[str, ...]]:
    # Column by column: a dict for each row would lose columns of one name.
    columns = [_column_cells(column) for column in rows.columns[:COLUMNS]]
    return list(zip(*columns, strict=True)) if columns else [()] * rows.num_rows


def _column_cells(column: Any) -> list[str]:
    return [_cell(column, number) for number in range(len(column))]


def _cell(column: Any, number: int) -> str:
    # A list of a million numbers would take a hundred times as much as a Python list.
    if column.slice(number, 1).nbytes > _CELL_BYTES:
        return str(column.slice(number, 1).to_string(window=3, skip_new_lines=True))[:_CELL]
    try:
        return str(column[number].as_py())[:_CELL]
    except (ValueError, ArithmeticError):  # a time in nanoseconds or after the year 9999, for which Python has no type
        return str(column[number].cast("string").as_py())


def _without_rows(schema: Any, what: str, facts: dict[str, str] | None = None) -> TableHead:
    found = _facts(schema, {**(facts or {}), "not shown": what})
    return TableHead(facts=found, width=len(schema), names=tuple(schema.names[:COLUMNS]))


def _facts(schema: Any, more: dict[str, str]) -> dict[str, str]:
    return {f"column {field.name}": str(field.type) for field in schema} | more
