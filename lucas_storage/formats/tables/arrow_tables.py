"""Tables of pyarrow."""

from __future__ import annotations

from typing import Any, Self

from lucas_storage.errors import NoFormatError
from lucas_storage.formats.base import package

from .labels import Labels, own_keys, with_labels
from .table_losses import SAMPLE, Codec, Loss, TableClass, changed, column


class ArrowTables(TableClass):
    """`pyarrow.Table`, with its chunks put together as the format likes."""

    word = "table"
    package = "pyarrow"
    name = "Table"
    remainder = "the schema"

    def to_arrow(self) -> Any:
        """Return the table with its labels.

        Raises:
            NoFormatError: A column breaks a rule of Arrow, such as a text that is not UTF-8.
        """
        arrow = package("pyarrow", "arrow")
        for name, values in zip(self.value.column_names, self.value.columns, strict=True):
            try:
                # As decoding does: pyarrow does not look at the buffers that an array is made of.
                values.validate(full=not arrow.types.is_primitive(values.type))
            except arrow.ArrowInvalid as error:
                raise NoFormatError(
                    f"{column(name)} of a pyarrow.Table breaks a rule of Arrow; build it anew from Python values"
                ) from error
        return with_labels(self.value, Labels(self.word))

    @classmethod
    def from_arrow(cls, table: Any, labels: Labels) -> Any:
        """Return the table itself."""
        del labels
        return table

    def unfit(self) -> Loss | None:
        """Return the first part that is known not to come back."""
        taken = own_keys(self.value.schema)
        if taken:
            return Loss(f"the metadata {taken[0]!r}", "the key is this package's", "rename it, or leave the format out")
        if self.value.num_rows and not self.value.num_columns:
            return Loss(
                "the rows",
                f"a table of {self.value.num_rows} rows without columns loses their number",
                "add a column, or pass the number itself",
                by_all=True,
            )
        return None

    def head(self) -> Self:
        """Return the first rows."""
        # Never more: pyarrow believes the length, if there is no column.
        return type(self)(self.value.slice(0, min(SAMPLE, self.value.num_rows)))

    def difference(self, other: Any) -> Loss | None:
        """Return the first difference in anything but values."""
        for before, after in zip(self.value.schema, other.schema, strict=True):
            if not is_same_field(before, after):
                place = column(before.name)
                if str(before.type) == str(after.type):
                    return Loss(place, "its metadata would change")
                return changed(place, before.type, after.type)
        if not self.value.schema.equals(other.schema, check_metadata=True):
            return Loss("the metadata of the schema", "it would change")
        return None

    def value_loss(self, sample: Any, codec: Codec) -> Loss | None:
        """Return the first column whose values would change."""
        doubtful = [
            index
            for index, field in enumerate(sample.schema)
            # Nulls where the schema allows none are written as values by some versions of pyarrow.
            if not codec.keeps_values(field.type) or (not field.nullable and self.value.column(index).null_count)
        ]
        if not doubtful:
            return None
        part = self.value.select(doubtful)
        back = codec.there_and_back(part)
        for name, before, after in zip(part.column_names, part.columns, back.columns, strict=True):
            if not before.equals(after) or str(before.type) != str(after.type):
                return Loss(
                    column(name),
                    f"its values of {before.type} would change",
                    "call unify_dictionaries if it is chunked, convert it, or leave the format out",
                )
        return None

    def names(self) -> list[Any]:
        """Return the names of the columns."""
        return list(self.value.column_names)

    def columns(self, start: int, stop: int) -> Self:
        """Return some of the columns."""
        return type(self)(self.value.select(list(range(start, stop))))


def is_same_field(one: Any, other: Any) -> bool:
    """Return whether two fields are equal, names and metadata within nested types included."""
    # By the text, too: lists whose items have another name are equal types to Arrow.
    return bool(one.equals(other, check_metadata=True)) and str(one.type) == str(other.type)
