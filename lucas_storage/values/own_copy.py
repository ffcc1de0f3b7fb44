"""Copies of values between steps, so that no edit of one step is seen by anybody else.

For small data the rules of `lucas_storage.formats.json_data.plain_data`, which judges data of any size, stand here in
one loop: for some hundred items that is quicker than passes in C, or a call for each.
"""

from __future__ import annotations

import copy
import marshal
import re
from collections.abc import Iterator
from math import isfinite
from typing import Any, Final

from actorc.storage.rules import is_utf8
from lucas_storage.class_names import package_of
from lucas_storage.formats.pickling import copied
from lucas_storage.limits import JSON_DEPTH

from .data_copy import DataCopy, HoldsItselfError, MayReferError
from .object_copy import SHARED, own_objects
from .storing.open_files import is_open_file
from .unchanging import is_unchanging

_CONTAINERS: Final = frozenset({dict, list, tuple})
_MOST_ITEMS: Final = 1000
LONGER: Final = 6
"""How many times as long as its marshalled form JSON text can be: a character of control takes six bytes there."""
_FORM: Final = 2
"""Version of the marshalled form in which floats are binary, and an object that stands in two places is there twice."""
_TAGGED: Final = re.compile(rb"\{[tu].{4}\$", re.DOTALL)
"""A dict whose first key begins with a dollar, as a tag does: its type, the type and the length of the text follow."""
_SHORT: Final = 1 << 62
INEXACT: Final = object()
"""Stands for the copy of a value that is no exact data."""


def own_data(value: Any) -> Any | None:
    """Return a copy of a built-in container, of which what stands in several places stays one object.

    None if a reference may be in it, or if something in it is not to be copied that way.

    Raises:
        RecursionError: A container is within itself, and not by way of an object.
    """
    copy = DataCopy()
    try:
        own = copy.of(value)
    except MayReferError:
        return None
    except HoldsItselfError:
        raise
    except RecursionError:  # nested too deep for Python, and not for pickle
        return own_objects(value)
    return own_objects(value) if copy.has_others else own


def own_leaf(value: Any, copies: dict[int, Any] | None = None) -> Any:
    """Return a copy of a value that is no container; itself if it never changes, or cannot be copied.

    Args:
        value: The value.
        copies: The copies that the same receiver got before, as `copy.deepcopy` notes them; what stands in several
            places of one argument stays one object.
    """
    kind = type(value)
    if is_unchanging(kind) or isinstance(value, Iterator) or is_open_file(value):
        return value
    home = package_of(kind)
    if home in SHARED:
        return value
    known = {} if copies is None else copies
    try:
        return copied(value) if home == "pandas" and _has_objects(value) else copy.deepcopy(value, known)
    except Exception:  # noqa: BLE001  # tells nothing but that another way is needed
        known.clear()  # of copies that are half done
    try:
        return copied(value)
    except Exception:  # noqa: BLE001  # a lock or a connection is passed to be shared
        return value


def _has_objects(value: Any) -> bool:
    """Return whether a table or a column of pandas holds Python objects, which its own deep copy shares."""
    dtypes: Any = getattr(value, "dtypes", None)
    # Of a column it is one.
    return "object" in (map(str, dtypes) if getattr(dtypes, "ndim", 0) else (str(dtypes),))


def small_copy(container: Any, most: int) -> Any | None:
    """Return a deep copy of a container of data that engines carry as it is, of at most `most` bytes in JSON.

    Such data is exact but for tuples, and has nothing that looks like a tag. A container that stands in two places
    becomes two. None for every other value, and for data that must be encoded to know its size; whichever it is costs
    the look at some hundred items.
    """
    own = judged_copy(container, most)
    return None if own is INEXACT else own


def judged_copy(container: Any, most: int) -> Any | None:
    """Return what `small_copy` does; or `INEXACT` if it was found that the value is no exact data."""
    if type(container) not in _CONTAINERS:
        return None
    judge = _Judge(_MOST_ITEMS)
    if not judge.takes(container, JSON_DEPTH):
        return INEXACT if judge.is_inexact else None
    data = marshal.dumps(container, _FORM)
    # The dollar first: a single byte is looked for much faster, and is rare.
    if len(data) * LONGER > most or (b"$" in data and _TAGGED.search(data)):
        return None
    if judge.is_flat and type(container) is not tuple:
        return container.copy()
    return marshal.loads(data)  # noqa: S302  # written above


class _Judge:
    """Counts the items of data while it judges them."""

    __slots__ = ("_left", "is_flat", "is_inexact")

    def __init__(self, left: int) -> None:
        self._left = left
        self.is_inexact = False
        """Whether there was something that is no exact data."""
        self.is_flat = True
        """Whether the data has no containers within."""

    def takes(self, container: Any, depth: int) -> bool:
        """Return whether a container holds few items, all exact data and tuples, nested at most `depth` levels deep."""
        self._left -= len(container)
        if self._left < 0 or not depth:
            return False
        is_dict = type(container) is dict
        if is_dict and not _has_exact_keys(container):
            return False
        for item in container.values() if is_dict else container:
            # The commonest first.
            kind = type(item)
            if kind is str:
                taken = item.isascii() or is_utf8(item)
            elif kind is int:
                taken = -_SHORT < item < _SHORT
            elif kind is float:
                taken = isfinite(item)
            elif kind in _CONTAINERS:
                self.is_flat = False
                taken = self.takes(item, depth - 1)
            else:
                taken = item is None or kind is bool
                self.is_inexact = not taken
            if not taken:
                return False
        return True


def _has_exact_keys(container: dict[Any, Any]) -> bool:
    # A loop and no generator, which would cost as much as the keys.
    for key in container:  # noqa: SIM110
        if type(key) is not str or not (key.isascii() or is_utf8(key)):
            return False
    return True
