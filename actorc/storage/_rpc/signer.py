"""The client's side of identity: signs every attempt anew, by the server's clock once that is known to differ."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable
from typing import Final

from actorc.storage._wire.call_signing import Metadata, derived_key, sign_clock, sign_request
from actorc.storage.errors import ClockSkewError, StorageError

log = logging.getLogger(__name__)

_WORTH_A_WARNING_MS: Final = 1000
"""Corrections that several threads make at once differ by less."""
_MOST_MS: Final = 24 * 60 * 60 * 1000
"""A clock that is off by more is not corrected: whoever recorded or forged so much could have old requests signed."""
_ON_THE_WAY_MS: Final = 60 * 1000
"""The difference is known no better than to the time that the answer took."""


class Signer:
    """Signs requests as the holder of an access key. Safe to share between threads.

    Args:
        access_key: Names the key.
        secret_key: Proves it; not kept, what is derived from it is.
        clock: Seconds since 1970-01-01 UTC.
    """

    def __init__(self, access_key: str, secret_key: str, clock: Callable[[], float] = time.time) -> None:
        self._access_key = access_key
        self._key = derived_key(secret_key)
        self._clock = clock
        self._ahead_ms = 0

    def sign(self, method: str, body: bytes) -> tuple[Metadata, int]:
        """Return the metadata that proves who makes the call of `method` whose first message is `body`, and its time.

        The time is in milliseconds since 1970-01-01 UTC, as the server would have it.
        """
        date_ms = self._now_ms() + self._ahead_ms
        return sign_request(self._key, self._access_key, method, body, date_ms), date_ms

    def correct(self, error: StorageError, method: str, request_id: str, date_ms: int) -> bool:
        """Take over the server's clock if `error` proves it; return whether signing again may help.

        Only a server that knows the key can prove its time, and for this very call; whoever else answers is not
        believed, nor is a difference of more than a day. The error then says so.

        Args:
            error: The refusal.
            method: Full name of the method that was called.
            request_id: Of the call.
            date_ms: When the call was signed, by `sign`.
        """
        if not isinstance(error, ClockSkewError) or error.server_time_us is None:
            return False
        ahead_ms = error.server_time_us // 1000 - self._now_ms()
        proof = sign_clock(self._key, method, request_id, date_ms, error.server_time_us)
        if not hmac.compare_digest(proof.encode(), error.server_time_signature.encode()):
            error.message = (
                f"the request was refused for its time, and this machine's clock is {_apart(ahead_ms)} what the server "
                "says; that was not believed, as it is not signed with this key; set this machine's clock, and check "
                "the keys and the address of the server"
            )
            return False
        if abs(ahead_ms) > _MOST_MS + _ON_THE_WAY_MS:
            error.message = (
                f"the request was refused for its time, this machine's clock is {_apart(ahead_ms)} the server's; "
                "more than a day is not corrected, set this machine's clock"
            )
            return False
        self._take_over(ahead_ms)
        return True

    def _take_over(self, ahead_ms: int) -> None:
        if abs(ahead_ms - self._ahead_ms) > _WORTH_A_WARNING_MS:
            log.warning(
                "this machine's clock is %g s off that of the storage server, whose time is used from now on; set it",
                ahead_ms / -1000,
            )
        self._ahead_ms = ahead_ms

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


class CallSigner:
    """Signs the attempts of one call, and knows which of them a refusal answers.

    Args:
        signer: Signs; None without an access key.
        method: Full name of the method.
    """

    def __init__(self, signer: Signer | None, method: str) -> None:
        self._signer = signer
        self._method = method
        self._date_ms = 0

    def sign(self, body: bytes) -> Metadata:
        """Return the metadata that proves who sends `body` first; nothing without keys."""
        if self._signer is None:
            return ()
        metadata, self._date_ms = self._signer.sign(self._method, body)
        return metadata

    def correct(self, error: StorageError, request_id: str) -> bool:
        """Take over the server's clock if `error` proves it; return whether signing again may help."""
        return self._signer is not None and self._signer.correct(error, self._method, request_id, self._date_ms)


def _apart(ahead_ms: int) -> str:
    return f"{abs(ahead_ms) / 1000:g} s {'behind' if ahead_ms > 0 else 'ahead of'}"
