"""Copies of data with objects in it, at the speed of C.

To take objects apart, copy their fields and put them together takes Python fifty times as long.
"""

from __future__ import annotations

import io
import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import timezone
from typing import Any, Final
from zoneinfo import ZoneInfo

from lucas_storage.class_names import package_of
from lucas_storage.containers import class_fields, field_names
from lucas_storage.refs import TAG

from .unchanging import UNCHANGING, is_unchanging

_KNOWN: Final = UNCHANGING | {OrderedDict, defaultdict, Counter, deque, timezone, ZoneInfo}
"""Types that pickle takes apart itself, beside those that it writes in C."""
_TAG: Final = TAG.encode()
SHARED: Final = frozenset({"pyarrow", "actorc", "lucas_storage"})
"""Packages whose objects never change, or are there to be shared, such as clients."""


class _ForeignError(Exception):
    """An object is of a class that copies it in a way of its own, or that is no data."""


class _Pickler(pickle.Pickler):
    """A pickler of data and of objects that leave it to Python how they are copied; whatever else it meets ends it."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self._takes: dict[type, bool] = {}

    def reducer_override(self, value: object) -> Any:
        """Return NotImplemented, which leaves the value to pickle; called for all types but those written in C."""
        kind = type(value)
        taken = self._takes.get(kind)
        if taken is None:
            # Classes are written by name, and are not copied.
            taken = self._takes[kind] = issubclass(kind, type) or kind in _KNOWN or _is_copied_by_python(kind, value)
        if not taken:
            raise _ForeignError
        return NotImplemented


def own_objects(value: Any) -> Any | None:
    """Return a deep copy of data in which objects with declared fields are, or members of enums; None for other values.

    None as well if a reference may be among them. What stands in several places stays one object, and objects may
    refer to each other in a circle.
    """
    file = io.BytesIO()
    try:
        _Pickler(file).dump(value)
        data = file.getvalue()
        return None if _TAG in data else pickle.loads(data)  # noqa: S301  # written above
    except Exception:  # noqa: BLE001  # tells nothing but that another way is needed, as for a class within a function
        return None


def _is_copied_by_python(kind: Any, value: object) -> bool:
    """Return whether pickle copies an object as `copy.deepcopy` does, field by field."""
    if is_unchanging(kind):
        return True
    # References are dataclasses, and are loaded where data is; other objects of this package are there to be shared.
    if package_of(kind) in SHARED:
        return False
    if kind.__reduce__ is not object.__reduce__ or kind.__reduce_ex__ is not object.__reduce_ex__:
        return False
    if isinstance(value, tuple):
        return field_names(value) is not None and not _has_own_new(kind)
    return class_fields(kind) is not None and _has_no_own_copy(kind)


def _has_own_new(kind: type) -> bool:
    """Return whether a class derives from a named tuple and makes its tuples in another way."""
    maker = next(cls for cls in kind.__mro__ if "__new__" in vars(cls))
    return "_fields" not in vars(maker)


def _has_no_own_copy(kind: type) -> bool:
    copies = getattr(kind, "__deepcopy__", None)
    # Models of pydantic have one, which does what pickling does.
    return copies is None or getattr(copies, "__module__", "").partition(".")[0] == "pydantic"
