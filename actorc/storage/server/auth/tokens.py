"""Tokens on the server: accepted from their holders."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from actorc.storage._wire.call_signing import WINDOW_MS
from actorc.storage._wire.token_signing import MAX_TTL, READING, is_token_signed_with, read_token
from actorc.storage.errors import InvalidParameterError, UnauthenticatedError

from .access import Principal
from .keyring import Keyring
from .signature_check import SignatureCheck

_WRONG: Final = (
    "the token is not valid: it was changed, or is not all there, or its access key is unknown or disabled, or its "
    "secret was replaced; make a new one with 'lucas-storage token'"
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
        self._signatures = SignatureCheck(clock)

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
        signer = self._signatures.signer(known, lambda key: is_token_signed_with(key, token))
        if known is None or signer is None:
            raise UnauthenticatedError(_WRONG)
        left = token.expires_at - self._clock()
        if left <= 0:
            raise UnauthenticatedError("the token has expired; make a new one with 'lucas-storage token'")
        if left > MAX_TTL + WINDOW_MS / 1000:
            raise UnauthenticatedError("the token is made for more than a day; make another one")
        principal = known.principal_of(signer)
        return principal.narrowed(_READING) if token.scope == READING else principal
