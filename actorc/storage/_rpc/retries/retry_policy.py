"""The retry policy: whether to retry, and after how long. Pure: the caller sleeps and keeps the time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from actorc.storage.errors import StorageError

_MAX_DOUBLINGS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff with full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015)."""

    attempts: int = 8
    """Attempts at most, the first included; a transfer that makes progress starts counting anew."""
    unreached_attempts: int = 3
    """Attempts at most while the server was never reached: a wrong address is reported at once."""
    base: float = 0.05
    """Seconds; bound of the first wait, doubled with each further one."""
    cap: float = 2.0
    """Seconds; no wait is longer, unless the server asks for it."""
    max_asked: float = 10.0
    """Seconds; a server that asks for longer is not waited for."""
    persistent: bool = False
    """Whether attempts are not counted while connections fail, and go on for as long as the call has time: once
    something has answered, or when a timeout was given. So it is for clients that are given no policy."""

    def pause(
        self,
        error: StorageError,
        failures: int,
        *,
        reached: bool,
        elsewhere: bool = False,
        lasting: bool = False,
        jitter: Callable[[], float] = random.random,
    ) -> float | None:
        """Return the seconds to wait after the `failures`-th failure in a row, or None to give up.

        Args:
            error: What failed.
            failures: How often in a row.
            reached: Whether a server was ever reached.
            elsewhere: Whether the next attempt goes to a server that has not failed: what one asks for is not asked
                of another.
            lasting: Whether a persistent policy does not count this failure.
            jitter: Returns a number from 0 to 1.
        """
        # an address that never answered is probably mistyped, so fewer attempts are made
        limit = self.attempts if reached else min(self.attempts, self.unreached_attempts)
        if not error.retryable or (failures >= limit and not (self.persistent and lasting)):
            return None
        if elsewhere:
            return 0.0
        # full jitter, which spreads clients that failed at the same moment
        wait = min(self.cap, self.base * 2.0 ** min(failures - 1, _MAX_DOUBLINGS)) * jitter()
        if error.retry_after is None:
            return wait
        return None if error.retry_after > self.max_asked else error.retry_after + wait


RetryPolicy.__module__ = "actorc.storage._retry"  # where processes of any version find it
