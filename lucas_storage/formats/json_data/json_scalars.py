"""Scalars that JSON lacks, each as JSON data with a tag of those that `json_tags` lists."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from actorc.storage.rules import is_utf8
from lucas_storage.errors import DecodeError
from lucas_storage.formats.base import is_loaded, package
from lucas_storage.limits import TAGGED_BYTES
from lucas_storage.refs import ArtifactRef

from .plain_data import is_short


@dataclass(frozen=True, slots=True)
class Scalar:
    """How the values of one type are written: as the text of what `content` returns, under a tag if there is one."""

    content: Callable[[Any], Any]
    """Returns exact data."""
    tag: str | None = None
    holds: Callable[[Collection[Any]], bool] | None = None
    """Returns whether all of some values can be written; None if every value of the type can."""


def _base64(data: bytes | bytearray) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _same(value: Any) -> Any:
    return value


def write_int(value: int) -> Any:
    """Return an int as JSON data; one too long for other readers in hexadecimal."""
    return value if is_short(value) else {"$int": f"{value:x}"}


def write_float(value: float) -> Any:
    """Return a float as JSON data."""
    return value if math.isfinite(value) else {"$float": repr(value)}


def write_text(value: str) -> Any:
    """Return a str as JSON data."""
    return value if value.isascii() or is_utf8(value) else {"$text": _base64(value.encode("utf-8", "surrogatepass"))}


def _write_ref(value: ArtifactRef) -> Any:
    # Without the run that made the artifact: equal data must have equal bytes, and one digest, in every run.
    return replace(value, run=None).to_json() if value.run else value.to_json()


def _write_zoned(value: datetime | time) -> Any:
    zone = value.tzinfo
    if not value.fold and (zone is None or zone is UTC or (type(zone) is timezone and len(_arguments(zone)) == 1)):
        return value.isoformat()
    return [value.replace(tzinfo=None).isoformat(), _write_zone(zone), value.fold]


def _write_zone(zone: tzinfo | None) -> Any:
    if type(zone) is timezone:
        offset, *name = _arguments(zone)
        return [offset.days, offset.seconds, offset.microseconds, *map(write_text, name)]
    return zone.key if isinstance(zone, ZoneInfo) else None


def _arguments(zone: timezone) -> tuple[Any, ...]:
    """Return the arguments of a zone: its offset, and its name if it was given one."""
    found: tuple[Any, ...] = zone.__getinitargs__()  # type: ignore[attr-defined]  # public in pickles of every Python
    return found


def _have_known_zones(values: Collection[Any]) -> bool:
    # By identity, as zones of strangers may not be hashable: a column of dates has a few zones, whatever its length.
    zones = map(attrgetter("tzinfo"), values)
    return all(map(_is_known_zone, {id(zone): zone for zone in zones}.values()))


def _is_known_zone(zone: tzinfo | None) -> bool:
    # A ZoneInfo that was made of a file has no key, by which another process would find it.
    return zone is None or type(zone) is timezone or (type(zone) is ZoneInfo and zone.key is not None)


def _are_short(values: Collection[Any]) -> bool:
    return max(map(len, values), default=0) <= TAGGED_BYTES


def _slice_parts(value: slice) -> tuple[Any, Any, Any]:
    return value.start, value.stop, value.step


def _hold_scalars(values: Collection[slice]) -> bool:
    # No more than that: nothing looks for references within a slice.
    return all(
        type(part) in _BASE and type(part) is not ArtifactRef for value in values for part in _slice_parts(value)
    )


def _are_kept(values: Collection[Any]) -> bool:
    # Tried, since some paths of Windows have a text that is read as another path.
    return all(type(value)(str(value)) == value for value in values)


_BASE: Final[dict[type, Scalar]] = {
    type(None): Scalar(_same),
    bool: Scalar(_same),
    int: Scalar(write_int),
    float: Scalar(write_float),
    str: Scalar(write_text),
    ArtifactRef: Scalar(_write_ref),
}
_ADDED: Final[dict[type, Scalar]] = {
    datetime: Scalar(_write_zoned, "$datetime", _have_known_zones),
    time: Scalar(_write_zoned, "$time", _have_known_zones),
    date: Scalar(date.isoformat, "$date"),
    timedelta: Scalar(lambda value: [value.days, value.seconds, value.microseconds], "$timedelta"),
    Decimal: Scalar(str, "$decimal"),
    UUID: Scalar(str, "$uuid"),
    complex: Scalar(lambda value: [write_float(value.real), write_float(value.imag)], "$complex"),
    bytes: Scalar(_base64, "$bytes", _are_short),
    bytearray: Scalar(_base64, "$bytearray", _are_short),
    range: Scalar(lambda value: [write_int(int(n)) for n in (value.start, value.stop, value.step)], "$range"),
    slice: Scalar(
        lambda value: [_BASE[type(part)].content(part) for part in _slice_parts(value)], "$slice", _hold_scalars
    ),
    PurePosixPath: Scalar(lambda value: write_text(str(value)), "$posixpath"),
    PureWindowsPath: Scalar(lambda value: write_text(str(value)), "$windowspath", _are_kept),
}
SCALARS: Final = {"json@1": _BASE, "json@2": _BASE | _ADDED}
"""By format id and type."""


def numpy_scalars(values: Collection[Any]) -> Scalar | None:
    """Return how values of one type are written if they are scalars of numpy that can be; None for other values."""
    one = next(iter(values))
    if not is_loaded(one, "numpy") or not _is_numpy_scalar(one):
        return None
    # Numbers of one class have one dtype; dates differ in their unit, and texts in their length.
    return Scalar(_write_numpy) if one.dtype.kind in "biufc" or all(map(_is_numpy_scalar, values)) else None


def _write_numpy(value: Any) -> Any:
    return {"$numpy": [value.dtype.str, _base64(value.tobytes())]}


def _is_numpy_scalar(value: Any) -> bool:
    """Return whether `value` is a scalar, not an array, that its dtype string and bytes restore with its type."""
    dtype = getattr(value, "dtype", None)
    if dtype is None or not isinstance(value, dtype.type) or not _restores(value.__class__, dtype):
        return False
    if dtype.kind not in "SU":
        return True
    # Tried, since a dtype string does not restore every text.
    return bool(_numpy_scalar(dtype.str, value.tobytes()) == value)


@lru_cache(256)
def _restores(kind: Any, dtype: Any) -> bool:
    if dtype.kind not in "biufcmMSU" or dtype.itemsize == 0:
        return False
    restored = package("numpy", "numpy").dtype(dtype.str)
    return restored == dtype and restored.type is kind


def _numpy_scalar(dtype: str, data: bytes) -> Any:
    numpy = package("numpy", "numpy")
    kind = numpy.dtype(dtype)
    # Bytes of a stranger as pointers to objects would crash the interpreter.
    if kind.hasobject:
        raise ValueError("a scalar of Python objects")
    (value,) = numpy.frombuffer(data, kind)
    return value


def _read_zoned(read: Callable[[str], Any]) -> Callable[[Any], Any]:
    def restored(content: Any) -> Any:
        if type(content) is str:
            return read(content)
        text, zone, fold = content
        return read(text).replace(tzinfo=_read_zone(zone), fold=fold)

    return restored


def _read_zone(content: Any) -> tzinfo | None:
    if content is None:
        return None
    if type(content) is list:
        days, seconds, microseconds, *name = content
        return timezone(timedelta(days, seconds, microseconds), *name)
    try:
        return ZoneInfo(content)
    except ZoneInfoNotFoundError as error:
        raise DecodeError(f"the time zone {content!r:.80} is not known here; pip install tzdata") from error


def _read_slice(content: Any) -> slice:
    start, stop, step = content
    return slice(start, stop, step)


READERS: Final[dict[str, dict[str, Callable[[Any], Any]]]] = {
    "json@1": {
        "$int": lambda content: int(content, 16),
        "$float": lambda content: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[content],
        "$text": lambda content: _unbase64(content).decode("utf-8", "surrogatepass"),
        "$numpy": lambda content: _numpy_scalar(content[0], _unbase64(content[1])),
    },
    "json@2": {
        "$datetime": _read_zoned(datetime.fromisoformat),
        "$time": _read_zoned(time.fromisoformat),
        "$date": date.fromisoformat,
        "$timedelta": lambda content: timedelta(*content),
        "$decimal": lambda content: Decimal(_text(content)),
        "$uuid": UUID,
        "$complex": lambda content: complex(*content),
        "$bytes": _unbase64,
        "$bytearray": lambda content: bytearray(_unbase64(content)),
        "$range": lambda content: range(*content),
        "$slice": _read_slice,
        "$posixpath": PurePosixPath,
        "$windowspath": PureWindowsPath,
    },
}
"""By format id and tag; ``json@2`` reads the tags of ``json@1``, too."""


def _text(content: Any) -> str:
    if type(content) is not str:
        raise TypeError("a tag holds no text")
    return content
