"""DataFrames of polars."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any, Self

from lucas_storage.formats.base import package

from .labels import Labels, with_labels
from .table_losses import SAMPLE, Codec, Loss, TableClass, changed, column


class PolarsFrames(TableClass):
    """`polars.DataFrame`."""

    word = "polars"
    package = "polars"
    name = "DataFrame"
    remainder = "the number of rows"

    def to_arrow(self) -> Any:
        """Return the frame as an Arrow table with its labels."""
        return with_labels(self.value.to_arrow(), Labels(self.word))

    @classmethod
    def from_arrow(cls, table: Any, labels: Labels) -> Any:
        """Return the frame that a table was made of."""
        del labels
        polars = package("polars", "polars")
        try:
            return polars.from_arrow(table)
        except polars.exceptions.PanicException as error:  # no `Exception`, which nobody expects of a conversion
            raise ValueError("polars gives up on this table") from error

    def loss(self, codec: Codec) -> Loss | None:
        """Return the first part that would not come back, and whether a pickle loses it, too."""
        polars = package("polars", "polars")
        try:
            found = super().loss(codec)
        except polars.exceptions.PanicException:
            found = Loss(None, "polars gives up on it")
        return found if found is None or found.by_all else replace(found, by_all=not _is_pickled(self.head().value))

    def unfit(self) -> Loss | None:
        """Return the first part that is known not to come back."""
        polars = package("polars", "polars")
        for name, dtype in self.value.schema.items():
            if _has(dtype, lambda one: one == polars.Object):
                return Loss(
                    column(name), "it holds Python objects", "convert it to another dtype, or drop it", by_all=True
                )
            # Looked for first, since polars ends the thread, with a trace on stderr, rather than read such a column.
            if _has(dtype, lambda one: isinstance(one, polars.Array) and 0 in one.shape):
                return Loss(column(name), f"nothing reads {dtype}", "convert it to a List, or drop it", by_all=True)
        return None

    def head(self) -> Self:
        """Return the first rows."""
        return type(self)(self.value.head(SAMPLE))

    def difference(self, other: Any) -> Loss | None:
        """Return the first difference in anything but values."""
        for name, dtype in self.value.schema.items():
            if name not in other.schema:
                return Loss(column(name), "it would get another name")
            if other.schema[name] != dtype:
                return changed(column(name), dtype, other.schema[name])
        return None if self.value.equals(other) else Loss(self.remainder, "it would change")

    def value_loss(self, sample: Any, codec: Codec) -> Loss | None:
        """Return the first column whose values would change."""
        doubtful = [index for index, field in enumerate(sample.schema) if not codec.keeps_values(field.type)]
        if not doubtful:
            return None
        every = self.value.get_columns()
        part = type(self)(type(self.value)([every[index] for index in doubtful]))
        back = self.after(part.to_arrow(), codec)
        for before, after in zip(part.value.get_columns(), back.get_columns(), strict=True):
            if not before.equals(after):
                return Loss(column(before.name), f"its values of {before.dtype} would change")
        return None

    def names(self) -> list[Any]:
        """Return the names of the columns."""
        return list(self.value.columns)

    def columns(self, start: int, stop: int) -> Self:
        """Return some of the columns."""
        return type(self)(type(self.value)(self.value.get_columns()[start:stop]))


def _is_pickled(head: Any) -> bool:
    """Return whether a pickle holds the first rows; no dtype of Python objects is among them."""
    try:
        back = pickle.loads(pickle.dumps(head))  # noqa: S301  # what was pickled here
    # Of a dtype that polars does not write.
    except (Exception, package("polars", "polars").exceptions.PanicException):  # noqa: BLE001
        return False
    return bool(back.schema == head.schema and back.equals(head))


def _has(dtype: Any, is_it: Any) -> bool:
    """Return whether a dtype, or one nested in it, is what `is_it` looks for."""
    inner = [dtype.inner] if hasattr(dtype, "inner") else [field.dtype for field in getattr(dtype, "fields", ())]
    return bool(is_it(dtype)) or any(_has(one, is_it) for one in inner)
