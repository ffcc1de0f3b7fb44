"""Presigned URLs: how they are signed, parsed and verified. Pure: the caller has the clock and the key.

A URL allows its holder one method on one object until it expires::

    {endpoint}/o/{bucket}/{key}?acs-v=1&acs-key=…&acs-exp=1767225600&acs-m=PUT[&acs-max=…][&acs-ct=…]&acs-sig=…

The signature covers lines, as in `call_signing.signature`: the purpose ``acs1-url``, then access key, method, bucket,
key, expiry (seconds since 1970-01-01 UTC), greatest size and content type. Each is percent-encoded but for
``A-Z a-z 0-9 - . _ ~``, and empty if absent. The encoding in the path is not signed, so it may differ.
"""

from __future__ import annotations

import hmac
import math
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode

from actorc.storage import rules
from actorc.storage.errors import InvalidParameterError

from .call_signing import signature

URL: Final = "acs1-url"
"""Purpose of the signature of a URL."""
MAX_EXPIRES: Final = 7 * 24 * 3600
"""Longest validity of a URL in seconds, as in S3."""
METHODS: Final = ("GET", "HEAD", "PUT", "DELETE")

_PATH: Final = "/o/"
_VERSION: Final = "1"
_NAMES: Final = frozenset({"acs-v", "acs-key", "acs-exp", "acs-m", "acs-max", "acs-ct", "acs-sig"})
_MAX_PARAMETERS: Final = 32
_DOTS: Final = frozenset({".", ".."})


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The one method on one object that a URL allows."""

    method: str
    """One of `METHODS`; GET includes HEAD."""
    bucket: str
    key: str
    expires_at: int
    """Seconds since 1970-01-01 UTC."""
    max_size: int | None = None
    """Greatest size of a PUT in bytes; None: the limit of objects."""
    content_type: str | None = None
    """Content type that a PUT must have; None: any."""

    def allows(self, method: str) -> bool:
        """Return whether the grant covers this HTTP method."""
        return method == self.method or (method, self.method) == ("HEAD", "GET")


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedUrl:
    """The parsed content of a URL; unproved until `is_signed_with`."""

    grant: Grant
    access_key: str
    signature: str


def check_grant(
    method: str,
    bucket: str,
    key: str,
    *,
    expires: int,
    now: float,
    max_size: int | None = None,
    content_type: str | None = None,
) -> Grant:
    """Return the grant for a new URL.

    Args:
        method: GET, HEAD, PUT or DELETE.
        bucket: Its bucket.
        key: Its key.
        expires: Seconds from now on, at most seven days.
        now: Seconds since 1970-01-01 UTC.
        max_size: Greatest size of a PUT in bytes.
        content_type: Content type that a PUT must have.

    Raises:
        InvalidParameterError: A value is not allowed, or means nothing for this method.
    """
    rules.check_key(key, rules.check_bucket(bucket))
    if method not in METHODS:
        raise InvalidParameterError(f"a URL is for one of {', '.join(METHODS)}, not {method!r}", bucket, key)
    if rules.check_positive(expires, "expires") > MAX_EXPIRES:
        raise InvalidParameterError(f"a URL expires after at most {MAX_EXPIRES} seconds, seven days", bucket, key)
    if method != "PUT" and (max_size is not None or content_type is not None):
        raise InvalidParameterError("max_size and content_type are about what is put; leave them out", bucket, key)
    return Grant(
        method=method,
        bucket=bucket,
        key=key,
        expires_at=math.ceil(now) + expires,
        max_size=None if max_size is None else rules.check_positive(max_size, "max_size"),
        content_type=None if content_type is None else rules.check_content_type(content_type),
    )


def sign_url(endpoint: str, key: bytes, access_key: str, grant: Grant) -> str:
    """Return a URL that allows `grant`.

    Args:
        endpoint: Where the service is reached over HTTP.
        key: The result of `call_signing.derived_key` for the secret of `access_key`.
        access_key: Names the key.
        grant: The method and object to allow.
    """
    parameters = {"acs-v": _VERSION, "acs-key": access_key, "acs-exp": str(grant.expires_at), "acs-m": grant.method}
    if grant.max_size is not None:
        parameters["acs-max"] = str(grant.max_size)
    if grant.content_type is not None:
        parameters["acs-ct"] = grant.content_type
    parameters["acs-sig"] = _signature(key, access_key, grant)
    query = urlencode(parameters, quote_via=quote, safe="")
    return f"{endpoint}{_PATH}{grant.bucket}/{_encoded_key(grant.key)}?{query}"


def read_url(target: str) -> PresignedUrl:
    """Return the parsed content of a URL.

    Args:
        target: Its path and query as received; percent-decoded once, here.

    Raises:
        InvalidParameterError: It is not a presigned URL.
    """
    path, _, query = target.partition("?")
    bucket, _, encoded_key = path.removeprefix(_PATH).partition("/")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
        # `_encoded_key` puts a slash before keys that a browser would resolve as a step up
        key = unquote_to_bytes(encoded_key).decode().removeprefix("/")
        parameters = _own(pairs)
        grant = Grant(
            method=_method(parameters["acs-m"]),
            bucket=rules.check_bucket(bucket),
            key=rules.check_key(key),
            expires_at=_number(parameters["acs-exp"]),
            max_size=_number(parameters["acs-max"]) if "acs-max" in parameters else None,
            content_type=parameters.get("acs-ct"),
        )
        return PresignedUrl(grant=grant, access_key=parameters["acs-key"], signature=parameters["acs-sig"])
    except (KeyError, ValueError) as error:
        raise InvalidParameterError(
            "the URL is not one that was presigned, or not all of it; make a new one"
        ) from error


def is_url_of(url: str, grant: Grant) -> bool:
    """Return whether `url` allows the same as `grant`, with any signature and expiry."""
    place = f"{_PATH}{grant.bucket}/{_encoded_key(grant.key)}"
    path, _, query = url.partition("?")
    try:
        found = read_url(f"{place}?{query}").grant
    except InvalidParameterError:
        return False
    # the server computes the expiry by its own clock
    return path.endswith(place) and replace(found, expires_at=grant.expires_at) == grant


def is_signed_with(key: bytes, url: PresignedUrl) -> bool:
    """Return whether the URL was signed with `key`; takes the same time either way."""
    expected = _signature(key, url.access_key, url.grant)
    return hmac.compare_digest(expected.encode(), url.signature.encode())


def _signature(key: bytes, access_key: str, grant: Grant) -> str:
    size = "" if grant.max_size is None else str(grant.max_size)
    kind = grant.content_type or ""
    lines = (access_key, grant.method, grant.bucket, grant.key, str(grant.expires_at), size, kind)
    return signature(key, URL, *(quote(line, safe="") for line in lines))


def _encoded_key(key: str) -> str:
    """Return the key as a URL path that browsers and proxies leave unchanged.

    Browsers resolve ``..`` and ``.`` even when their dots are encoded, and proxies merge slashes; encoded slashes turn
    such a key into a single segment.
    """
    if key in _DOTS:
        return "%2F" + key
    is_plain = all(segment and segment not in _DOTS for segment in key.split("/"))
    return quote(key, safe="/" if is_plain else "")


def _own(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters named ``acs-…``; others, such as those that trackers append, are ignored."""
    own = [(name, value) for name, value in pairs if name.startswith("acs-")]
    parameters = dict(own)
    if len(own) != len(parameters) or not parameters.keys() <= _NAMES or parameters.get("acs-v") != _VERSION:
        raise ValueError("a parameter is repeated, unknown, or of another version")
    return parameters


def _method(text: str) -> str:
    if text not in METHODS:
        raise ValueError("not a method")
    return text


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ValueError("not a number")
    return int(text)
