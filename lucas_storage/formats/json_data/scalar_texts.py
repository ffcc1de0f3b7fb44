"""Texts of scalars as JSON data: of one, and of many at once, with a tag for those that are not exact."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Collection
from functools import cache
from json.encoder import encode_basestring
from typing import Any, Final, TypeAlias

from actorc.storage.rules import is_utf8

from .json_text import dumps
from .plain_data import is_short, texts_are_exact

quoted: Final[Callable[[str], str]] = encode_basestring
"""Returns a str as JSON text, its escapes the fewest."""
TextsOf: TypeAlias = Callable[[Collection[Any]], list[str]]
"""Returns the texts of some values, in order."""

_MANY: Final = 1000
"""Numbers of which an encoder writes the text sooner than Python writes each."""
_NUMBERS: Final = frozenset({int, float})
_CONSTANTS: Final = {None: "null", True: "true", False: "false"}


def write_int(value: int) -> Any:
    """Return an int as JSON data; one too long for other readers in hexadecimal."""
    return value if is_short(value) else {"$int": f"{value:x}"}


def write_float(value: float) -> Any:
    """Return a float as JSON data."""
    return value if math.isfinite(value) else {"$float": repr(value)}


def write_text(value: str) -> Any:
    """Return a str as JSON data."""
    if value.isascii() or is_utf8(value):
        return value
    return {"$text": base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()}


def exact(data: Any) -> str:
    """Return the text of a little exact data, such as the content of a tag, for which an encoder takes longer."""
    kind = type(data)
    if kind is str:
        return quoted(data)
    if kind is dict:
        return "{" + ",".join([f"{quoted(key)}:{exact(item)}" for key, item in data.items()]) + "}"
    if kind is list or kind is tuple:
        # Numbers without a call for each.
        return "[" + ",".join([repr(item) if type(item) in _NUMBERS else exact(item) for item in data]) + "]"
    return _CONSTANTS[data] if data is None or kind is bool else repr(data)


def tagged(tag: str, content: Callable[[Any], Any]) -> TextsOf:
    """Return what writes values under a tag, as the text of what `content` returns for each, which is exact data."""

    def texts(values: Collection[Any]) -> list[str]:
        return [f'{{"{tag}":{exact(content(value))}}}' for value in values]

    return texts


def unescaped(tag: str, text: Callable[[Any], str]) -> TextsOf:
    """Return what writes values under a tag, as what `text` returns for each, in which nothing is to be escaped."""
    begin = f'{{"{tag}":"'

    def texts(values: Collection[Any]) -> list[str]:
        return [f'{begin}{one}"}}' for one in map(text, values)]

    return texts


def _constants(values: Collection[Any]) -> list[str]:
    return list(map(_CONSTANTS.__getitem__, values))


def ints(values: Collection[int]) -> list[str]:
    """Return the texts of ints."""
    if not (is_short(min(values)) and is_short(max(values))):
        return [exact(write_int(value)) for value in values]
    return _many(values) if len(values) > _MANY else list(map(repr, values))


def _floats(values: Collection[float]) -> list[str]:
    if all(map(math.isfinite, values)):
        return _many(values) if len(values) > _MANY else list(map(repr, values))
    written = list(values)
    others = {place: value for place, value in enumerate(written) if not math.isfinite(value)}
    for place in others:
        written[place] = 0.0
    texts = _floats(written)
    for place, value in others.items():
        texts[place] = _not_finite(repr(value))
    return texts


@cache
def _not_finite(value: str) -> str:
    return exact(write_float(float(value)))


def _many(numbers: Collection[Any]) -> list[str]:
    return str(dumps(list(numbers), len(numbers)), "ascii")[1:-1].split(",")


def _texts(values: Collection[str]) -> list[str]:
    if texts_are_exact(values):
        return list(map(quoted, values))
    return [exact(write_text(value)) for value in values]


EXACT: Final[dict[type, TextsOf]] = {
    type(None): _constants,
    bool: _constants,
    int: ints,
    float: _floats,
    str: _texts,
}
"""What writes the scalars that JSON has, by type."""
