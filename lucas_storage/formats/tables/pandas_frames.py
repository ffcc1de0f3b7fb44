"""DataFrames of pandas."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Final, Self

from lucas_storage.formats.base import package

from . import pandas_offsets
from .labels import Labels, with_labels
from .pandas_equality import difference, frequency, is_same, is_same_array, is_same_index
from .table_losses import SAMPLE, Codec, Loss, TableClass, column

_NO_FREQUENCY: Final = "set it to None, or leave the format out"


class PandasFrames(TableClass):
    """`pandas.DataFrame`."""

    word = "dataframe"
    package = "pandas"
    name = "DataFrame"
    remainder = "the index"

    def to_arrow(self) -> Any:
        """Return the frame as an Arrow table with its labels."""
        table = package("pyarrow", "arrow").Table.from_pandas(self.value)
        found = frequency(self.value.index)
        return with_labels(table, Labels(self.word, None if found is None else pandas_offsets.to_text(found)))

    @classmethod
    def from_arrow(cls, table: Any, labels: Labels) -> Any:
        """Return the frame that a table was made of."""
        frame = table.to_pandas()
        if labels.frequency is not None:
            # Arrow has no frequency of an index; without it the frame would not be equal to the stored one.
            frame.index.freq = pandas_offsets.from_text(labels.frequency)
        return frame

    @classmethod
    def prepare(cls) -> None:
        """Import pandas, with the types that it registers at pyarrow."""
        package("pandas", "pandas")
        # Without these types, an index of periods or intervals is read as numbers.
        with suppress(ImportError):
            __import__("pandas.core.arrays.arrow.extension_types")

    def unfit(self) -> Loss | None:
        """Return the first part that is known not to come back."""
        return (
            _unfit_names(self.value.columns)
            or _unfit_attributes(self.value.attrs)
            or _unfit_frequency(self.value.index)
        )

    def head(self) -> Self:
        """Return the first rows."""
        return type(self)(self.value.iloc[:SAMPLE])

    def difference(self, other: Any) -> Loss | None:
        """Return the first difference in anything but values."""
        return difference(self.value, other)

    def value_loss(self, sample: Any, codec: Codec) -> Loss | None:
        """Return the first column whose values would change."""
        width = len(self.value.columns)
        changing = [not codec.keeps_values(field.type) for field in sample.schema]
        doubtful = [index for index, dtype in enumerate(self.value.dtypes) if changing[index] or _may_change(dtype)]
        of_index = any(changing[width:]) or _is_index_of_objects(self.value.index)
        if not doubtful and not of_index:
            return None
        part = self.value.iloc[:, doubtful] if of_index else _without_index(self.value.iloc[:, doubtful])
        table = type(self)(part).to_arrow()
        # Objects change on their way to Arrow, if at all; writing and reading long texts again would show no more.
        through = all(codec.keeps_values(field.type) for field in table.schema)
        back = table.to_pandas() if through else self.after(table, codec)
        for index, name in enumerate(part.columns):
            if not is_same_array(part.iloc[:, index], back.iloc[:, index]):
                return _change_of(part.iloc[:, index], column(name))
        return None if is_same_index(part.index, back.index) else Loss("the index", "its values would change")

    def place_of_error(self, codec: Codec) -> str:
        """Return the names of the columns, if it is these that cannot be converted, or one column, or the index."""
        renamed = self.value.copy(deep=False)
        renamed.columns = range(len(self.value.columns))
        only_names = len(self.value.columns) > 0 and type(self)(renamed).loss(codec) is None
        return "the names of the columns" if only_names else super().place_of_error(codec)

    def names(self) -> list[Any]:
        """Return the names of the columns."""
        return list(self.value.columns)

    def columns(self, start: int, stop: int) -> Self:
        """Return some of the columns."""
        return type(self)(_without_index(self.value.iloc[:, start:stop]))


def _without_index(frame: Any) -> Any:
    bare = frame.copy(deep=False)
    bare.index = range(len(frame))
    return bare


def _unfit_names(columns: Any) -> Loss | None:
    place = "the names of the columns"
    if not columns.is_unique:
        return Loss(place, f"{columns[columns.duplicated()][0]!r} is there more than once", "rename the columns")
    for level in range(columns.nlevels):
        kinds = {type(name).__name__ for name in columns.get_level_values(level)}
        # Looked for first, since pyarrow warns of them: all would come back as text.
        if len(kinds) > 1 or kinds == {"tuple"}:
            return Loss(place, f"they are of the types {', '.join(sorted(kinds))} and would become text")
    return None


def _unfit_attributes(attributes: dict[Any, Any]) -> Loss | None:
    # pyarrow keeps them as JSON, and warns of those that it drops.
    if attributes:
        with suppress(TypeError, ValueError, RecursionError):
            if is_same(json.loads(json.dumps(attributes)), attributes):
                return None
        return Loss("the attributes (attrs)", "they are not JSON, and would change")
    return None


def _unfit_frequency(index: Any) -> Loss | None:
    """Return the loss if decoding could not give the whole index its frequency, which depends on all values."""
    if index.nlevels > 1:
        lost = [found for level in range(index.nlevels) if (found := frequency(index.get_level_values(level)))]
        return Loss("the index", f"the frequency {lost[0]!r} of a level would be lost", _NO_FREQUENCY) if lost else None
    found = frequency(index)
    text = None if found is None else pandas_offsets.to_text(found)
    if found is None or (text and _is_restored(index, text)):
        return None
    return Loss("the index", f"its frequency {found!r} cannot be restored", _NO_FREQUENCY)


def _is_restored(index: Any, text: str) -> bool:
    # Tried on all values, as pandas does not see to it that they have the frequency: those of business days with an
    # offset begin without it, and where clocks change, a frequency of days may be kept for steps of 24 hours.
    again = index[:]  # without a copy of the values, and no part of the user's index, as `index.copy()` is
    try:
        again.freq = pandas_offsets.from_text(text)
    except Exception:  # noqa: BLE001  # such as that of the time zone's package for a time that is there twice
        return False
    return True


def _may_change(dtype: Any) -> bool:
    """Return whether values of a dtype may change on their way to Arrow, though the first rows do not."""
    if str(dtype) in ("Float32", "Float64"):  # NaN, which is not missing there, would be
        return True
    return str(dtype) == "object" or getattr(dtype, "storage", None) == "python"


def _is_index_of_objects(index: Any) -> bool:
    """Return whether an index has values whose types the first rows do not show."""
    if index.nlevels == 1:
        return _may_change(index.dtype)
    # A level without a value in some row, for which the code is -1, comes back as another dtype.
    missing = any((codes == -1).any() for codes in index.codes)
    return missing or any(_may_change(level.dtype) for level in index.levels)


def _change_of(values: Any, place: str) -> Loss:
    kinds = ", ".join(sorted({type(value).__name__ for value in values})) if str(values.dtype) == "object" else ""
    return Loss(place, f"its values of {kinds or values.dtype} would change")
