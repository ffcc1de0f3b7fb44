"""Copies of values for the step that is given them, so that no edit of it is seen by anybody else."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from pathlib import PurePath
from typing import Any, Final, NoReturn
from uuid import UUID

from lucas_storage.refs import TAG

SCALARS: Final = frozenset({bool, int, float, str, type(None)})
_UNCHANGING: Final = SCALARS | {bytes, complex, datetime, date, time, timedelta, Decimal, UUID}
_SHARED: Final = ("pyarrow", "actorc", "lucas_storage")
"""Packages whose objects never change, or are there to be shared, such as clients."""
_TAG: Final = TAG.encode()


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
        return value.copy()
    file = io.BytesIO()
    pickler = _BuiltInPickler(file, protocol=5)
    # Without a memory of what was written: texts stay findable below, and a container in itself is an error.
    pickler.fast = True
    try:
        pickler.dump(value)
    except (_NotBuiltInError, ValueError, RecursionError):
        return None
    data = file.getvalue()
    return None if _TAG in data else pickle.loads(data)  # noqa: S301  # written above


def _is_flat(value: Any) -> bool:
    """Return whether a value is a list or a dict of scalars, and no reference."""
    if type(value) is list:
        return set(map(type, value)) <= SCALARS
    return type(value) is dict and TAG not in value and set(map(type, chain(value, value.values()))) <= SCALARS


def own_leaf(value: Any) -> Any:
    """Return a copy of a value that is no container; itself if it never changes, or cannot be copied."""
    kind = type(value)
    if kind in _UNCHANGING or isinstance(value, (PurePath, Iterator)) or hasattr(value, "read"):
        return value
    if kind.__module__.partition(".")[0] in _SHARED:
        return value
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001  # a lock, a connection: whoever passes one means to share it
        return value
