"""JSON text of exact plain data, at the speed of the fastest encoder that writes what the standard library writes.

The bytes are those of `json.dumps`, whichever encoder is installed: digests of equal data, keys of calls and addresses
of artifacts are made of them. So the encoder is checked once by its answers, and its text is mended where it writes
floats in another way.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from .plain_data import floats_in, is_larger

logger = logging.getLogger(__name__)

_ITEMS: Final = 5_000
_BYTES: Final = 64 << 10
"""Items and bytes from which on the encoder is worth its import, of about 30 ms."""
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_SMALL: Final = b"0.0000"
_SMALL_FLOAT: Final = re.compile(rb"0\.0000[0-9]+")
_EXPONENT: Final = re.compile(rb"e([-+]?[0-9]+)")
"""What encoders write in other ways than Python, which writes 1e-05 and 1e+16."""
_PROBE: Final[list[Any]] = [
    [
        sign * digits * 10.0**exponent
        for exponent in range(-320, 307)
        for digits in (1, 1.5, 123.456)
        for sign in (1, -1)
    ],
    {"".join(map(chr, (*range(0x180), 0x2028, 0x2029, 0xFEFF, 0xFFFF, 0x1F600))): [None, True, False, {}, []]},
    [2**53 + 1, 2**64, -(2**63) - 1, 10**600, 0, -0.0, 9007199254740993.0, 5e-324, 1.7976931348623157e308],
]
"""What encoders differ in: exponents, escapes, long ints."""


def dumps(value: Any, items: int | None = None) -> bytes:
    """Return exact data as UTF-8 JSON without spaces; the bytes of `json.dumps`, whatever is installed.

    Args:
        value: For which `is_exact` holds; the result for other data is not defined.
        items: How many items it has at all depths, about; None to have them counted.
    """
    fast = _fast() if _is_loaded() or _is_many(value, items) else None
    return _standard(value) if fast is None else _as_standard(fast, value)


def loads(data: bytes | memoryview) -> Any:
    """Return the value of JSON text; an int of any length is an int, and a float is the nearest one.

    Raises:
        ValueError: It is not JSON, or not UTF-8, or it has NaN or Infinity, which are no JSON.
        RecursionError: It is nested too deep.
    """
    fast = _fast() if _is_loaded() or len(data) >= _BYTES else None
    if fast is not None:
        try:
            return fast.decode(data)
        except Exception:  # noqa: BLE001  # the standard library says whether it is JSON
            logger.debug("JSON text is read again by the standard library")
    # NaN and Infinity are no JSON: other readers of the artifact would refuse it.
    return json.loads(str(data, "utf-8"), parse_constant=refuse_constant)


def refuse_constant(name: str) -> Any:
    """Refuse NaN and Infinity, which the standard library reads though they are no JSON."""
    raise ValueError(f"{name} is not JSON")


def _standard(value: Any) -> bytes:
    return _ENCODER.encode(value).encode()


def _as_standard(fast: Any, value: Any) -> bytes:
    data: bytes = fast.encode(value)
    if not _has_odd_floats(data):
        return data
    if b'"' not in data:
        # Two patterns that begin with what is rare, of which a search is a hundred times as fast as of any number.
        return _EXPONENT.sub(_exponent, _SMALL_FLOAT.sub(_small_float, data))
    # Strings may look like such floats, as hexadecimal digits do, so the floats are looked at by themselves.
    return _standard(value) if _has_odd_floats(fast.encode(floats_in(value))) else data


def _small_float(found: re.Match[bytes]) -> bytes:
    # In 10.00001 it is no number but the end of one.
    begin = found.start()
    is_end = begin > 0 and found.string[begin - 1 : begin].isdigit()
    return found[0] if is_end else repr(float(found[0])).encode()


def _exponent(found: re.Match[bytes]) -> bytes:
    return b"e%+03d" % int(found[1])


def _has_odd_floats(data: bytes) -> bool:
    # Single bytes first: they are looked for twenty times as fast as anything longer.
    return (b"." in data and _SMALL in data) or (b"e" in data and _EXPONENT.search(data) is not None)


def _is_many(value: Any, items: int | None) -> bool:
    return is_larger(value, _ITEMS) if items is None else items > _ITEMS


def _is_loaded() -> bool:
    return "msgspec.json" in sys.modules


@cache
def _fast() -> ModuleType | None:
    """Return the fast encoder, or None if it is missing or does not write what the standard library writes."""
    try:
        fast = import_module("msgspec.json")
    except ImportError:
        return None
    if all(_as_standard(fast, part) == _standard(part) and fast.decode(_standard(part)) == part for part in _PROBE):
        return fast
    logger.warning("the installed msgspec writes JSON differently from json; large lists are encoded slower")
    return None
