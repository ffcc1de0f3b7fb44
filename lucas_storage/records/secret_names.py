"""Names that say that a value is secret, and texts that hold a password."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

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
