"""The base of the three classes of tables: conversion to and from Arrow, and the search for losses by it."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

from lucas_storage.errors import StorageError

from .labels import Labels, without_labels

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


class TableClass(ABC):
    """One class of tables. Without state, so that all threads share one instance."""

    word: ClassVar[str]
    """The word for it in annotations and labels."""
    package: ClassVar[str]
    name: ClassVar[str]
    remainder: ClassVar[str]
    """What it consists of beside its columns, for messages."""

    def is_class_of(self, value: object) -> bool:
        """Return whether `value` is of exactly this class; a subclass would lose what makes it one."""
        return type(value) is getattr(sys.modules.get(self.package), self.name, None)

    @abstractmethod
    def to_arrow(self, value: Any) -> Any:
        """Return `value` as a `pyarrow.Table` with labels."""

    @abstractmethod
    def from_arrow(self, table: Any, labels: Labels) -> Any:
        """Return the table as an object of this class, from a `pyarrow.Table` whose labels are taken off."""

    def prepare(self) -> None:  # noqa: B027  # most classes need nothing
        """Import what must be there before a table of this class is read."""

    @abstractmethod
    def unfit(self, value: Any) -> Loss | None:
        """Return the first part of `value` that no format of tables holds, as far as a look at it tells."""

    @abstractmethod
    def head(self, value: Any) -> Any:
        """Return the first rows of `value`, without a copy of the others."""

    @abstractmethod
    def difference(self, one: Any, other: Any) -> Loss | None:
        """Return the first difference between two objects of a few rows, in anything but their values."""

    @abstractmethod
    def value_loss(self, value: Any, sample: Any, codec: Codec) -> Loss | None:
        """Return the first column whose values would change though its type does not.

        Args:
            value: The whole table. Columns that are sure to come back are not read.
            sample: The first rows as a `pyarrow.Table`, whose types say which columns need a look.
            codec: The format.
        """

    @abstractmethod
    def names(self, value: Any) -> list[Any]:
        """Return the names of the columns, in order."""

    @abstractmethod
    def columns(self, value: Any, start: int, stop: int) -> Any:
        """Return a table of some of the columns alone."""

    def loss(self, value: Any, codec: Codec) -> Loss | None:
        """Return a part of `value` that a format would not give back, or None if all of it comes back equal."""
        unfit = self.unfit(value)
        if unfit is not None:
            return unfit
        try:
            head = self.head(value)
            sample = self.to_arrow(head)
            return self.difference(head, self.after(sample, codec)) or self.value_loss(value, sample, codec)
        except (StorageError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  # pandas and polars do not document theirs
            first = (str(error).splitlines() or [""])[0]
            return Loss(None, f"{type(error).__name__}, {first}")

    def after(self, table: Any, codec: Codec) -> Any:
        """Return an object of this class as it arrives when it was `table`."""
        return self.from_arrow(*without_labels(codec.there_and_back(table)))

    def place_of_error(self, value: Any, codec: Codec) -> str:
        """Return the column that cannot be converted, found by halves, or what remains if each of them can be."""
        start, stop = 0, len(self.names(value))
        if start == stop or not self._fails(value, start, stop, codec):
            return self.remainder
        while stop - start > 1:
            middle = (start + stop) // 2
            start, stop = (start, middle) if self._fails(value, start, middle, codec) else (middle, stop)
        return column(self.names(value)[start])

    def _fails(self, value: Any, start: int, stop: int, codec: Codec) -> bool:
        try:
            return self.loss(self.columns(value, start, stop), codec) is not None
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
