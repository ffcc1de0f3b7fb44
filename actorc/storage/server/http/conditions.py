"""Conditional requests, RFC 9110 section 13. Pure: headers in, decisions out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from actorc.storage.models import ANY, Condition, ObjectInfo

from .errors import Refusal
from .response_headers import identity_headers

Headers = Mapping[str, str]
"""Headers of a request; names compare case-insensitively."""

_ETAG: Final = re.compile(r'\s*(W/)?"([^"\x00-\x20\x7f]*)"\s*(?:,|$)')


def check_read(headers: Headers, info: ObjectInfo) -> None:
    """Raise if the conditions of a read are not met, in the order of RFC 9110 section 13.2.2.

    Raises:
        Refusal: 412, or 304 if the client has the current object.
    """
    if "If-Match" in headers:
        if not _matches(headers["If-Match"], info.etag, weakly=False):
            raise _failed()
    elif (limit := _date(headers, "If-Unmodified-Since")) and _modified(info) > limit:
        raise _failed()
    if "If-None-Match" in headers:
        if _matches(headers["If-None-Match"], info.etag, weakly=True):
            raise _not_modified(info)
    elif (limit := _date(headers, "If-Modified-Since")) and _modified(info) <= limit:
        raise _not_modified(info)


def range_is_valid(headers: Headers, info: ObjectInfo) -> bool:
    """Return whether a range of the current object may be sent: ``If-Range`` names it, or is not there."""
    header = headers.get("If-Range")
    if header is None:
        return True
    date = _parsed(header)
    return _modified(info) == date if date else _matches(header, info.etag, weakly=False)


def names_no_etag(headers: Headers) -> bool:
    """Return whether the request names no etag, so that another server, with other etags, may answer it."""
    return not any(name in headers for name in ("If-Match", "If-Range", "If-Unmodified-Since"))


def change_condition(headers: Headers) -> Condition:
    """Return the condition on which an object may be changed.

    Raises:
        Refusal: 400, the condition cannot be checked together with the change; ignoring it could overwrite the change
            of another client.
    """
    for name in ("If-Unmodified-Since", "If-Modified-Since", "Content-Range"):
        if name in headers:
            raise Refusal(400, "InvalidParameter", f"{name} is not supported here; use If-Match or If-None-Match: *")
    absent, match = headers.get("If-None-Match"), headers.get("If-Match")
    if absent is None and match is None:
        return ANY
    if match is None and absent is not None and absent.strip() == "*":
        return Condition(if_absent=True)
    etags = _etags(match or "")
    if absent is not None or len(etags) != 1 or etags[0][0]:
        raise Refusal(
            400,
            "InvalidParameter",
            "this condition is not supported here; use If-None-Match: *, or If-Match with one etag",
        )
    return Condition(if_match=etags[0][1])


def _not_modified(info: ObjectInfo) -> Refusal:
    return Refusal(304, "NotModified", "the object is the one the caller has", identity_headers(info))


def _failed() -> Refusal:
    return Refusal(412, "PreconditionFailed", "the object is not the one the condition names; look at it again")


def _matches(header: str, etag: str, *, weakly: bool) -> bool:
    if header.strip() == "*":
        return True
    return any(each == etag and (weakly or not is_weak) for is_weak, each in _etags(header))


def _etags(header: str) -> list[tuple[bool, str]]:
    return [(bool(found[1]), found[2]) for found in _ETAG.finditer(header)]


def _modified(info: ObjectInfo) -> datetime:
    """Return the time of modification in whole seconds, as HTTP has it."""
    return info.last_modified.replace(microsecond=0)


def _date(headers: Headers, name: str) -> datetime | None:
    return _parsed(headers.get(name, ""))


def _parsed(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for numbers beyond those of dates
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
