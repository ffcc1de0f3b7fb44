"""Tables of pyarrow, pandas and polars, as Arrow streams that are mapped without a copy, or as Parquet.

The class of the table is a word in the metadata of the schema, which decoding removes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from actorc.storage.buffers import flat_view
from lucas_storage.errors import DecodeError, NoFormatError, StorageError
from lucas_storage.limits import allowed, check_expansion

from . import decoded_size
from .base import Encoded, Format, Source, cannot_become, is_loaded, not_mine, package, shared, stored, type_name

if TYPE_CHECKING:
    from lucas_storage.signing import Verified

_CLASS: Final = b"lucas.class"
_FREQUENCY: Final = b"lucas.index_freq"


class _TableFormat(Format):
    """Base of both table formats: converts the three classes to and from `pyarrow.Table`."""

    def encode(self, value: Any) -> Encoded:
        """Return the table in this format."""
        to_table = _TO_TABLE.get(_class_of(value) or "")
        if to_table is None:
            raise not_mine(self.id, value, "pass a pyarrow.Table or a pandas or polars DataFrame")
        arrow = package("pyarrow", "arrow")
        try:
            return Encoded(tuple(self._write(arrow, to_table(value))))
        except (arrow.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise NoFormatError(
                f"a {type_name(value)} does not fit into {self.id}; make its columns one type each, with distinct names"
            ) from error

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return a table of the class that was encoded, or of the one that `want` names."""
        del proof
        as_stored = stored(source, want)
        if as_stored is not None:
            return as_stored
        if want in ("str", "ndarray"):
            raise cannot_become(self.id, want, "a table or a DataFrame")
        arrow = package("pyarrow", "arrow")
        # Outside the `try` below: an error of the store or of the cache says nothing about the bytes.
        stored_bytes = arrow.py_buffer(shared(source))
        try:
            table = self._read(arrow, stored_bytes, source.max_expansion)
            for column in table.columns:
                # pyarrow trusts offsets, and would read outside of the file. Numbers have none, and stay unread.
                column.validate(full=not arrow.types.is_primitive(column.type))
        except (arrow.ArrowException, OSError, ValueError, MemoryError) as error:
            raise DecodeError(f"an artifact of format {self.id} is not a table that pyarrow reads here") from error
        check_expansion(decoded_size.of_rows(arrow, table), len(stored_bytes), source.max_expansion)
        try:
            return _from_table(table, want)
        except StorageError:
            raise
        except Exception as error:  # pandas and polars do not document their errors for tables of strangers
            raise DecodeError(
                f"an artifact of format {self.id} is a table that does not become a {want or 'DataFrame'} here, "
                f"{type(error).__name__}; annotate pa.Table"
            ) from error

    def _write(self, arrow: Any, table: Any) -> list[bytes | memoryview]:
        raise NotImplementedError

    def _read(self, arrow: Any, stored_bytes: Any, ratio: int) -> Any:
        raise NotImplementedError


class ArrowFormat(_TableFormat):
    """A table as an Arrow IPC stream; reading maps the file and copies nothing.

    Holds a DataFrame only if decoding gives an equal one back; one that Arrow would change is left to other formats.
    """

    id = "arrow@1"
    content_type = "application/vnd.apache.arrow.stream"
    extension = ".arrows"

    def handles(self, value: object) -> bool:
        """Return whether `value` is a pyarrow.Table, or a DataFrame that Arrow holds without loss.

        Raises:
            MissingDependencyError: It is a DataFrame, and pyarrow is not installed.
        """
        check = _LOSSLESS.get(_class_of(value) or "")
        return check is not None and check(value)

    def _write(self, arrow: Any, table: Any) -> list[bytes | memoryview]:
        pieces = _Pieces()
        with (
            arrow.PythonFile(pieces, mode="w") as file,
            arrow.ipc.new_stream(file, table.schema) as writer,
        ):
            writer.write_table(table)
        return pieces.held

    def _read(self, arrow: Any, stored_bytes: Any, ratio: int) -> Any:
        # First: pyarrow allocates whatever the headers of compressed buffers claim.
        check_expansion(decoded_size.of_messages(arrow, stored_bytes), len(stored_bytes), ratio)
        with arrow.ipc.open_stream(stored_bytes) as reader:
            return reader.read_all()


class ParquetFormat(_TableFormat):
    """A table as a Parquet file: smaller, compressed, for tools outside; taken only on request."""

    id = "parquet@1"
    content_type = "application/vnd.apache.parquet"
    extension = ".parquet"

    def handles(self, value: object) -> bool:
        """Return whether `value` is a table of any of the three classes."""
        return _class_of(value) is not None

    def _write(self, arrow: Any, table: Any) -> list[bytes | memoryview]:
        sink = arrow.BufferOutputStream()
        package("pyarrow.parquet", "arrow").write_table(table, sink)
        return [flat_view(sink.getvalue())]

    def _read(self, arrow: Any, stored_bytes: Any, ratio: int) -> Any:
        size = len(stored_bytes)
        found = decoded_size.of_parquet(memoryview(stored_bytes).cast("B"))
        check_expansion(found.decoded, size, ratio)
        with arrow.BufferReader(stored_bytes) as file, package("pyarrow.parquet", "arrow").ParquetFile(file) as parquet:
            if found.repeated <= allowed(size, ratio):
                return parquet.read()
            # One long text may stand for every row, or for none; the footer does not say, so the size is counted.
            rows = decoded_size.rows_at_a_time(allowed(size, ratio), found.longest)
            return arrow.Table.from_batches(_counted(parquet.iter_batches(rows), size, ratio), parquet.schema_arrow)


def _counted(batches: Iterable[Any], size: int, ratio: int) -> Iterator[Any]:
    """Yield batches of rows; raises an error when all together exceed the allowed size."""
    total = 0
    for batch in batches:
        total += batch.nbytes
        check_expansion(total, size, ratio)
        yield batch


class _Pieces:
    """A file that keeps the buffers written to it, without copying those of columns, which the table owns."""

    closed = False

    def __init__(self) -> None:
        self.held: list[bytes | memoryview] = []

    def write(self, data: Any) -> int:
        piece = data if isinstance(data, bytes) else flat_view(data)
        self.held.append(piece)
        return len(piece)

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def close(self) -> None:
        """Do nothing: the pieces are read after the writer has closed the file."""


def _class_of(value: object) -> str | None:
    name = type(value).__name__
    if name == "Table" and is_loaded(value, "pyarrow"):
        return "table"
    if name == "DataFrame" and is_loaded(value, "pandas"):
        return "dataframe"
    return "polars" if name == "DataFrame" and is_loaded(value, "polars") else None


def _labelled(table: Any, kind: str, frequency: str | None = None) -> Any:
    if table.num_rows and not table.num_columns:
        raise ValueError("rows without columns would be lost, for replaced metadata drops their number")
    labels = {_CLASS: kind.encode()}
    if frequency is not None:
        labels[_FREQUENCY] = frequency.encode()
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **labels})


def _frame_to_table(frame: Any) -> Any:
    table = package("pyarrow", "arrow").Table.from_pandas(frame)
    frequency = frame.index.freqstr if type(frame.index).__name__ in ("DatetimeIndex", "TimedeltaIndex") else None
    return _labelled(table, "dataframe", frequency)


_TO_TABLE: Final[dict[str, Callable[[Any], Any]]] = {
    "table": lambda table: _labelled(table, "table"),
    "dataframe": _frame_to_table,
    "polars": lambda frame: _labelled(frame.to_arrow(), "polars"),
}


def _from_table(table: Any, want: str | None) -> Any:
    metadata = dict(table.schema.metadata or {})
    kind = metadata.pop(_CLASS, b"table").decode()
    frequency = metadata.pop(_FREQUENCY, None)
    table = table.replace_schema_metadata(metadata or None)
    as_class = want if want in _TO_TABLE else kind
    if as_class == "dataframe":
        return _to_frame(table, frequency)
    return package("polars", "polars").from_arrow(table) if as_class == "polars" else table


def _to_frame(table: Any, frequency: bytes | None) -> Any:
    package("pandas", "pandas")
    frame = table.to_pandas()
    if frequency is not None:
        # Arrow has no frequency of an index; without it the frame would not be equal to the stored one.
        frame.index.freq = frequency.decode()
    return frame


def _is_lossless_table(table: Any) -> bool:
    return not {_CLASS, _FREQUENCY} & (table.schema.metadata or {}).keys()


def _is_lossless_polars(frame: Any) -> bool:
    # Without rows: only the schema is compared, at no cost for a large frame.
    empty = frame.clear()
    try:
        return bool(package("polars", "polars").from_arrow(empty.to_arrow()).schema == frame.schema)
    except Exception:  # noqa: BLE001  # whatever polars finds wrong with a dtype, Arrow does not hold it
        return False


def _is_lossless_pandas(frame: Any) -> bool:
    """Return whether Arrow gives `frame` back: tried on two rows, or on all if a column of objects needs it."""
    arrow = package("pyarrow", "arrow")
    if frame.attrs or not frame.flags.allows_duplicate_labels or not _are_plain_names(frame.columns):
        return False
    if frame.columns.empty and len(frame):
        return False
    objects = list(_objects(frame))
    if not all(map(_is_text, objects)):
        return False
    # Two rows are enough to see which dtypes come back; converting a large frame twice would be slow.
    sample = frame if objects else frame.iloc[:2]
    try:
        return _same_outline(_frame_to_table(sample).to_pandas(), sample)
    except (arrow.ArrowException, TypeError, ValueError):
        return False


def _are_plain_names(columns: Any) -> bool:
    kinds = {type(name) for name in columns}
    return columns.nlevels == 1 and columns.is_unique and kinds in (set(), {str}, {int})


def _objects(frame: Any) -> Iterator[Any]:
    """Yield the columns and index levels of dtype object, which may hold values of any type."""
    yield from (frame[name] for name, dtype in frame.dtypes.items() if str(dtype) == "object")
    levels = (frame.index.get_level_values(level) for level in range(frame.index.nlevels))
    yield from (level for level in levels if str(level.dtype) == "object")


def _is_text(column: Any) -> bool:
    """Return whether a column of objects holds str and None alone, which is what Arrow would make of it."""
    return all(type(value) is str or value is None for value in column)


def _same_outline(left: Any, right: Any) -> bool:
    """Return whether two frames are equal but for their values."""
    return (
        list(left.dtypes) == list(right.dtypes)
        and left.columns.equals(right.columns)
        and (left.columns.dtype, left.columns.names) == (right.columns.dtype, right.columns.names)
        and (type(left.index), left.index.names, _dtypes(left.index))
        == (type(right.index), right.index.names, _dtypes(right.index))
    )


def _dtypes(index: Any) -> list[Any]:
    return list(index.dtypes) if index.nlevels > 1 else [index.dtype]


_LOSSLESS: Final[dict[str, Callable[[Any], bool]]] = {
    "table": _is_lossless_table,
    "dataframe": _is_lossless_pandas,
    "polars": _is_lossless_polars,
}
