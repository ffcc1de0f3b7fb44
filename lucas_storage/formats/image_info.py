"""Entries of the `info` of an image as JSON: a value that JSON lacks is a list of a letter and its content."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from fractions import Fraction
from numbers import Rational
from typing import Any, Final

from actorc.storage.rules import is_utf8


def written(value: Any) -> Any:  # noqa: PLR0911  # one for each type
    """Return a value as JSON data.

    Raises:
        TypeError: It is of a type that no image file has.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str) and is_utf8(value):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return ["b", b64encode(value).decode()]
    if isinstance(value, (list, tuple, set, frozenset)):
        if isinstance(value, (set, frozenset)):
            return ["s", *sorted(map(written, value), key=json.dumps)]  # so that equal sets have equal bytes
        return ["t" if isinstance(value, tuple) else "l", *map(written, value)]
    if isinstance(value, dict):
        return ["d", *([written(name), written(entry)] for name, entry in value.items())]
    if isinstance(value, Rational):
        return ["q", int(value.numerator), int(value.denominator)]
    raise TypeError(f"a {type(value).__name__} cannot be written")


def read(plain: Any) -> Any:
    """Return the value that `written` took; a subclass has become its base, and a ratio a `Fraction`.

    Raises:
        TypeError: The data is of another form; also `ValueError` and `LookupError`.
    """
    if isinstance(plain, dict):
        raise TypeError("an object stands where an entry is expected")
    if not isinstance(plain, list):
        return plain
    letter, *content = plain
    return _READERS[letter](content)


_READERS: Final[dict[str, Callable[[list[Any]], Any]]] = {
    "b": lambda content: b64decode(content[0], validate=True),
    "t": lambda content: tuple(map(read, content)),
    "l": lambda content: list(map(read, content)),
    "s": lambda content: set(map(read, content)),
    "d": lambda content: {read(name): read(entry) for name, entry in content},
    "q": lambda content: Fraction(*content),
}
