"""Tokens: how they are signed, parsed and verified. Pure: the caller has the clock and the key.

A token lets its holder act as the owner of an access key over HTTP, until it expires::

    acs1.<access key, base64url>.<expiry, seconds since 1970-01-01 UTC>.<scope>.<signature>

The signature covers lines, as in `call_signing.signature`: the purpose ``acs1-token``, then access key, expiry and
scope. The key file has all that verifies it, so servers keep no list of tokens, and a holder of the secret makes one
without a server. Disabling the access key ends its tokens.
"""

from __future__ import annotations

import base64
import hmac
from typing import Final, NamedTuple

from actorc.storage.errors import InvalidParameterError

from .call_signing import signature

TOKEN: Final = "acs1-token"  # noqa: S105  # the purpose of a signature, which is no secret
"""Purpose of the signature of a token."""
MAX_TTL: Final = 24 * 3600
"""Longest validity of a token in seconds."""
READING: Final = "read"
"""Scope of a token for reading and listing only."""
EVERYTHING: Final = "all"
"""Scope of a token for all that its access key allows."""

_PREFIX: Final = "acs1"
_SCOPES: Final = frozenset({READING, EVERYTHING})
_MAX_CHARACTERS: Final = 1024


class Token(NamedTuple):
    """The parsed content of a token; unproved until `is_token_signed_with`."""

    access_key: str
    expires_at: int
    """Seconds since 1970-01-01 UTC."""
    scope: str
    signature: str


def sign_token(key: bytes, access_key: str, scope: str, expires_at: int) -> str:
    """Return a token.

    Args:
        key: The result of `call_signing.derived_key` for the secret of `access_key`.
        access_key: Names the key.
        scope: `READING` or `EVERYTHING`.
        expires_at: Seconds since 1970-01-01 UTC.
    """
    name = base64.urlsafe_b64encode(access_key.encode()).decode().rstrip("=")
    return ".".join((_PREFIX, name, str(expires_at), scope, _signature(key, access_key, scope, expires_at)))


def read_token(text: str) -> Token:
    """Return the parsed content of a token.

    Raises:
        InvalidParameterError: It is no token.
    """
    parts = text[:_MAX_CHARACTERS].split(".")
    if len(parts) != 5:
        raise _no_token()
    prefix, name, expiry, scope, proof = parts
    is_number = expiry.isascii() and expiry.isdigit() and len(expiry) <= 15
    if prefix != _PREFIX or scope not in _SCOPES or not is_number:
        raise _no_token()
    try:
        access_key = base64.b64decode(name + "=" * (-len(name) % 4), altchars=b"-_", validate=True).decode()
    except ValueError as error:  # among them binascii.Error and UnicodeDecodeError
        raise _no_token() from error
    return Token(access_key=access_key, expires_at=int(expiry), scope=scope, signature=proof)


def _no_token() -> InvalidParameterError:
    return InvalidParameterError("this is no token, or not all of it; make one with 'lucas-storage token'")


def is_token_signed_with(key: bytes, token: Token) -> bool:
    """Return whether the token was signed with `key`; takes the same time either way."""
    if "\n" in token.access_key:
        return False
    expected = _signature(key, token.access_key, token.scope, token.expires_at)
    return hmac.compare_digest(expected.encode(), token.signature.encode())


def _signature(key: bytes, access_key: str, scope: str, expires_at: int) -> str:
    return signature(key, TOKEN, access_key, str(expires_at), scope)
