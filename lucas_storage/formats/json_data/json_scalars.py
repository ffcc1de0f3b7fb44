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


def _in_base64(tag: str) -> TextsOf:
    def texts(values: Collection[bytes | bytearray]) -> list[str]:
        return [f'{{"{tag}":"{b2a_base64(value, newline=False).decode()}"}}' for value in values]

    return texts


def _refs(values: Collection[ArtifactRef]) -> list[str]:
    # Without the run that made the artifact: equal data must have equal bytes, and one digest, in every run.
    return [exact((replace(value, run=None) if value.run else value).to_json()) for value in values]


def _zoned(tag: str, example: datetime | time, naive: TextsOf) -> TextsOf:
    """Return what writes datetimes or times: as one text, or with the zone and the fold that are not in it.

    Args:
        tag: Of the type.
        example: Any value without a zone.
        naive: Returns the texts without the zones, in less time than values without them would be made.
    """
    length = len(example.isoformat())
    whole = unescaped(tag, type(example).isoformat)

    def texts(values: Collection[Any]) -> list[str]:
        zones = _zones_of(values)
        has_folds = any(map(_FOLD, values))
        if len(zones) == 1 and not has_folds:
            (zone,) = zones.values()
            begin, end = frame(zone, 0)
            return [f"{begin}{text}{end}" for text in naive(values)]
        if not has_folds and all(map(_is_in_text, zones.values())):
            return whole(values)
        frames = {key: frame(zone, 0) for key, zone in zones.items()}
        each = [frame(value.tzinfo, 1) if value.fold else frames[id(value.tzinfo)] for value in values]
        return [f"{begin}{text}{end}" for (begin, end), text in zip(each, naive(values), strict=True)]

    def frame(zone: tzinfo | None, fold: int) -> tuple[str, str]:
        if not fold and _is_in_text(zone):
            return f'{{"{tag}":"', example.replace(tzinfo=zone).isoformat()[length:] + '"}'
        return f'{{"{tag}":["', f'",{exact(_write_zone(zone))},{fold}]}}'

    return texts


def _naive_datetimes(values: Collection[datetime]) -> list[str]:
    # Half the time of `isoformat` with a zone, and a third of that of `replace` and `isoformat`.
    return [f"{value.date().isoformat()}T{value.time().isoformat()}" for value in values]


def _naive_times(values: Collection[time]) -> list[str]:
    return [(value.replace(tzinfo=None) if value.tzinfo else value).isoformat() for value in values]


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
    datetime: Scalar(_zoned("$datetime", datetime.combine(date.min, time.min), _naive_datetimes), _have_known_zones),
    time: Scalar(_zoned("$time", time.min, _naive_times), _have_known_zones),
    date: Scalar(unescaped("$date", date.isoformat)),
    timedelta: Scalar(_durations),
    Decimal: Scalar(unescaped("$decimal", str)),
    UUID: Scalar(unescaped("$uuid", str)),
    complex: Scalar(_complexes),
    bytes: Scalar(_in_base64("$bytes"), _are_short),
    bytearray: Scalar(_in_base64("$bytearray"), _are_short),
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
    return [f'{begin}{b2a_base64(value.tobytes(), newline=False).decode()}"]}}' for value in values]


_NUMBERS: Final = "biufc"
_NUMPY_NUMBERS: Final = Scalar(_numpy_numbers)
_NUMPY: Final = Scalar(lambda values: [text for value in values for text in _numpy_numbers((value,))])


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
