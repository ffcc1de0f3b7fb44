"""Frequencies of an index as text: the alias of pandas where it says all, else JSON with the arguments of the offset.

An alias such as ``C`` leaves out holidays, and one such as ``<DateOffset: months=1>`` is none. What reads aliases alone
refuses the JSON, rather than lose the frequency.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import time, timedelta
from typing import Any, Final

from lucas_storage.formats.base import package

_DERIVED: Final = "calendar"
"""The argument that pandas computes from weekmask and holidays."""
_AS_TEXT: Final[dict[str, Callable[[Any], str]]] = {
    "time": lambda value: value.isoformat(),
    "timedelta": lambda value: str(value / timedelta(microseconds=1)),
    "datetime64": str,
}
_FROM_TEXT: Final[dict[str, Callable[[str], Any]]] = {
    "time": time.fromisoformat,
    "timedelta": lambda text: timedelta(microseconds=float(text)),
    "datetime64": lambda text: package("numpy", "numpy").datetime64(text),
}


def to_text(offset: Any) -> str | None:
    """Return the text from which `from_text` makes an equal offset, or None if there is none."""
    try:
        return next((text for text in (offset.freqstr, _written_out(offset)) if _is_read_as(text, offset)), None)
    except (TypeError, KeyError):  # of arguments that nobody writes as text
        return None


def from_text(text: str) -> Any:
    """Return an offset.

    Raises:
        ValueError: The text names none. It may be a stranger's; it makes offsets of pandas and nothing else.
    """
    pandas = package("pandas", "pandas")
    if not text.startswith("{"):
        return pandas.tseries.frequencies.to_offset(text)
    try:
        fields = json.loads(text)
        cls = _class(fields["offset"])
        arguments = {name: _read(value) for name, value in fields["arguments"].items()}
        return cls(fields["n"], normalize=fields["normalize"], **arguments)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("the frequency of the index is written in a way that this version does not know") from error


def _class(name: str) -> Any:
    offsets = package("pandas", "pandas").offsets
    found = getattr(offsets, name)
    if not issubclass(found, offsets.BaseOffset):
        raise ValueError(f"{name} is no offset")  # noqa: TRY004  # it is a damaged text
    return found


def is_same_offset(one: Any, other: Any) -> bool:
    """Return whether two offsets are equal and of one class; None is no offset, and equal to itself."""
    return type(one) is type(other) and bool(one == other)


def _is_read_as(text: str, offset: Any) -> bool:
    try:
        return is_same_offset(from_text(text), offset)
    except ValueError:
        return False


def _written_out(offset: Any) -> str:
    arguments = {name: _write(value) for name, value in offset.kwds.items() if name != _DERIVED}
    fields = {"offset": type(offset).__name__, "n": offset.n, "normalize": offset.normalize, "arguments": arguments}
    return json.dumps(fields, separators=(",", ":"))


def _write(value: Any) -> Any:
    if type(value) in (int, str, bool, type(None)):
        return value
    if isinstance(value, (tuple, list)):
        return [_write(item) for item in value]
    kind = type(value).__name__
    return {kind: _AS_TEXT[kind](value)}


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_read(item) for item in value)
    if isinstance(value, dict):
        ((kind, text),) = value.items()
        return _FROM_TEXT[kind](text)
    return value
