"""Times of engines: the clock, microseconds since 1970, and how long what is stored stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], float]
"""Returns seconds since 1970-01-01 UTC."""

REMEMBERED_SECONDS = 24 * 60 * 60
"""Seconds for which the result of a call is kept for retries with the same idempotency key."""

UPLOAD_TTL = 7 * 24 * 60 * 60
"""Seconds that a multipart upload stays after its beginning or its last part."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(clock: Clock) -> int:
    """Return the time in whole microseconds since 1970-01-01 UTC."""
    return int(clock() * 1_000_000)


def utc(time_us: int) -> datetime:
    """Return the aware time for whole microseconds since 1970-01-01 UTC, exactly."""
    return _EPOCH + timedelta(microseconds=time_us)


def expiry(ttl: int | None, now_us: int) -> int | None:
    """Return the time of expiry, `ttl` seconds after `now_us`, in microseconds; None: never."""
    return None if ttl is None else now_us + ttl * 1_000_000
