"""Tables of which only some columns or rows are read, from a file that fetches no more than is asked of it.

A Parquet file says where its columns lie. Of an Arrow stream, which does not, the mapped file is what costs nothing
until it is touched.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO, Final, cast

from lucas_storage.errors import DecodeError
from lucas_storage.limits import allowed, check_expansion

from . import decoded_size
from .base import MemorySource, Source, is_loaded, package, shared
from .tables import ArrowFormat, labels, parquet_file, parquet_types
from .thrift_compact import read_struct

_TAIL: Final = 64 << 10
"""Bytes at the end of a file that are read first, as pyarrow does; they hold the footer of most files."""
_HEADER: Final = 256
"""Bytes in which the header of a page is sought."""
_DICTIONARY_PAGE: Final = 2
_WIDEST: Final = 12
"""Bytes of a value of the widest type of Parquet that has no length of its own."""


def dataset_of_parquet(file: BinaryIO, size: int, ratio: int) -> Any:
    """Return a `pyarrow.dataset.Dataset` over a Parquet file, which reads row groups and columns as they are asked for.

    Args:
        file: Seekable; one on the disk is mapped and closed, another one stays in use as long as the dataset.
        size: Its bytes.
        ratio: Largest ratio of the decoded to the stored bytes.

    Raises:
        DecodeError: It is no Parquet file.
        LimitError: It would be larger in memory than `ratio` allows.
    """
    arrow, dataset = package("pyarrow", "arrow"), package("pyarrow.dataset", "arrow")
    stored = _opened(file, size)
    check_expansion(_checked_footer(stored).decoded, size, ratio)
    layout = dataset.ParquetFileFormat()
    try:
        fragment = layout.make_fragment(_input(arrow, stored))
        whole = dataset.FileSystemDataset([fragment], fragment.physical_schema, layout)
        return whole.replace_schema(whole.schema.with_metadata(labels.metadata_without_labels(whole.schema)))
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise _no_table("parquet@1") from error


def columns_of_parquet(file: BinaryIO, size: int, ratio: int, columns: Sequence[str], word: str) -> Any:
    """Return some columns of a Parquet file as the class of tables that `word` names; others are not read.

    Args:
        file: As for `dataset_of_parquet`.
        size: Its bytes.
        ratio: Largest ratio of the decoded to the stored bytes.
        columns: Their names, in the order in which they arrive.
        word: ``dataframe``, which keeps its index, ``table`` or ``polars``.

    Raises:
        DecodeError: It is no Parquet file, or has no column of such a name.
        LimitError: They would be larger in memory than `ratio` allows.
    """
    arrow, parquet = package("pyarrow", "arrow"), package("pyarrow.parquet", "arrow")
    stored = _opened(file, size)
    _checked_footer(stored)
    try:
        with parquet.ParquetFile(_input(arrow, stored), pre_buffer=True) as opened:
            names = _with_index(opened.schema_arrow, columns, word)
            table = _read(opened, names, stored, ratio)
            written = parquet_file.written_schema(arrow, opened)
            if written is not None and set(names) <= set(written.names):
                table = parquet_types.restored(arrow, table, arrow.schema([written.field(name) for name in names]))
            return _as_class(table.replace_schema_metadata(opened.schema_arrow.metadata), word)
    except (arrow.ArrowException, OSError, ValueError, MemoryError) as error:
        if isinstance(error, DecodeError):
            raise
        raise _no_table("parquet@1") from error


def columns_of_arrow(source: Source, columns: Sequence[str], word: str) -> Any:
    """Return some columns of an Arrow stream as the class of tables that `word` names; others are not converted.

    Raises:
        DecodeError: It is no Arrow stream, or has no column of such a name.
    """
    arrow = package("pyarrow", "arrow")
    table = ArrowFormat().decode(source, "table")
    schema = arrow.ipc.read_schema(arrow.py_buffer(shared(source)))
    names = _with_index(schema, columns, word)
    return _as_class(table.select(names).replace_schema_metadata(schema.metadata), word)


def select(table: Any, columns: Sequence[str], word: str) -> Any:
    """Return some columns of a table of the class that `word` names.

    Raises:
        DecodeError: It has no column of such a name.
    """
    if word == "dataset":
        _check(table.schema.names, columns)
        return table.replace_schema(package("pyarrow", "arrow").schema([table.schema.field(name) for name in columns]))
    if word == "lazyframe":
        _check(table.collect_schema().names(), columns)
        return table.select(list(columns))
    _check(table.column_names if word == "table" else list(table.columns), columns)
    return table[list(columns)] if word == "dataframe" else table.select(list(columns))


def remedy(value: object) -> str | None:
    """Return what to return in the place of a lazy frame or a dataset; None for any other value."""
    if type(value).__name__ == "LazyFrame" and is_loaded(value, "polars"):
        return 'its collect(), or the Path that its sink_parquet wrote, as Out("parquet")'
    if is_loaded(value, "pyarrow") and isinstance(value, getattr(sys.modules.get("pyarrow.dataset"), "Dataset", ())):
        return 'its to_table(), or the Path of a file that it was written to, as Out("parquet")'
    return None


def lazy_frame(dataset: Any) -> Any:
    """Return a `polars.LazyFrame` over a dataset, which asks it for the columns and rows that a query needs."""
    return package("polars", "polars").scan_pyarrow_dataset(dataset)


def _as_class(labelled: Any, word: str) -> Any:
    # By way of a stream, which checks what it decodes, and takes the labels of the schema off.
    arrow = package("pyarrow", "arrow")
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, labelled.schema) as writer:
        writer.write_table(labelled)
    return ArrowFormat().decode(MemorySource(memoryview(sink.getvalue()).cast("B")), word)


def _with_index(schema: Any, columns: Sequence[str], word: str) -> list[str]:
    """Return the names of columns to read: a DataFrame's index consists of columns, too."""
    _check(schema.names, columns)
    about = schema.pandas_metadata if word == "dataframe" else None
    index = about["index_columns"] if about else []
    return [*columns, *(name for name in index if isinstance(name, str) and name not in columns)]


def _check(names: Sequence[Any], columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in names]
    if missing:
        raise DecodeError(f"a table has no column {missing[0]!r}, and has {', '.join(map(str, names))}; ask for these")


def _no_table(format_id: str) -> DecodeError:
    return DecodeError(f"an artifact of format {format_id} is not a table that pyarrow reads here")


def _opened(file: BinaryIO, size: int) -> memoryview | _Ranged:
    """Return the bytes of a file, mapped if they are on the disk, and then closed."""
    try:
        descriptor = file.fileno()
    except OSError:  # they are in memory, or elsewhere
        return _Ranged(file, size)
    # Closed, since nobody would close it: a lazy frame has no end.
    with file:
        return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)) if size else memoryview(b"")


def _input(arrow: Any, stored: memoryview | _Ranged) -> Any:
    """Return bytes as pyarrow reads them."""
    return arrow.py_buffer(stored) if isinstance(stored, memoryview) else arrow.PythonFile(stored.file, mode="r")


def _checked_footer(stored: memoryview | _Ranged) -> decoded_size.ParquetSize:
    try:
        # Before pyarrow sees it: a damaged footer can end the process.
        return decoded_size.of_parquet(cast("memoryview", stored))
    except (ValueError, IndexError) as error:
        raise _no_table("parquet@1") from error


def _read(opened: Any, names: Sequence[str], stored: memoryview | _Ranged, ratio: int) -> Any:
    """Return columns of a Parquet file, whose decoded size is bounded before they are read, or counted meanwhile."""
    decoded, longest, repeated = _claims(opened, names, stored)
    check_expansion(decoded, len(stored), ratio)
    most = allowed(len(stored), ratio)
    if repeated <= most:
        return opened.read(columns=list(names)).select(names)
    # One long text may stand for every row, or for none; the footer does not say, so the size is counted.
    batches, total = [], 0
    for batch in opened.iter_batches(decoded_size.rows_at_a_time(most, longest), columns=list(names)):
        total += batch.nbytes
        check_expansion(total, len(stored), ratio)
        batches.append(batch.select(names))
    return package("pyarrow", "arrow").Table.from_batches(batches)


def _claims(opened: Any, names: Sequence[str], stored: memoryview | _Ranged) -> tuple[int, int, int]:
    """Return the decoded bytes of columns, of the longest text that rows may share, and of such texts in all rows."""
    decoded = longest = repeated = 0
    for group in map(opened.metadata.row_group, range(opened.metadata.num_row_groups)):
        for index, chunk in enumerate(map(group.column, range(group.num_columns))):
            if not {chunk.path_in_schema, chunk.path_in_schema.partition(".")[0]} & set(names):
                continue
            rows = max(chunk.num_values, group.num_rows)
            width = max(_WIDEST, opened.schema.column(index).length or 0)
            decoded += max(0, chunk.total_uncompressed_size, width * rows)
            if chunk.physical_type == "BYTE_ARRAY" and chunk.has_dictionary_page:
                text = _dictionary_size(stored, chunk)
                longest, repeated = max(longest, text), repeated + text * rows
    return decoded, longest, repeated


def _dictionary_size(stored: memoryview | _Ranged, chunk: Any) -> int:
    """Return the decoded bytes of a dictionary by the header of its page; those of the column if it is no header."""
    begin = chunk.dictionary_page_offset
    head = stored[begin : begin + _HEADER] if isinstance(stored, memoryview) else stored.read(begin, _HEADER)
    try:
        header, _ = read_struct(head, 0)
        return int(header[2]) if header[1] == _DICTIONARY_PAGE else int(chunk.total_uncompressed_size)
    except (ValueError, LookupError, TypeError):
        return int(chunk.total_uncompressed_size)


class _Ranged:
    """The bytes of a file of which only the end is fetched; a position before it raises IndexError."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file = file
        self._size = size
        self._begin = max(0, size - _TAIL)
        self._tail = self.read(self._begin, _TAIL)
        length = int.from_bytes(self._tail[-8:-4], "little") + 8
        if _TAIL < length <= size:
            self._begin = size - length
            self._tail = self.read(self._begin, length)

    def read(self, begin: int, length: int) -> memoryview:
        """Return bytes from anywhere in the file."""
        self.file.seek(begin)
        return memoryview(self.file.read(length))

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, int):
            if place < self._begin:
                raise IndexError(place)
            return self._tail[place - self._begin]
        start, stop, _ = place.indices(self._size)
        if start < self._begin:
            raise IndexError(start)
        return self._tail[start - self._begin : stop - self._begin]
