"""Signing of calls on the client: each attempt anew, with the server's time once the clocks are known to differ."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable
from typing import Final

from actorc.storage._wire.call_signing import Metadata, derived_key, sign_clock, sign_request
from actorc.storage.errors import ClockSkewError, StorageError, UnauthenticatedError

log = logging.getLogger(__name__)

_WARN_ABOVE_MS: Final = 1000
"""Milliseconds. Smaller changes are not logged: threads that correct the clock at once differ by less."""
_MAX_CORRECTION_MS: Final = 24 * 60 * 60 * 1000
"""Milliseconds. A greater difference is not corrected: a replayed answer could make the client sign an old time."""
_TRANSIT_TOLERANCE_MS: Final = 60 * 1000
"""Milliseconds of tolerance: the answer's time on the way is part of the measured difference."""


class Signer:
    """Signs requests with an access key. Any thread may call it: the clock's correction is a single field.

    Args:
        access_key: Names the key.
        secret_key: The secret; only the key derived from it is kept.
        clock: Seconds since 1970-01-01 UTC.
        origin: Where the key was found, if another one may be there by now; for messages.
    """

    def __init__(
        self, access_key: str, secret_key: str, clock: Callable[[], float] = time.time, *, origin: str = ""
    ) -> None:
        self._access_key = access_key
        self._key = derived_key(secret_key)
        self._clock = clock
        self._origin = origin
        self._ahead_ms = 0

    def sign(self, method: str, body: bytes) -> tuple[Metadata, int]:
        """Return the metadata that signs a call of `method` with first message `body`, and the time of signing.

        The time is in milliseconds since 1970-01-01 UTC, by the server's clock.
        """
        date_ms = self._now_ms() + self._ahead_ms
        return sign_request(self._key, self._access_key, method, body, date_ms), date_ms

    def correct(self, error: StorageError, method: str, request_id: str, date_ms: int) -> bool:
        """Adopt the server's clock if `error` proves it; return whether signing again may help.

        Only a server that has the key can sign its time, and only for this call. A time without that signature, or
        one that differs by more than a day, is ignored, and the message of `error` then explains why. That of an error
        which refuses a key that was found says where.

        Args:
            error: The error that the server answered with.
            method: Full name of the method that was called.
            request_id: Request id of the call.
            date_ms: The time that `sign` returned for the call.
        """
        if not isinstance(error, ClockSkewError):
            self._explain(error)
            return False
        if error.server_time_us is None:
            return False
        ahead_ms = error.server_time_us // 1000 - self._now_ms()
        proof = sign_clock(self._key, method, request_id, date_ms, error.server_time_us)
        # constant time, as on the server
        if not hmac.compare_digest(proof.encode(), error.server_time_signature.encode()):
            error.message = (
                f"the request was refused for its time, and this machine's clock is {_apart(ahead_ms)} what the server "
                "says; that was not believed, as it is not signed with this key; set this machine's clock, and check "
                "the keys and the address of the server"
            )
            return False
        if abs(ahead_ms) > _MAX_CORRECTION_MS + _TRANSIT_TOLERANCE_MS:
            error.message = (
                f"the request was refused for its time, this machine's clock is {_apart(ahead_ms)} the server's; "
                "more than a day is not corrected, set this machine's clock"
            )
            return False
        self._take_over(ahead_ms)
        return True

    def _explain(self, error: StorageError) -> None:
        if isinstance(error, UnauthenticatedError) and not error.retryable and self._origin:
            error.message += (
                f"; this client took its key from {self._origin} when it was made, and a local server that ended and "
                "was started again has another one; if it did, make a new client"
            )

    def _take_over(self, ahead_ms: int) -> None:
        # no lock: threads that correct it at once set nearly the same value
        if abs(ahead_ms - self._ahead_ms) > _WARN_ABOVE_MS:
            log.warning(
                "this machine's clock is %g s off that of the storage server, whose time is used from now on; set it",
                ahead_ms / -1000,
            )
        self._ahead_ms = ahead_ms

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


class CallSigner:
    """Signs the attempts of one call, and keeps the time of the last one. For one thread.

    Args:
        signer: The shared signer; None without an access key.
        method: Full name of the method.
    """

    def __init__(self, signer: Signer | None, method: str) -> None:
        self._signer = signer
        self._method = method
        self._date_ms = 0

    def sign(self, body: bytes) -> Metadata:
        """Return the metadata that signs a call with first message `body`; empty without keys."""
        if self._signer is None:
            return ()
        metadata, self._date_ms = self._signer.sign(self._method, body)
        return metadata

    def correct(self, error: StorageError, request_id: str) -> bool:
        """Adopt the server's clock if `error` proves it; return whether signing again may help."""
        return self._signer is not None and self._signer.correct(error, self._method, request_id, self._date_ms)


def _apart(ahead_ms: int) -> str:
    return f"{abs(ahead_ms) / 1000:g} s {'behind' if ahead_ms > 0 else 'ahead of'}"
