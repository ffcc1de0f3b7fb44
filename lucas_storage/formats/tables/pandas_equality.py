"""Equality of frames and their parts, in everything that pandas restores from Arrow or fails to.

Stricter than pandas where its own equality leaves out types of values, names, or the order of categories, and as strict
where it takes one thing for another: a `RangeIndex` of columns for the same numbers, one time zone of two packages.
"""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Any, Final

from .pandas_offsets import is_same_offset
from .table_losses import Loss, changed, column

_PLAIN: Final = frozenset({str, type(None), bytes, bool, date, time, Decimal})
"""Types of values that are compared as objects; of others, equality may not say enough, or be no bool."""
_WRITTEN_OUT: Final = frozenset({time, Decimal})
"""Types of which equal values may differ: by the number of zeros, by the side of a change of the clock."""


def difference(one: Any, other: Any) -> Loss | None:
    """Return the first difference between two frames in anything but their values."""
    return _of_columns(one, other) or _of_index(one.index, other.index) or _of_the_rest(one, other)


def _of_columns(one: Any, other: Any) -> Loss | None:
    if not is_same_index(one.columns, other.columns):
        return changed("the names of the columns", _shown(one.columns), _shown(other.columns))
    for name, before, after in zip(one.columns, one.dtypes, other.dtypes, strict=True):
        if not is_same_dtype(before, after):
            return changed(column(name), f"its dtype {before}", after)
    return None


def _of_index(one: Any, other: Any) -> Loss | None:
    if not is_same_offset(frequency(one), frequency(other)):
        return Loss("the index", f"its frequency {frequency(one)!r} would change")
    return None if is_same_index(one, other) else changed("the index", _shown(one), _shown(other))


def _of_the_rest(one: Any, other: Any) -> Loss | None:
    if not is_same(one.attrs, other.attrs):
        return Loss("the attributes (attrs)", "their values would change")
    return None if one.flags == other.flags else Loss("the flags", f"{one.flags} would be lost")


def is_same_index(one: Any, other: Any) -> bool:
    """Return whether two indexes have the same values, types and names."""
    if not is_same(list(one.names), list(other.names)) or one.nlevels != other.nlevels:
        return False
    if one.nlevels == 1:
        return _class_of(one) == _class_of(other) and is_same_array(one, other)
    # The dtypes of levels, too: that of their values is another one where some are missing.
    dtypes = all(map(is_same_dtype, *([level.dtype for level in index.levels] for index in (one, other))))
    levels = [(one.get_level_values(level), other.get_level_values(level)) for level in range(one.nlevels)]
    return dtypes and all(is_same_array(*pair) for pair in levels)


def is_same_array(one: Any, other: Any) -> bool:
    """Return whether two columns, or levels of an index, have the same dtype, frequency and values."""
    if not is_same_dtype(one.dtype, other.dtype) or not is_same_offset(frequency(one), frequency(other)):
        return False
    if str(one.dtype) == "object":
        return is_same_objects(list(one), list(other))
    return bool(one.array.equals(other.array))


def is_same_objects(one: list[Any], other: list[Any]) -> bool:
    """Return whether two columns of Python objects have the same values; False if values are of other than plain types.

    Lists are compared as a whole, which takes some nanoseconds for a value.
    """
    types = set(map(type, one))
    if not types <= _PLAIN or list(map(type, one)) != list(map(type, other)) or one != other:
        return False
    return types.isdisjoint(_WRITTEN_OUT) or list(map(repr, one)) == list(map(repr, other))


def is_same_dtype(one: Any, other: Any) -> bool:
    """Return whether two dtypes are the same, and the categories of categorical ones in the same order."""
    if type(one) is not type(other) or one != other or str(one) != str(other):
        return False
    if hasattr(one, "categories"):
        return one.ordered == other.ordered and is_same_index(one.categories, other.categories)
    return True


def is_same(one: Any, other: Any) -> bool:
    """Return whether names, or attributes, are equal and of the same types at any depth."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, dict):
        return is_same(list(one.items()), list(other.items()))
    return one is other or bool(one == other)


def _class_of(index: Any) -> str:
    # As pandas does: names of columns that nobody gave are a range before, and numbers afterwards.
    name = type(index).__name__
    return "Index" if name == "RangeIndex" else name


def frequency(index: Any) -> Any:
    """Return the frequency of an index that may have one apart from its dtype, or None."""
    return index.freq if type(index).__name__ in ("DatetimeIndex", "TimedeltaIndex") else None


def _shown(index: Any) -> str:
    names = "" if list(index.names) == [None] * index.nlevels else f" named {list(index.names)}"
    dtypes = list(map(str, index.dtypes)) if index.nlevels > 1 else index.dtype
    return f"{type(index).__name__} of {dtypes}{names}"
