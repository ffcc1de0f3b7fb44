"""Deadlines: one for all calls of a transfer, and the extra time that a large object needs."""

from __future__ import annotations

import time
from typing import Final

from actorc.storage.errors import DeadlineExceededError, InvalidParameterError
from actorc.storage.rules import MiB
from actorc.storage.setting_types import timeout as timeout_of

_SLOW: Final = 2 * MiB
"""Bytes a second. A gateway moves all bytes to its store after the commit, and allows the store the same rate."""

MOVING_SECONDS: Final = 600.0
"""Timeout of a call in which an engine may move an object of unknown size; add `time_for` the known bytes."""


def time_for(size: int) -> float:
    """Return the seconds a server may stay silent while it stores `size` bytes that it has received.

    A server that is gone or hangs is noticed much sooner, since it answers no pings.
    """
    return size / _SLOW


class Deadline:
    """A moment by which a whole transfer must be done. Immutable; any thread may call it.

    Args:
        timeout: Seconds from now; None for no limit.

    Raises:
        InvalidParameterError: `timeout` is no number above 0, or more than Python can wait for.
    """

    def __init__(self, timeout: float | None) -> None:
        if timeout is not None:
            _check(timeout)
        self._timeout = timeout
        # fixed once, so that retries inside a transfer do not extend it; monotonic, so that setting the machine's time
        # neither ends nor prolongs it
        self.end = None if timeout is None else time.monotonic() + timeout
        """The moment in seconds of the monotonic clock; None for no limit."""

    def left(self) -> float | None:
        """Return the seconds left, None for no limit.

        Raises:
            DeadlineExceededError: There are none.
        """
        if self.end is None:
            return None
        left = self.end - time.monotonic()
        if left <= 0:
            raise DeadlineExceededError(
                f"the transfer was not done within {self._timeout:g} s; retry, or pass a longer timeout="
            )
        return left


def _check(timeout: object) -> None:
    try:
        timeout_of(timeout)
    except ValueError as error:
        raise InvalidParameterError(f"timeout is {error}, not {timeout!r}") from error
