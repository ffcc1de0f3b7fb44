"""URIs of references, read into their fields; `lucas_storage.refs` has their form."""

from __future__ import annotations

import base64
import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from lucas_storage.errors import InvalidRefError

from .fields import Kind, check

SCHEME: Final = "lucas:"
STORED: Final = "lucas://"
INLINE: Final = "lucas:inline?"
_MUST_UNDERSTAND: Final = "!"

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
# Possessive: characters are taken in runs, at a fiftieth of the cost of one by one, and never in a second way.
_URI_TEXT = re.compile(r"(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]++|%[0-9A-F]{2})*+")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def fields_of(uri: str) -> dict[str, Any]:
    """Return the fields of the reference that a URI spells; one that carries its bytes has them as ``payload``.

    Raises:
        InvalidRefError: It spells none, or demands a feature that this version does not have.
    """
    # First of all: every later step then works on ASCII without controls, quotes or spaces.
    if not _URI_TEXT.fullmatch(uri):
        raise InvalidRefError("a reference holds characters that no URI may hold; percent-encode them in upper case")
    if uri.startswith(INLINE):
        return _parse_inline(uri.removeprefix(INLINE))
    if not uri.startswith(STORED):
        raise InvalidRefError("a text is not a reference; one begins with lucas:// or with lucas:inline?")
    name, _, text = uri.removeprefix(STORED).partition("?")
    store, _, name = name.partition("/")
    bucket, _, key = name.partition("/")
    query = _parse_query(text)
    return {
        "store": store,
        "bucket": bucket,
        "key": _unquote(key),
        "digest": query.get("d"),
        "size": _parse_size(query.get("n", "")),
        "kind": _parse_kind(query.get("k")),
        **_parse_common(query),
    }


def _parse_inline(text: str) -> dict[str, Any]:
    query = _parse_query(text)
    return {"payload": _parse_payload(query.get("v")), **_parse_common(query)}


def _parse_query(text: str) -> dict[str, str]:
    query: dict[str, str] = {}
    for item in text.split("&") if text else ():
        name, equals, value = item.partition("=")
        name = _unquote(name)
        # The way for a later version to add what must not be ignored; other unknown names are skipped.
        if name.startswith(_MUST_UNDERSTAND):
            raise InvalidRefError(
                f"a reference demands a feature that is unknown here; upgrade lucas-storage for {name!r}"
            )
        # A name twice could be read differently by two programs, one of which checks it and the other uses it.
        if not equals or name in query:
            raise InvalidRefError(f"a reference has a query name without a value or twice; it is {name!r}")
        query[name] = _unquote(value)
    return query


def _parse_common(query: dict[str, str]) -> dict[str, Any]:
    return {
        "format": query.get("f", ""),
        "filename": query.get("fn"),
        "run": query.get("r"),
        "signature": query.get("h"),
    }


def _parse_size(text: str) -> int:
    check(_SIZE, text, "the size n", "a decimal number of bytes")
    return int(text)


def _parse_kind(text: str | None) -> Kind:
    if text not in (None, "m"):
        raise InvalidRefError(f"a reference is of a kind that is unknown here; upgrade lucas-storage for {text!r}")
    return "manifest" if text == "m" else "blob"


def _parse_payload(text: str | None) -> bytes:
    if text is None or not _BASE64URL.fullmatch(text):
        raise InvalidRefError("an inline reference carries its bytes as v, in unpadded base64url")
    payload = _unbase64(text)
    # One text for one payload: base64 has spare bits at its end, and equal references must have equal URIs.
    if payload is None or base64.urlsafe_b64encode(payload).rstrip(b"=").decode() != text:
        raise InvalidRefError("the bytes v of an inline reference are not canonical base64url")
    return payload


def _unbase64(text: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None


def _unquote(text: str) -> str:
    if "%" not in text:  # as most parts have none, and a collection reads every reference there is
        return text
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError as error:
        raise InvalidRefError("a percent-encoded part of a reference is not UTF-8; encode it so") from error
