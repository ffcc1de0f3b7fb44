"""The client's side of identity: signs every attempt anew, by the server's clock once that is known to differ."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from ._auth import Metadata, derived_key, sign_request
from .errors import ClockSkewError, StorageError

log = logging.getLogger(__name__)

_WORTH_A_WARNING_MS: Final = 1000
"""Corrections that several threads make at once differ by less."""


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

    def sign(self, method: str, body: bytes) -> Metadata:
        """Return the metadata that proves who makes the call of `method` whose first message is `body`."""
        return sign_request(self._key, self._access_key, method, body, self._now_ms() + self._ahead_ms)

    def correct(self, error: StorageError) -> bool:
        """Take over the server's clock if `error` tells it; return whether signing again may help."""
        if not isinstance(error, ClockSkewError) or error.server_time_us is None:
            return False
        ahead_ms = error.server_time_us // 1000 - self._now_ms()
        if abs(ahead_ms - self._ahead_ms) > _WORTH_A_WARNING_MS:
            log.warning(
                "this machine's clock is %g s off that of the storage server, whose time is used from now on; set it",
                ahead_ms / -1000,
            )
        self._ahead_ms = ahead_ms
        return True

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
