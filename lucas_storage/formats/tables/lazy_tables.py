"""Tables of which only some columns or rows are read, from a file that fetches no more than is asked of it.

A Parquet file says where its columns lie. Of an Arrow stream, which does not, the mapped file is what costs nothing
until it is touched.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

from lucas_storage.errors import DecodeError, StorageError
from lucas_storage.formats.base import MemorySource, Source, is_loaded, package, shared
from lucas_storage.limits import check_expansion

from . import labels, parquet_file, parquet_ranges, parquet_types
from .arrow_stream import ArrowFormat


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
    stored = parquet_ranges.opened(file, size)
    check_expansion(parquet_ranges.checked_footer(stored).decoded, size, ratio)
    parquet_ranges.check_nested(stored)
    layout = dataset.ParquetFileFormat()
    try:
        fragment = layout.make_fragment(parquet_ranges.as_input(arrow, stored))
        whole = dataset.FileSystemDataset([fragment], fragment.physical_schema, layout)
        return whole.replace_schema(whole.schema.with_metadata(labels.metadata_without_labels(whole.schema)))
    except StorageError:  # of the store that is read; some are an `OSError`, too
        raise
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
    stored = parquet_ranges.opened(file, size)
    parquet_ranges.checked_footer(stored)
    try:
        with parquet.ParquetFile(parquet_ranges.as_input(arrow, stored), pre_buffer=True) as opened:
            names = _with_index(opened.schema_arrow, columns, word)
            table = parquet_ranges.read_columns(opened, names, stored, ratio)
            written = parquet_file.written_schema(arrow, opened)
            if written is not None and set(names) <= set(written.names):
                table = parquet_types.restored(arrow, table, arrow.schema([written.field(name) for name in names]))
            return _as_class(table.replace_schema_metadata(opened.schema_arrow.metadata), word)
    except StorageError:  # likewise, or a `DecodeError`
        raise
    except (arrow.ArrowException, OSError, ValueError, MemoryError) as error:
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
