"""Types whose values never change, so that several steps may hold the same one."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Final
from uuid import UUID

SCALARS: Final = frozenset({bool, int, float, str, type(None)})
UNCHANGING: Final = SCALARS | {
    bytes,
    complex,
    range,
    datetime,
    date,
    time,
    timedelta,
    Decimal,
    UUID,
    PurePosixPath,
    PureWindowsPath,
}


def are_unchanging(kinds: Iterable[type]) -> bool:
    """Return whether no value of any of some types can be changed."""
    return all(kind in UNCHANGING or is_unchanging(kind) for kind in kinds)


def is_unchanging(kind: type) -> bool:
    """Return whether no value of a type can be changed; members of an enum count, which are the same for everybody."""
    return kind in UNCHANGING or issubclass(kind, (PurePath, Enum)) or _is_of_numpy_scalars(kind)


def _is_of_numpy_scalars(kind: type) -> bool:
    numpy = sys.modules.get("numpy") if kind.__module__ == "numpy" else None
    if numpy is None:
        return False
    # A record of several fields can be changed, and holds objects perhaps.
    return issubclass(kind, numpy.generic) and not issubclass(kind, (numpy.void, numpy.object_))
