"""Range requests, RFC 9110 section 14. Pure: headers in, a range out."""

from __future__ import annotations

import re
from typing import Final

from actorc.storage.models import ByteRange, ObjectInfo

from .conditions import Headers, range_is_valid
from .errors import Refusal

_RANGE: Final = re.compile(r"\s*bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.IGNORECASE | re.ASCII)


def wanted_range(headers: Headers, info: ObjectInfo) -> ByteRange | None:
    """Return the requested range, or None for the whole object.

    A range of another unit, several ranges, and malformed ranges are ignored, as RFC 9110 section 14.2 allows.

    Raises:
        Refusal: 416, the object has no byte of the range.
    """
    asked = _RANGE.fullmatch(headers.get("Range", ""))
    if asked is None or not range_is_valid(headers, info):
        return None
    first, last = asked.groups()
    if not first:
        return _suffix(int(last), info) if last else None
    if last and int(last) < int(first):
        return None
    if int(first) >= info.size:
        raise _unsatisfiable(info)
    stop = min(int(last) + 1, info.size) if last else info.size
    return ByteRange(int(first), stop - int(first))


def _suffix(length: int, info: ObjectInfo) -> ByteRange:
    present = min(length, info.size)
    if not present:
        raise _unsatisfiable(info)
    return ByteRange(info.size - present, present)


def _unsatisfiable(info: ObjectInfo) -> Refusal:
    return Refusal(
        416,
        "InvalidRange",
        f"the object has {info.size} bytes and none of the range; begin before its end",
        {"Content-Range": f"bytes */{info.size}"},
    )
