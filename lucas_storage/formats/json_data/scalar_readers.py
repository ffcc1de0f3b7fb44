"""What reads the tags of scalars that JSON lacks."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lucas_storage.errors import DecodeError
from lucas_storage.formats.base import package

_FLOATS: Final = {text: text for text in ("nan", "inf", "-inf")}
"""Texts of floats, of which each makes a new one: a set or a dict may hold several NaN, told apart by what they are."""


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def numpy_scalar(dtype: str, data: bytes) -> Any:
    """Return the scalar of numpy that a dtype string and bytes stand for."""
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
        "$float": lambda content: float(_FLOATS[content]),
        "$text": lambda content: _unbase64(content).decode("utf-8", "surrogatepass"),
        "$numpy": lambda content: numpy_scalar(content[0], _unbase64(content[1])),
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
