"""Tables: pyarrow, pandas and polars, as Arrow streams that map without a copy, or as Parquet.

Which class went in is a word in the schema's metadata; it is taken out again on the way back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from lucas_storage.errors import DecodeError, NoFormatError, StorageError
from lucas_storage.limits import allowed, check_expansion

from . import decoded_size
from .base import Encoded, Format, Source, cannot_become, flat, is_loaded, not_mine, package, shared, stored, type_name

if TYPE_CHECKING:
    from lucas_storage.signing import Verified

_CLASS: Final = b"lucas.class"
_FREQUENCY: Final = b"lucas.index_freq"


class _TableFormat(Format):
    """What both table formats share: classes to and from `pyarrow.Table`."""

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
        """Return the class that went in, or the one wanted."""
        del proof
        as_stored = stored(source, want)
        if as_stored is not None:
            return as_stored
        if want in ("str", "ndarray"):
            raise cannot_become(self.id, want, "a table or a DataFrame")
        arrow = package("pyarrow", "arrow")
        # Outside of what is caught below: that the bytes cannot be had says nothing of what is in them.
        stored_bytes = arrow.py_buffer(shared(source))
        try:
            table = self._read(arrow, stored_bytes, source.max_expansion)
            for column in table.columns:
                # Offsets that lead out of the file would be followed. Numbers have none, and stay unread till used.
                column.validate(full=not arrow.types.is_primitive(column.type))
        except (arrow.ArrowException, OSError, ValueError, MemoryError) as error:
            raise DecodeError(f"an artifact of format {self.id} is not a table that pyarrow reads here") from error
        check_expansion(decoded_size.of_rows(arrow, table), len(stored_bytes), source.max_expansion)
        try:
            return _from_table(table, want)
        except StorageError:
            raise
        except Exception as error:  # what pandas and polars raise for what a stranger wrote, nobody has written down
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

    A DataFrame goes this way only if it comes back the same: pandas objects that Arrow would bend are left to others.
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
        return [flat(sink.getvalue())]

    def _read(self, arrow: Any, stored_bytes: Any, ratio: int) -> Any:
        size = len(stored_bytes)
        found = decoded_size.of_parquet(memoryview(stored_bytes).cast("B"))
        check_expansion(found.decoded, size, ratio)
        with arrow.BufferReader(stored_bytes) as file, package("pyarrow.parquet", "arrow").ParquetFile(file) as parquet:
            if found.repeated <= allowed(size, ratio):
                return parquet.read()
            rows = decoded_size.rows_at_a_time(allowed(size, ratio), found.longest)
            return arrow.Table.from_batches(_counted(parquet.iter_batches(rows), size, ratio), parquet.schema_arrow)


def _counted(batches: Iterable[Any], size: int, ratio: int) -> Iterator[Any]:
    """Yield batches of rows for as long as all together are not too large."""
    total = 0
    for batch in batches:
        total += batch.nbytes
        check_expansion(total, size, ratio)
        yield batch


class _Pieces:
    """A file that keeps what is written, without copying the buffers of columns."""

    closed = False

    def __init__(self) -> None:
        self.held: list[bytes | memoryview] = []

    def write(self, data: Any) -> int:
        piece = data if isinstance(data, bytes) else flat(data)
        self.held.append(piece)
        return len(piece)

    def flush(self) -> None:
        """Do nothing: there is nothing behind."""

    def close(self) -> None:
        """Do nothing: the pieces stay."""


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
        frame.index.freq = frequency.decode()
    return frame


def _is_lossless_table(table: Any) -> bool:
    return not {_CLASS, _FREQUENCY} & (table.schema.metadata or {}).keys()


def _is_lossless_polars(frame: Any) -> bool:
    empty = frame.clear()
    try:
        return bool(package("polars", "polars").from_arrow(empty.to_arrow()).schema == frame.schema)
    except Exception:  # noqa: BLE001  # whatever polars finds wrong with a dtype, Arrow does not hold it
        return False


def _is_lossless_pandas(frame: Any) -> bool:
    """Return whether Arrow gives `frame` back: judged by its outline, and by the values only of object columns."""
    arrow = package("pyarrow", "arrow")
    if frame.attrs or not frame.flags.allows_duplicate_labels or not _are_plain_names(frame.columns):
        return False
    if frame.columns.empty and len(frame):
        return False
    objects = list(_objects(frame))
    if not all(map(_is_text, objects)):
        return False
    sample = frame if objects else frame.iloc[:2]
    try:
        return _same_outline(_frame_to_table(sample).to_pandas(), sample)
    except (arrow.ArrowException, TypeError, ValueError):
        return False


def _are_plain_names(columns: Any) -> bool:
    kinds = {type(name) for name in columns}
    return columns.nlevels == 1 and columns.is_unique and kinds in (set(), {str}, {int})


def _objects(frame: Any) -> Iterator[Any]:
    """Yield the columns and index levels whose dtype says nothing of their values."""
    yield from (frame[name] for name, dtype in frame.dtypes.items() if str(dtype) == "object")
    levels = (frame.index.get_level_values(level) for level in range(frame.index.nlevels))
    yield from (level for level in levels if str(level.dtype) == "object")


def _is_text(column: Any) -> bool:
    """Return whether a column of objects holds str and None alone, which is what Arrow would make of it."""
    return all(type(value) is str or value is None for value in column)


def _same_outline(one: Any, other: Any) -> bool:
    """Compare everything but the values."""
    return (
        list(one.dtypes) == list(other.dtypes)
        and one.columns.equals(other.columns)
        and (one.columns.dtype, one.columns.names) == (other.columns.dtype, other.columns.names)
        and (type(one.index), one.index.names, _dtypes(one.index))
        == (type(other.index), other.index.names, _dtypes(other.index))
    )


def _dtypes(index: Any) -> list[Any]:
    return list(index.dtypes) if index.nlevels > 1 else [index.dtype]


_LOSSLESS: Final[dict[str, Callable[[Any], bool]]] = {
    "table": _is_lossless_table,
    "dataframe": _is_lossless_pandas,
    "polars": _is_lossless_polars,
}
