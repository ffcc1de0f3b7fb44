"""Tokens for the JSON API, made from an access key without asking a server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ._wire.call_signing import derived_key
from ._wire.token_signing import EVERYTHING, MAX_TTL, READING, sign_token
from .errors import InvalidParameterError

__all__ = ["MAX_SECONDS", "new_token"]

MAX_SECONDS: Final = MAX_TTL
"""Longest validity of a token, one day."""


def new_token(
    access_key: str,
    secret_key: str,
    *,
    seconds: int,
    read_only: bool = False,
    clock: Callable[[], float] = time.time,
) -> str:
    """Return a token with which its holder acts as the owner of an access key over HTTP, until it expires.

    It ends earlier if the key is disabled, or this secret of it is replaced and its grace is over. Nothing else takes
    it back, so it is made for a short time.

    Args:
        access_key: Names the key.
        secret_key: Its secret, which cannot be learned from the token.
        seconds: How long it is valid, at most `MAX_SECONDS`.
        read_only: Whether it is for reading and listing only, whatever else the key allows.
        clock: Seconds since 1970-01-01 UTC.

    Raises:
        InvalidParameterError: `seconds` is not allowed.
    """
    if not 1 <= seconds <= MAX_SECONDS:
        raise InvalidParameterError(f"a token is valid for 1 to {MAX_SECONDS} seconds, one day, not {seconds}")
    scope = READING if read_only else EVERYTHING
    return sign_token(derived_key(secret_key), access_key, scope, int(clock()) + seconds)
