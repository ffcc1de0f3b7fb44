"""One limit for all the calls that a transfer makes."""

from __future__ import annotations

import time

from .errors import DeadlineExceededError, InvalidParameterError


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
