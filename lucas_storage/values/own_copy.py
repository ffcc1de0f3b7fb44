"""Copies of values between steps, so that no edit of one step is seen by anybody else.

For small data the rules of `lucas_storage.formats.json_data.plain_data`, which judges data of any size, stand here in
one loop: for some hundred items that is quicker than passes in C, or a call for each.
"""

from __future__ import annotations

import copy
import io
import marshal
import pickle
import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from itertools import chain
from math import isfinite
from typing import Any, Final, NoReturn

from actorc.storage.rules import is_utf8
from lucas_storage.formats.pickling import copied
from lucas_storage.limits import JSON_DEPTH
from lucas_storage.refs import TAG

from .object_copy import SHARED, own_objects
from .storing.open_files import is_open_file
from .unchanging import are_unchanging, is_unchanging

_TAG: Final = TAG.encode()
_COLLECTIONS: Final = frozenset({list, tuple, set, frozenset, deque})
_MAPPINGS: Final = frozenset({dict, OrderedDict, defaultdict, Counter})
_UNCHANGING_COLLECTIONS: Final = frozenset({tuple, frozenset})
_CONTAINERS: Final = frozenset({dict, list, tuple})
_MOST_ITEMS: Final = 1000
LONGER: Final = 6
"""How many times as long as its marshalled form JSON text can be: a character of control takes six bytes there."""
_FORM: Final = 2
"""Version of the marshalled form in which floats are binary, and an object that stands in two places is there twice."""
_TAGGED: Final = re.compile(rb"\{[tu].{4}\$", re.DOTALL)
"""A dict whose first key begins with a dollar, as a tag does: its type, the type and the length of the text follow."""
_SHORT: Final = 1 << 62


class _NotBuiltInError(Exception):
    """A value is of a class that pickle does not write by itself."""


class _BuiltInPickler(pickle.Pickler):
    """A pickler of built-in types alone, all of them written in C; whatever else it meets ends it."""

    def reducer_override(self, _: object) -> NoReturn:
        """Raise; called for every type but those that are written in C."""
        raise _NotBuiltInError


def own_data(value: Any) -> Any | None:
    """Return a copy of a container of built-in containers and scalars, at the speed of C; None for any other value.

    None as well if a reference may be among them, or if a container holds itself.
    """
    if _is_flat(value):
        return value if type(value) in _UNCHANGING_COLLECTIONS else value.copy()
    file = io.BytesIO()
    pickler = _BuiltInPickler(file, protocol=5)
    # Without a memory of what was written: texts stay findable below, and a container in itself is an error.
    pickler.fast = True
    try:
        pickler.dump(value)
    except _NotBuiltInError:
        return own_objects(value)
    except (ValueError, RecursionError):
        return None
    data = file.getvalue()
    return None if _TAG in data else pickle.loads(data)  # noqa: S301  # written above


def _is_flat(value: Any) -> bool:
    """Return whether a value is a built-in container of what never changes, and no reference."""
    if type(value) in _COLLECTIONS:
        return are_unchanging(set(map(type, value)))
    if type(value) not in _MAPPINGS or TAG in value or (type(value) is OrderedDict and vars(value)):
        return False
    return are_unchanging(set(map(type, chain(value, value.values()))))


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
    home = kind.__module__.partition(".")[0]
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
    if type(container) not in _CONTAINERS:
        return None
    judge = _Judge(_MOST_ITEMS)
    if not judge.takes(container, JSON_DEPTH):
        return None
    data = marshal.dumps(container, _FORM)
    # The dollar first: a single byte is looked for much faster, and is rare.
    if len(data) * LONGER > most or (b"$" in data and _TAGGED.search(data)):
        return None
    if judge.is_flat and type(container) is not tuple:
        return container.copy()
    return marshal.loads(data)  # noqa: S302  # written above


class _Judge:
    """Counts the items of data while it judges them."""

    __slots__ = ("_left", "is_flat")

    def __init__(self, left: int) -> None:
        self._left = left
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
            if not taken:
                return False
        return True


def _has_exact_keys(container: dict[Any, Any]) -> bool:
    # A loop and no generator, which would cost as much as the keys.
    for key in container:  # noqa: SIM110
        if type(key) is not str or not (key.isascii() or is_utf8(key)):
            return False
    return True
