"""Arguments as a record holds them: data and references as they travelled, without those that may be secret."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from actorc.storage.errors import StorageError
from lucas_storage.formats import format_by_id
from lucas_storage.refs import TAG, ArtifactRef, is_tagged
from lucas_storage.values import wire_form

from . import record_text

_WORDS: Final = (
    *("key", "keys", "token", "tokens", "pwd", "pin", "otp", "jwt", "dsn", "auth", "authorization", "authentication"),
    *("bearer", "cookie", "cookies", "signature"),
)
_PARTS: Final = "passw|passphrase|passcode|secret|credential|apikey|accesskey|privatekey|signingkey"
_SECRET: Final = re.compile(rf"{_PARTS}|(?:^|_)(?:{'|'.join(_WORDS)})(?:_|$)|token$")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN: Final = re.compile(r"[^a-z0-9]+")
_PASSWORD_IN_URL: Final = re.compile(rb"://[^/\s:@\"]*:[^/\s@\"]+@")
_NAMED_IN_JSON: Final = re.compile(rb'"([^"\\]{1,100})":(?=["\[{])')
"""Keys of dicts in JSON text whose values can be secret; within a text, quotes are escaped."""
_FORMAT: Final = "json@1"
"""Format of records."""
_VALUE_MAX: Final = 64 << 10
"""Bytes of one value that is recorded; larger ones are artifacts, unless a setting lets them travel inline."""
_ALL_MAX: Final = 256 << 10
"""Bytes of all values of one record."""
_INLINE: Final = b"lucas:inline"
_OFTEN: Final = 8 << 10
"""Characters of a reference up to which its text is remembered."""
_NEVER_SECRET: Final = frozenset({int, float, bool, type(None)})


def recorded(given: Mapping[str, Any]) -> tuple[bytes, list[str]]:
    """Return the values that a record takes, by name and encoded, and the names of the others.

    A value is left out if its name, or that of a part of it, says that it is secret, unless it is a number or lies in
    the store; if it has a URL with a password; if it is no data; or if it is too large.

    Args:
        given: Values by name, as they travel.
    """
    kept: list[bytes] = []
    withheld: list[str] = []
    room = _ALL_MAX
    for name, value in given.items():
        found = _recorded(str(name), value, min(room, _VALUE_MAX))
        if found is None:
            withheld.append(str(name))
        else:
            kept.append(b"%b:%b" % (json.dumps(str(name)).encode(), found))
            room -= len(found)
    return b"{%b}" % b",".join(kept), withheld


def recorded_result(function: str, value: Any) -> bytes | None:
    """Return the result of a function, encoded, by the same rules, its name that of the function; None if left out."""
    return _recorded(function, value, _VALUE_MAX)


def _recorded(name: str, value: Any, room: int) -> bytes | None:
    """Return a value encoded; None if it is left out."""
    if is_tagged(value):
        return _recorded_reference(name, value, room)
    try:
        data = wire_form.with_refs(value)
        fmt = format_by_id(_FORMAT)
        encoded = fmt.encode(data) if fmt.handles(data) else None
    except (StorageError, RecursionError):
        return None
    if encoded is None or encoded.size > room:
        return None
    is_stored = type(data) is ArtifactRef and data.inline is None
    if says_secret(name) and type(data) not in _NEVER_SECRET and not is_stored:
        return None
    text = bytes(encoded)
    # What engines cannot carry travels within references, in which nobody sees a name.
    inner = [ref.inline for ref in record_text.refs_in(data) if ref.inline] if _INLINE in text else []
    return None if any(map(holds_secret, (text, *inner))) else text


def _recorded_reference(name: str, tagged: dict[str, str], room: int) -> bytes | None:
    uri = tagged[TAG]
    try:
        ref = ArtifactRef.parse(uri)
    except StorageError:
        return None
    if ref.inline is not None and says_secret(name):
        return None
    text = _reference_text(uri) if len(uri) <= _OFTEN else _reference_text.__wrapped__(uri)
    return None if text is None or len(text) > room else text


# What a step returns, the next one is given, and the record of each has it.
@lru_cache(maxsize=128)
def _reference_text(uri: str) -> bytes | None:
    """Return a reference encoded; None if what it carries, or its place, looks secret."""
    ref = ArtifactRef.parse(uri)
    text = record_text.encode_travelling({TAG: uri})
    carried = () if ref.inline is None else (ref.inline,)
    return None if any(map(holds_secret, (text, *carried))) else text


@lru_cache(maxsize=1024)
def says_secret(name: str) -> bool:
    """Return whether a name says that its value is secret: password, token, secret, key, credential and their like."""
    words = _BETWEEN.sub("_", _HUMP.sub("_", name).lower())
    return _SECRET.search(words) is not None


def holds_secret(json_text: bytes) -> bool:
    """Return whether JSON text has a dict with a key that says secret, or a URL with a password."""
    if b"://" in json_text and _PASSWORD_IN_URL.search(json_text):
        return True
    return any(says_secret(name.decode(errors="replace")) for name in set(_NAMED_IN_JSON.findall(json_text)))
