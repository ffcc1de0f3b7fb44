"""How long things may take: one limit for all the calls that a transfer makes, and time for what is large."""

from __future__ import annotations

import time
from typing import Final

from actorc.storage.errors import DeadlineExceededError, InvalidParameterError
from actorc.storage.rules import MiB

_SLOW: Final = 2 * MiB
"""Bytes a second. A server that is a gateway has them all still to move, and gives its store no longer."""

MOVING_SECONDS: Final = 600.0
"""For a call at which an engine may have to move all the bytes of an object, beside `time_for` those one knows of."""


def time_for(size: int) -> float:
    """Return the seconds a server may take to make an object of `size` bytes that it has already, and no word of it.

    A server that is gone, or hangs, is noticed much sooner: it answers no pings.
    """
    return size / _SLOW


class Deadline:
    """A moment by which everything must be done.

    Args:
        timeout: Seconds from now; None for no limit.

    Raises:
        InvalidParameterError: `timeout` is not above 0.
    """

    def __init__(self, timeout: float | None) -> None:
        if timeout is not None and not timeout > 0:
            raise InvalidParameterError(f"timeout is a number of seconds above 0, not {timeout!r}")
        self._timeout = timeout
        self._end = None if timeout is None else time.monotonic() + timeout

    def left(self) -> float | None:
        """Return the seconds left, None for no limit.

        Raises:
            DeadlineExceededError: There are none.
        """
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise DeadlineExceededError(
                f"the transfer was not done within {self._timeout:g} s; retry, or pass a longer timeout="
            )
        return left
