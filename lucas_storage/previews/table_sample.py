"""The first rows of a stored table as a table of pyarrow, in bounded memory; for comparing two of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO, Final

from lucas_storage.errors import DecodeError
from lucas_storage.formats.base import package
from lucas_storage.formats.tables import decoded_size, parquet_ranges

from .parquet_pages import WatchedFile
from .table_head import ARROW_MAX, DECODED_MAX, checked, checked_groups, chunks_of, rows_at_a_time

_ROWS: Final = 1_000_000
_BYTES: Final = 64 << 20
"""Bytes in memory after which no more rows are read."""
_COLUMNS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSample:
    """The schema of a table, and its first rows."""

    schema: Any
    """Of all columns."""
    table: Any
    rows: int | None
    """Rows of the whole table; None if that is not known."""
    complete: bool
    """Whether the table has all rows and columns."""


def sample_of(file: BinaryIO, size: int, format_id: str) -> TableSample:
    """Return the first rows of a table in the format ``arrow@1`` or ``parquet@1``.

    Raises:
        DecodeError: It is no such table, or a damaged one; also ValueError.
    """
    return _of_parquet(file, size) if format_id == "parquet@1" else _of_arrow(file, size)


def _of_parquet(file: BinaryIO, size: int) -> TableSample:
    arrow, parquet = package("pyarrow", "arrow"), package("pyarrow.parquet", "arrow")
    stored = parquet_ranges.opened(file, size)
    groups = checked_groups(stored)
    pages = WatchedFile(stored)
    with parquet.ParquetFile(arrow.PythonFile(pages, mode="r"), pre_buffer=False) as whole:
        metadata, schema = whole.metadata, whole.schema_arrow
        names = schema.names[:_COLUMNS]
        wanted = [chunks_of(group, names) for group in groups]
        pages.watch(chain.from_iterable(wanted))
        together = min((rows_at_a_time(chunks, stored) for chunks in wanted), default=1)
        table, _ = _first(arrow, schema, names, whole.iter_batches(batch_size=together, columns=names))
        complete = table.num_rows == metadata.num_rows and len(names) == len(schema.names)
        return TableSample(schema=schema, table=table, rows=metadata.num_rows, complete=complete)


def _of_arrow(file: BinaryIO, size: int) -> TableSample:
    arrow, ipc = package("pyarrow", "arrow"), package("pyarrow.ipc", "arrow")
    if size > ARROW_MAX:
        schema = ipc.open_stream(file).schema
        return TableSample(schema=schema, table=schema.empty_table(), rows=None, complete=False)
    stored = arrow.py_buffer(file.read())
    if decoded_size.of_messages(arrow, stored) > DECODED_MAX:
        raise DecodeError("the table takes too much memory to be compared")
    with ipc.open_stream(stored) as reader:
        schema = reader.schema
        table, ended = _first(arrow, schema, schema.names[:_COLUMNS], map(checked, reader))
    rows = table.num_rows if ended else None
    return TableSample(schema=schema, table=table, rows=rows, complete=ended and table.num_columns == len(schema.names))


def _first(arrow: Any, schema: Any, names: list[str], batches: Iterable[Any]) -> tuple[Any, bool]:
    """Return the first rows of the first columns, and whether they are all rows."""
    taken: list[Any] = []
    rows = used = 0
    wanted = arrow.schema([schema.field(at) for at in range(len(names))])
    for batch in batches:
        if rows >= _ROWS or used > _BYTES:
            return arrow.Table.from_batches(taken, wanted), False
        part = batch.select(list(range(len(names)))).slice(0, _ROWS - rows)
        taken.append(part)
        rows, used = rows + part.num_rows, used + part.nbytes
    return arrow.Table.from_batches(taken, wanted), True
