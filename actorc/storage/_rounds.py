"""The attempts of one logical call: their deadline, their metadata, and the pauses between them."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from . import _cancel, _wire
from ._auth import Metadata
from ._retry import RetryPolicy
from .errors import InvalidParameterError, StorageError

log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())  # a library prints nothing of its own accord


class Rounds:
    """Offers attempts until one succeeds, the policy gives up, or the time is over.

    Args:
        address: Whom the call is made to, for messages.
        policy: When to try again.
        timeout: Seconds for all attempts together; None for no limit.
        reached: Whether the server was ever reached.
        may_repeat: Whether the call can be made again at all.
        correct: Told of a refusal for the clock; whether signing again, by the server's time, may help. Asked once.

    Raises:
        InvalidParameterError: `timeout` is not above 0.
    """

    def __init__(
        self,
        address: str,
        policy: RetryPolicy,
        timeout: float | None,
        *,
        reached: Callable[[], bool],
        may_repeat: Callable[[], bool],
        correct: Callable[[StorageError], bool] = lambda _: False,
    ) -> None:
        if timeout is not None and not timeout > 0:
            raise InvalidParameterError(f"timeout is a number of seconds above 0, not {timeout!r}")
        self._address = address
        self._policy = policy
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._reached = reached
        self._may_repeat = may_repeat
        self._correct = correct
        self._corrected = False
        self._request_id = uuid.uuid4().hex
        self._attempts = 0
        self._failures = 0

    def progressed(self) -> None:
        """Take note that the present attempt got somewhere: failures are counted anew."""
        self._failures = 0

    @contextmanager
    def attempt(self) -> Iterator[tuple[Metadata, float | None]]:
        """Offer the metadata and the seconds left of one attempt.

        A failure that may pass is swallowed after a pause, and the caller asks for the next attempt; any other is
        raised as a `StorageError` that names the call.
        """
        self._attempts += 1
        try:
            with _wire.rpc_errors(self._address):
                yield self._metadata(), self._left()
        except StorageError as error:
            error.request_id = error.request_id or self._request_id
            if not self._clock_corrected(error):
                self._pause(error)

    def _metadata(self) -> Metadata:
        return ((_wire.REQUEST_ID_KEY, self._request_id), (_wire.ATTEMPT_KEY, str(self._attempts)))

    def _left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _clock_corrected(self, error: StorageError) -> bool:
        """Return whether the next attempt may be made at once, because it will be signed with another time."""
        if self._corrected or not self._may_repeat():
            return False
        self._corrected = self._correct(error)
        return self._corrected

    def _pause(self, error: StorageError) -> None:
        self._failures += 1
        left = self._left()
        seconds = self._policy.pause(error, self._failures, reached=self._reached())
        if seconds is None or (left is not None and seconds >= left) or not self._may_repeat():
            raise error
        log.warning("attempt %d of call %s failed, trying again: %s", self._attempts, self._request_id, error)
        _cancel.sleep(seconds)
