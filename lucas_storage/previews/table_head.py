"""The first rows of a stored table, and statistics of its columns.

What a file claims about its size is checked before pyarrow allocates it, as when it is loaded, but against a smaller
limit: a preview is asked for by accident, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final

from actorc.storage.units import shown_size
from lucas_storage import limits
from lucas_storage.errors import LimitError
from lucas_storage.formats.base import package
from lucas_storage.formats.tables import decoded_size, parquet_ranges
from lucas_storage.formats.tables.parquet_footer import BYTE_ARRAY, Chunk, groups_of
from lucas_storage.preview_data import Column

from . import arrow_rows, column_statistics, parquet_statistics
from .parquet_pages import PageLimitError, WatchedFile

COLUMNS: Final = 30
"""Columns that are shown."""
DECODED_MAX: Final = 256 << 20
"""Bytes in memory that an Arrow stream may take for its preview."""
_SMALL: Final = 1 << 20
"""Bytes of an Arrow stream up to which it is read whole at once."""
ARROW_MAX: Final = 64 << 20
"""Bytes up to which it is read whole for the sake of columns whose first rows cannot be read alone."""
_BUFFER: Final = 64 << 10
"""Bytes that are read at a time of a column of a Parquet file, instead of all of it."""
_SAMPLE_BYTES: Final = 16 << 20
"""Bytes in memory of the rows that are looked at for statistics, after which no more are read."""
_TEXT_BYTES: Final = 64 << 20
"""Bytes in memory of rows that are decoded together, of which each may repeat one long text."""
_BATCH: Final = 4096
"""Rows that are decoded together at most."""
_FOOTER_MAX: Final = 8 << 20
"""Bytes of the footer of a Parquet file: some ten thousand columns, in ten row groups."""
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
    columns: tuple[Column, ...] = ()
    """The first columns, with statistics if they were asked for."""
    sample: str = ""
    """The rows that the statistics are of; empty if they are of all."""


def of_arrow(file: BinaryIO, size: int, count: int, *, statistics: bool = False) -> TableHead:
    """Return the head of an Arrow stream with `count` rows and one more, if there are so many.

    Args:
        file: The stream, seekable.
        size: Its bytes.
        count: Rows.
        statistics: Whether columns get statistics, for which some thousand rows are read.

    Raises:
        ValueError: It is no Arrow stream.
    """
    arrow, ipc = package("pyarrow", "arrow"), package("pyarrow.ipc", "arrow")
    if size > _SMALL:
        schema = ipc.open_stream(file).schema
        found = arrow_rows.columns(file, schema, count + 1, COLUMNS)
        if size > ARROW_MAX or (found and len(found) == min(len(schema), COLUMNS) and None not in found):
            more = arrow_rows.columns(file, schema, column_statistics.ROWS, COLUMNS) if statistics else None
            return _of_columns(found, schema, size, more or found or [])
        file.seek(0)
    stored = arrow.py_buffer(file.read())
    decoded = decoded_size.of_messages(arrow, stored)
    with ipc.open_stream(stored) as reader:
        if decoded > DECODED_MAX:
            return _without_rows(reader.schema, f"rows that take {shown_size(decoded)} in memory")
        return _head(reader.schema, map(checked, reader), count, {}, statistics=statistics)


def checked(batch: Any) -> Any:
    """Return a batch of an Arrow stream whose offsets, indices and texts are within it and are what they claim.

    The stream is a stranger's, and pyarrow follows offsets wherever they lead, out of memory, too.

    Raises:
        ValueError: They are not.
    """
    batch.validate(full=True)
    return batch


def _of_columns(found: list[Any] | None, schema: Any, size: int, more: list[Any]) -> TableHead:
    if not found or set(map(type, found)) == {type(None)}:
        return _without_rows(schema, f"rows of an Arrow table of {shown_size(size)}")
    names = tuple(schema.names[:COLUMNS])
    length = min(len(column) for column in found if column is not None)
    cells = [["…"] * length if column is None else _column_cells(column) for column in found]
    cells += [["…"] * length] * (len(names) - len(cells))
    rows = tuple(zip(*cells, strict=True))
    # A column whose texts are too long for the sample has none, rather than those of its first rows.
    values = [*more, *[None] * (len(names) - len(more))]
    looked_at = max([0, *(len(column) for column in values if column is not None)])
    return TableHead(
        facts=_facts(schema, {}),
        width=len(schema),
        names=names,
        rows=rows,
        columns=_columns(schema, values),
        sample=f"the first {looked_at} rows",
    )


def of_parquet(file: BinaryIO, size: int, count: int, *, statistics: bool = False) -> TableHead:
    """Return the head of a Parquet file with `count` rows and one more, if there are so many.

    Args:
        file: The file, seekable.
        size: Its bytes.
        count: Rows.
        statistics: Whether columns get statistics, for which some thousand rows are read.

    Raises:
        DecodeError: It is no Parquet file, or a damaged one.
    """
    arrow, parquet = package("pyarrow", "arrow"), package("pyarrow.parquet", "arrow")
    stored = parquet_ranges.opened(file, size)
    groups = checked_groups(stored)
    pages = WatchedFile(stored)
    with parquet.ParquetFile(arrow.PythonFile(pages, mode="r"), buffer_size=_BUFFER, pre_buffer=False) as whole:
        schema, rows = whole.schema_arrow, whole.metadata.num_rows
        if not whole.metadata.num_row_groups:
            return _empty(schema, {"rows": str(rows)})
        wanted = chunks_of(groups[0], schema.names[:COLUMNS])
        decoded = sum(max(0, chunk.uncompressed) for chunk in wanted)
        # Pages are decoded one by one, and a page is a small part of this, in files that programs make.
        if decoded > limits.allowed(size, limits.EXPANSION):
            return _without_rows(schema, f"rows that take {shown_size(decoded)} in memory", {"rows": str(rows)})
        pages.watch(wanted)
        together = min(rows_at_a_time(wanted, stored), _BATCH if statistics else count + 1)
        batches = whole.iter_batches(batch_size=together, row_groups=[0], columns=schema.names[:COLUMNS])
        try:
            head = _head(schema, batches, count, {"rows": str(rows)}, rows, statistics=statistics)
        except PageLimitError as error:
            return _without_rows(schema, error.message, {"rows": str(rows)})
        if not statistics:
            return head
        return replace(head, columns=parquet_statistics.with_footer(head.columns, groups))


def _empty(schema: Any, facts: dict[str, str]) -> TableHead:
    """Return the head of a table that has no rows."""
    names = tuple(schema.names[:COLUMNS])
    return TableHead(
        facts=_facts(schema, facts),
        width=len(schema),
        names=names,
        complete=len(names) == len(schema),
        columns=_columns(schema, [None] * len(names)),
    )


def checked_groups(stored: Any) -> list[list[Chunk]]:
    """Return the chunks of each row group of a Parquet file, of which pyarrow can then read rows.

    Raises:
        DecodeError: It is no Parquet file, or a damaged one.
        LimitError: Its footer is larger than a preview reads.
    """
    length = int.from_bytes(stored[-8:-4], "little")
    if _FOOTER_MAX < length <= len(stored):
        raise LimitError(
            f"a preview reads a footer of {shown_size(_FOOTER_MAX)} at most, and this has {shown_size(length)}"
        )
    parquet_ranges.checked_footer(stored)
    return groups_of(stored)


def chunks_of(group: list[Chunk], names: list[str]) -> list[Chunk]:
    """Return the chunks of some columns, nested ones with all of theirs."""
    return [chunk for chunk in group if {".".join(chunk.path), *chunk.path[:1]} & set(names)]


def rows_at_a_time(chunks: list[Chunk], stored: Any) -> int:
    """Return the rows that can be decoded together, each of which may repeat the longest text of a dictionary."""
    texts = [chunk for chunk in chunks if chunk.dictionary is not None and chunk.physical_type == BYTE_ARRAY]
    longest = sum(max(0, parquet_ranges.dictionary_size(stored, chunk)) for chunk in texts)
    return max(1, min(_BATCH, _TEXT_BYTES // max(1, longest)))


def _head(
    schema: Any,
    batches: Iterable[Any],
    count: int,
    facts: dict[str, str],
    rows: int | None = None,
    *,
    statistics: bool = False,
) -> TableHead:
    # One row more than shown, which tells whether the preview is complete.
    wanted = max(count + 1, column_statistics.ROWS if statistics else 0)
    taken, of_all = _first_rows(batches, wanted, count + 1)
    found: list[tuple[str, ...]] = []
    for batch in taken:
        found += _cells(batch.slice(0, max(0, count + 1 - len(found))))
    looked_at = sum(batch.num_rows for batch in taken)
    is_whole = len(schema.names) <= COLUMNS and len(found) == (looked_at if rows is None else rows)
    names = tuple(schema.names[:COLUMNS])
    of_all = of_all if rows is None else looked_at == rows
    return TableHead(
        facts=_facts(schema, facts),
        width=len(schema),
        names=names,
        rows=tuple(found),
        complete=is_whole,
        columns=_columns(schema, _joined(taken, len(names)) if statistics else [None] * len(names)),
        sample="" if of_all else f"the first {looked_at} rows",
    )


def _first_rows(batches: Iterable[Any], count: int, least: int) -> tuple[list[Any], bool]:
    """Return batches with `count` rows together, or those that take `_SAMPLE_BYTES`, but `least` rows in any case.

    Also whether they are all that there are.
    """
    taken: list[Any] = []
    rows = used = 0
    for batch in batches:
        part = batch.slice(0, count - rows)
        taken.append(part)
        rows, used = rows + part.num_rows, used + part.nbytes
        if rows >= count or (rows >= least and used > _SAMPLE_BYTES):
            return taken, False
    return taken, True


def _joined(batches: list[Any], width: int) -> list[Any]:
    """Return the columns of batches as one each."""
    arrow = package("pyarrow", "arrow")
    return [arrow.chunked_array([batch.column(at) for batch in batches]) if batches else None for at in range(width)]


def _columns(schema: Any, values: list[Any]) -> tuple[Column, ...]:
    fields = list(schema)[: len(values)]
    return tuple(column_statistics.column_of(field, each) for field, each in zip(fields, values, strict=True))


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
    names = tuple(schema.names[:COLUMNS])
    return TableHead(facts=found, width=len(schema), names=names, columns=_columns(schema, [None] * len(names)))


def _facts(schema: Any, more: dict[str, str]) -> dict[str, str]:
    return {f"column {field.name}": str(field.type) for field in schema} | more
