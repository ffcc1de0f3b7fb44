"""Scalars that JSON lacks, each as the text of JSON data with a tag of those that `json_tags` lists."""

from __future__ import annotations

import cmath
from binascii import b2a_base64
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from lucas_storage.formats.base import is_loaded, package
from lucas_storage.limits import TAGGED_BYTES
from lucas_storage.refs import ArtifactRef

from .scalar_readers import numpy_scalar
from .scalar_texts import EXACT, TextsOf, exact, ints, tagged, unescaped, write_float, write_text

_ZONE: Final = attrgetter("tzinfo")
_FOLD: Final = attrgetter("fold")


@dataclass(frozen=True, slots=True)
class Scalar:
    """How the values of one type are written."""

    texts: TextsOf
    holds: Callable[[Collection[Any]], bool] | None = None
    """Returns whether all of some values can be written; None if every value of the type can."""


def _base64(data: bytes | bytearray) -> str:
    return b2a_base64(data, newline=False).decode()


def _refs(values: Collection[ArtifactRef]) -> list[str]:
    # Without the run that made the artifact: equal data must have equal bytes, and one digest, in every run.
    return [exact((replace(value, run=None) if value.run else value).to_json()) for value in values]


def _zoned(tag: str, isoformat: Callable[[Any], str]) -> TextsOf:
    """Return what writes datetimes or times: as one text, or with the zone and the fold that are not in it."""
    whole = unescaped(tag, isoformat)

    def texts(values: Collection[Any]) -> list[str]:
        zones = _zones_of(values)
        apart = {key: exact(_write_zone(zone)) for key, zone in zones.items() if not _is_in_text(zone)}
        if not apart and not any(map(_FOLD, values)):
            return whole(values)
        return [
            in_parts(value, apart.get(id(value.tzinfo)) or exact(_write_zone(value.tzinfo)))
            if value.fold or id(value.tzinfo) in apart
            else whole((value,))[0]
            for value in values
        ]

    def in_parts(value: Any, zone: str) -> str:
        return f'{{"{tag}":["{isoformat(value.replace(tzinfo=None))}",{zone},{value.fold}]}}'

    return texts


def _is_in_text(zone: tzinfo | None) -> bool:
    return zone is None or zone is UTC or (type(zone) is timezone and len(_arguments(zone)) == 1)


def _write_zone(zone: tzinfo | None) -> Any:
    if type(zone) is timezone:
        offset, *name = _arguments(zone)
        return [offset.days, offset.seconds, offset.microseconds, *map(write_text, name)]
    return zone.key if isinstance(zone, ZoneInfo) else None


def _arguments(zone: timezone) -> tuple[Any, ...]:
    """Return the arguments of a zone: its offset, and its name if it was given one."""
    found: tuple[Any, ...] = zone.__getinitargs__()  # type: ignore[attr-defined]  # public in pickles of every Python
    return found


def _zones_of(values: Collection[Any]) -> dict[int, tzinfo | None]:
    # By identity, as zones of strangers may not be hashable: a column of dates has a few zones, whatever its length.
    return {id(zone): zone for zone in map(_ZONE, values)}


def _have_known_zones(values: Collection[Any]) -> bool:
    return all(map(_is_known_zone, _zones_of(values).values()))


def _is_known_zone(zone: tzinfo | None) -> bool:
    # A ZoneInfo that was made of a file has no key, by which another process would find it.
    return zone is None or type(zone) is timezone or (type(zone) is ZoneInfo and zone.key is not None)


def _durations(values: Collection[timedelta]) -> list[str]:
    return [f'{{"$timedelta":[{value.days},{value.seconds},{value.microseconds}]}}' for value in values]


def _complexes(values: Collection[complex]) -> list[str]:
    if all(map(cmath.isfinite, values)):
        return [f'{{"$complex":[{value.real!r},{value.imag!r}]}}' for value in values]
    return _COMPLEX(values)


_COMPLEX: Final = tagged("$complex", lambda value: [write_float(value.real), write_float(value.imag)])


def _ranges(values: Collection[range]) -> list[str]:
    each = iter(ints([int(number) for value in values for number in (value.start, value.stop, value.step)]))
    return [f'{{"$range":[{start},{stop},{step}]}}' for start, stop, step in zip(each, each, each, strict=True)]


def _slices(values: Collection[slice]) -> list[str]:
    return [f'{{"$slice":[{",".join(map(_part_of_slice, _slice_parts(value)))}]}}' for value in values]


def _part_of_slice(part: Any) -> str:
    return EXACT[type(part)]((part,))[0]


def _slice_parts(value: slice) -> tuple[Any, Any, Any]:
    return value.start, value.stop, value.step


def _hold_scalars(values: Collection[slice]) -> bool:
    # No more than that: nothing looks for references within a slice.
    return all(type(part) in EXACT for value in values for part in _slice_parts(value))


def _are_short(values: Collection[Any]) -> bool:
    return max(map(len, values), default=0) <= TAGGED_BYTES


def _are_kept(values: Collection[Any]) -> bool:
    # Tried, since some paths of Windows have a text that is read as another path.
    return all(type(value)(str(value)) == value for value in values)


_BASE: Final[dict[type, Scalar]] = {
    **{kind: Scalar(texts) for kind, texts in EXACT.items()},
    ArtifactRef: Scalar(_refs),
}
_ADDED: Final[dict[type, Scalar]] = {
    datetime: Scalar(_zoned("$datetime", datetime.isoformat), _have_known_zones),
    time: Scalar(_zoned("$time", time.isoformat), _have_known_zones),
    date: Scalar(unescaped("$date", date.isoformat)),
    timedelta: Scalar(_durations),
    Decimal: Scalar(unescaped("$decimal", str)),
    UUID: Scalar(unescaped("$uuid", str)),
    complex: Scalar(_complexes),
    bytes: Scalar(unescaped("$bytes", _base64), _are_short),
    bytearray: Scalar(unescaped("$bytearray", _base64), _are_short),
    range: Scalar(_ranges),
    slice: Scalar(_slices, _hold_scalars),
    PurePosixPath: Scalar(tagged("$posixpath", lambda value: write_text(str(value)))),
    PureWindowsPath: Scalar(tagged("$windowspath", lambda value: write_text(str(value))), _are_kept),
}
SCALARS: Final = {"json@1": _BASE, "json@2": _BASE | _ADDED}
"""By format id and type."""


def numpy_scalars(values: Collection[Any]) -> Scalar | None:
    """Return how values of one type are written if they are scalars of numpy that can be; None for other values."""
    one = next(iter(values))
    if not is_loaded(one, "numpy") or not _is_numpy_scalar(one):
        return None
    # Numbers of one class have one dtype; dates differ in their unit, and texts in their length.
    if one.dtype.kind in _NUMBERS:
        return _NUMPY_NUMBERS
    return _NUMPY if all(map(_is_numpy_scalar, values)) else None


def _numpy_numbers(values: Collection[Any]) -> list[str]:
    begin = f'{{"$numpy":["{next(iter(values)).dtype.str}","'
    return [f'{begin}{_base64(value.tobytes())}"]}}' for value in values]


_NUMBERS: Final = "biufc"
_NUMPY_NUMBERS: Final = Scalar(_numpy_numbers)
_NUMPY: Final = Scalar(tagged("$numpy", lambda value: [value.dtype.str, _base64(value.tobytes())]))


def _is_numpy_scalar(value: Any) -> bool:
    """Return whether `value` is a scalar, not an array, that its dtype string and bytes restore with its type."""
    dtype = getattr(value, "dtype", None)
    if dtype is None or not isinstance(value, dtype.type) or not _restores(value.__class__, dtype):
        return False
    if dtype.kind not in "SU":
        return True
    # Tried, since a dtype string does not restore every text.
    return bool(numpy_scalar(dtype.str, value.tobytes()) == value)


@lru_cache(256)
def _restores(kind: Any, dtype: Any) -> bool:
    if dtype.kind not in "biufcmMSU" or dtype.itemsize == 0:
        return False
    restored = package("numpy", "numpy").dtype(dtype.str)
    return restored == dtype and restored.type is kind
