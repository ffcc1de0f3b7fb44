"""The search for losses: which part of a table a format would not give back as it is."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, Self

from lucas_storage.errors import StorageError

from .labels import without_labels
from .table_conversion import TableConversion

SAMPLE: Final = 2
"""Rows that are enough to see whether types, names and the index come back; the rest of a large table is not read."""


class Codec(Protocol):
    """A format as the search for losses sees it."""

    def there_and_back(self, table: Any) -> Any:
        """Return a `pyarrow.Table` after it was written and read."""

    def keeps_values(self, arrow_type: Any) -> bool:
        """Return whether values of a type come back whenever the type does."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A part of a table that would not come back as it is."""

    place: str | None
    """Such as ``column 'a'``; None if only `TableClass.place_of_error` finds it."""
    what: str
    """What would become of it."""
    remedy: str = "convert it, or leave the format out"
    by_all: bool = False
    """Whether a pickle loses it, too."""


class TableClass(TableConversion):
    """One table of one of the three classes, which tells what a format would lose of it."""

    remainder: ClassVar[str]
    """What it consists of beside its columns, for messages."""

    @abstractmethod
    def unfit(self) -> Loss | None:
        """Return the first part that no format of tables holds, as far as a look at it tells."""

    @abstractmethod
    def head(self) -> Self:
        """Return the first rows, without a copy of the others."""

    @abstractmethod
    def difference(self, other: Any) -> Loss | None:
        """Return the first difference of a few rows to what came back, in anything but their values."""

    @abstractmethod
    def value_loss(self, sample: Any, codec: Codec) -> Loss | None:
        """Return the first column whose values would change though its type does not.

        Columns that are sure to come back are not read.

        Args:
            sample: The first rows as a `pyarrow.Table`, whose types say which columns need a look.
            codec: The format.
        """

    @abstractmethod
    def names(self) -> list[Any]:
        """Return the names of the columns, in order."""

    @abstractmethod
    def columns(self, start: int, stop: int) -> Self:
        """Return a table of some of the columns alone."""

    def loss(self, codec: Codec) -> Loss | None:
        """Return a part that a format would not give back, or None if all of it comes back equal."""
        unfit = self.unfit()
        if unfit is not None:
            return unfit
        try:
            head = self.head()
            sample = head.to_arrow()
            return head.difference(self.after(sample, codec)) or self.value_loss(sample, codec)
        except (StorageError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  # pandas and polars do not document theirs
            first = (str(error).splitlines() or [""])[0]
            return Loss(None, f"{type(error).__name__}, {first}")

    def after(self, table: Any, codec: Codec) -> Any:
        """Return what arrives when `table` was written and read."""
        return self.from_arrow(*without_labels(codec.there_and_back(table)))

    def place_of_error(self, codec: Codec) -> str:
        """Return the column that cannot be converted, found by halves, or what remains if each of them can be."""
        start, stop = 0, len(self.names())
        if start == stop or not self._fails(start, stop, codec):
            return self.remainder
        while stop - start > 1:
            middle = (start + stop) // 2
            start, stop = (start, middle) if self._fails(start, middle, codec) else (middle, stop)
        return column(self.names()[start])

    def _fails(self, start: int, stop: int, codec: Codec) -> bool:
        try:
            return self.columns(start, stop).loss(codec) is not None
        except (StorageError, MemoryError):
            raise
        except Exception:  # noqa: BLE001  # of columns that pandas itself cannot take apart
            return True


def column(name: object) -> str:
    """Return the name of a column as messages show it."""
    return f"column {name!r}"


def changed(place: str, before: object, after: object) -> Loss:
    """Return the loss of a part that would come back as another."""
    return Loss(place, f"{before} would come back as {after}")
