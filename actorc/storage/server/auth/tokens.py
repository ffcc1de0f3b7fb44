"""Tokens on the server: accepted from their holders."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from actorc.storage._wire.call_signing import WINDOW_MS
from actorc.storage._wire.token_signing import MAX_TTL, READING, is_token_signed_with, read_token
from actorc.storage.errors import InvalidParameterError, UnauthenticatedError

from .access import Principal
from .keyring import Keyring

_WRONG: Final = (
    "the token is not valid: it was changed, or is not all there, or its access key is unknown or disabled; "
    "make a new one with 'lucas-storage token'"
)
_READING: Final = frozenset({"read", "list"})
"""Actions of a token for reading."""


class Tokens:
    """Accepts tokens. Any thread may call it.

    Args:
        keyring: The access keys.
        clock: Seconds since 1970-01-01 UTC.
    """

    def __init__(self, keyring: Keyring, clock: Callable[[], float] = time.time) -> None:
        self._keyring = keyring
        self._clock = clock
        # verified in place of an unknown key, so that its refusal takes the same time
        self._decoy_key = secrets.token_bytes(32)

    def admit(self, text: str) -> Principal:
        """Return the caller in whose name a request with a token is made, with no more permissions than its scope.

        An unknown key takes the same time as a wrong signature, and gets the same answer.

        Raises:
            UnauthenticatedError: The token is not valid, or not any more.
        """
        try:
            token = read_token(text)
        except InvalidParameterError:
            raise UnauthenticatedError(_WRONG) from None
        known = self._keyring.find(token.access_key)
        signed = is_token_signed_with(known.key if known else self._decoy_key, token)
        if known is None or not signed:
            raise UnauthenticatedError(_WRONG)
        left = token.expires_at - self._clock()
        if left <= 0:
            raise UnauthenticatedError("the token has expired; make a new one with 'lucas-storage token'")
        if left > MAX_TTL + WINDOW_MS / 1000:
            raise UnauthenticatedError("the token is made for more than a day; make another one")
        return known.principal.narrowed(_READING) if token.scope == READING else known.principal
