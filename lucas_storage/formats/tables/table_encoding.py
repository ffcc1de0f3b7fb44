"""The base of both formats of tables: what is encoded comes back equal, of its class, or is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lucas_storage.errors import DecodeError, NoFormatError, StorageError
from lucas_storage.formats.base import (
    Encoded,
    Format,
    Source,
    cannot_become,
    not_mine,
    package,
    shared,
    stored,
    type_name,
)
from lucas_storage.limits import check_expansion

from . import decoded_size
from .arrow_tables import ArrowTables
from .labels import labels_of, without_labels
from .pandas_frames import PandasFrames
from .polars_frames import PolarsFrames

if TYPE_CHECKING:
    from lucas_storage.signing import Verified

    from .table_losses import TableClass

_CLASSES: Final[dict[str, type[TableClass]]] = {one.word: one for one in (ArrowTables, PandasFrames, PolarsFrames)}
_UNLIMITED: Final = 1 << 40
"""Ratio for tables of this process, which are decoded to see whether they come back."""


class TableFormat(Format):
    """Base of both formats: converts the three classes to and from `pyarrow.Table`."""

    def part_not_held(self, value: object) -> str | None:
        """Return the column, or another part, that would not come back from this format as it is."""
        found = table_of(value)
        loss = None if found is None else found.loss(self)
        return None if found is None or loss is None else loss.place or found.place_of_error(self)

    def encode(self, value: Any) -> Encoded:
        """Return the table in this format."""
        found = table_of(value)
        if found is None:
            raise not_mine(self.id, value, "pass a pyarrow.Table or a pandas or polars DataFrame")
        arrow = package("pyarrow", "arrow")
        loss = found.loss(self)
        if loss is not None:
            place = loss.place or found.place_of_error(self)
            raise NoFormatError(f"{self.id} cannot hold {place} of a {type_name(value)}; {loss.what}; {loss.remedy}")
        try:
            return Encoded(tuple(self.write(arrow, found.to_arrow())))
        except (arrow.ArrowException, TypeError, ValueError, OverflowError, OSError) as error:
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
            # Before the columns are read: types that a package brings must be known to pyarrow by then.
            _class_named(want, self.schema(arrow, stored_bytes)).prepare()
            table = self.read(arrow, stored_bytes, source.max_expansion)
            for column in table.columns:
                # pyarrow trusts offsets, and would read outside of the file. Numbers have none, and stay unread.
                column.validate(full=not arrow.types.is_primitive(column.type))
        except (arrow.ArrowException, OSError, ValueError, MemoryError) as error:
            raise DecodeError(f"an artifact of format {self.id} is not a table that pyarrow reads here") from error
        check_expansion(decoded_size.of_rows(arrow, table), len(stored_bytes), source.max_expansion)
        try:
            return _class_named(want, table.schema).from_arrow(*without_labels(table))
        except StorageError:
            raise
        except Exception as error:  # pandas and polars do not document their errors for tables of strangers
            raise DecodeError(
                f"an artifact of format {self.id} is a table that does not become a {want or 'DataFrame'} here, "
                f"{type(error).__name__}; annotate pa.Table"
            ) from error

    def there_and_back(self, table: Any) -> Any:
        """Return a table after it was written and read."""
        arrow = package("pyarrow", "arrow")
        return self.read(arrow, arrow.py_buffer(b"".join(self.write(arrow, table))), _UNLIMITED)

    def keeps_values(self, arrow_type: Any) -> bool:
        """Return whether values of a type come back whenever the type does."""
        raise NotImplementedError

    def write(self, arrow: Any, table: Any) -> list[bytes | memoryview]:
        """Return a `pyarrow.Table` in this format."""
        raise NotImplementedError

    def schema(self, arrow: Any, stored_bytes: Any) -> Any:
        """Return the schema of a stored table, without reading a column."""
        raise NotImplementedError

    def read(self, arrow: Any, stored_bytes: Any, ratio: int) -> Any:
        """Return the stored table; raises if it is larger than `ratio` allows."""
        raise NotImplementedError


def table_of(value: object) -> TableClass | None:
    """Return `value` as a table on its way to Arrow, or None if it is none of the three classes."""
    found = next((one for one in _CLASSES.values() if one.is_for(type(value))), None)
    return None if found is None else found(value)


def _class_named(want: str | None, schema: Any) -> type[TableClass]:
    return _CLASSES.get(want or "") or _CLASSES.get(labels_of(schema).word) or _CLASSES["table"]
