"""The attempts of one logical call: endpoint, deadline and metadata of each, and the pauses between them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from actorc import _http_proxies
from actorc.random_ids import random_id
from actorc.storage._rpc import cancellation
from actorc.storage.config import ClientOptions
from actorc.storage.errors import NetworkError, StorageError

from .deadline import Deadline
from .endpoints import Endpoints
from .retry_policy import RetryPolicy

log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())  # without a handler Python prints warnings of libraries to standard error


class Attempt(NamedTuple):
    """One attempt at a call."""

    endpoint: str
    """``host:port`` of the server."""
    request_id: str
    """Of the call, the same in all attempts."""
    number: int
    """Counted from 1."""
    left: float | None
    """Seconds until its deadline; None for no limit."""


class Attempts:
    """Offers attempts until one succeeds, the policy gives up, or the time is over.

    A context manager; each block is one attempt. A retryable failure is suppressed after a pause, and the caller begins
    the next block. Any other is raised as a `StorageError` with the request id.

    A server that is unreachable or takes no more calls is left for the next one, without a pause if that has not failed
    this call before; other calls then go there, too. For one thread; `endpoints` is shared.

    Args:
        options: Settings of the client.
        endpoints: The servers.
        policy: Decides on retries and pauses.
        timeout: Seconds for all attempts together; None for no limit.
        reached: Whether a server was ever reached.
        may_repeat: Whether the call can be repeated at all.
        patient: Whether the caller gave a timeout, so that attempts go on while no server is reachable.
        correct: Takes an error and the request id; returns whether a new signature, with the server's time, may help.
            Called until it returned True once.
        failed: Called with an attempt that failed, its error, and the seconds until the next one.

    Raises:
        InvalidParameterError: `timeout` is not above 0.
    """

    def __init__(
        self,
        options: ClientOptions,
        endpoints: Endpoints,
        policy: RetryPolicy,
        timeout: float | None,
        *,
        reached: Callable[[], bool],
        may_repeat: Callable[[], bool],
        patient: bool = False,
        correct: Callable[[StorageError, str], bool] = lambda _error, _request_id: False,
        failed: Callable[[Attempt, StorageError, float], None] = lambda _attempt, _error, _seconds: None,
    ) -> None:
        self._options = options
        self._endpoints = endpoints
        self._policy = policy
        self._deadline = Deadline(timeout).end
        self._patient = patient
        self._began = time.monotonic()
        self._reached = reached
        self._may_repeat = may_repeat
        self._correct = correct
        self._tell_failed = failed
        self._corrected = False
        self._endpoint = ""
        self._request_id = random_id()
        self._attempts = 0
        # Counted apart: progress resets the failures, while the attempt's number goes on, since checksums cover it.
        self._failures = 0
        self._failed: set[str] = set()

    def progressed(self) -> None:
        """Reset the failure count after progress."""
        self._failures = 0
        self._failed.clear()
        self._began = time.monotonic()

    def _is_lasting(self, error: StorageError) -> bool:
        """Return whether `error` is a failed connection that may succeed later, and there is time left to wait."""
        awaited = self._patient or self._reached() or (isinstance(error, NetworkError) and error.broken)
        # without a deadline, an unreachable server is waited for as long as a call usually may take
        ends = self._began + self._options.timeout if self._deadline is None else self._deadline
        return isinstance(error, NetworkError) and awaited and time.monotonic() < ends

    def __enter__(self) -> Attempt:
        self._attempts += 1
        self._endpoint = self._endpoints.current
        return self._attempt()

    def _attempt(self) -> Attempt:
        return Attempt(self._endpoint, self._request_id, self._attempts, self._left())

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        if not isinstance(error, StorageError):
            return False
        error.request_id = error.request_id or self._request_id
        # nothing has ever answered: a proxy from the environment is a likely cause, so the message names it
        if isinstance(error, NetworkError) and not self._reached():
            _add_proxy_advice(error, self._endpoint)
        if not self._correct_clock(error):
            self._pause(error, elsewhere=self._switch_server(self._endpoint, error))
        return True

    def _left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _correct_clock(self, error: StorageError) -> bool:
        """Return whether to retry at once, because the next signature has a corrected time."""
        if self._corrected or not self._may_repeat():
            return False
        # once only: a clock that is wrong again right after its correction will not be mended by a third signature
        self._corrected = self._correct(error, self._request_id)
        if self._corrected:
            self._tell_failed(self._attempt(), error, 0.0)
        return self._corrected

    def _switch_server(self, endpoint: str, error: StorageError) -> bool:
        """Switch to the next server after a network error; return whether that one has not failed this call yet."""
        if not isinstance(error, NetworkError) or not error.retryable:
            return False
        self._failed.add(endpoint)
        # shared with other calls, so that they do not each find out that the server is gone
        self._endpoints.switch_from(endpoint)
        return self._endpoints.current not in self._failed

    def _pause(self, error: StorageError, *, elsewhere: bool) -> None:
        self._failures += 1
        left = self._left()
        seconds = self._policy.pause(
            error,
            self._failures,
            reached=self._reached() or self._failures < len(self._endpoints),
            elsewhere=elsewhere,
            lasting=self._is_lasting(error),
        )
        # a pause that outlasts the deadline would only delay the same error
        if seconds is None or (left is not None and seconds >= left):
            raise self._with_attempts(error)
        # checked after the policy: an error that is not retried needs no advice about the source
        if not self._may_repeat():
            error.message += "; the source was not sent again, it can be read once only, pass bytes or a seekable file"
            raise error
        log.warning("attempt %d of call %s failed, trying again: %s", self._attempts, self._request_id, error)
        self._tell_failed(self._attempt(), error, seconds)
        cancellation.sleep(seconds)

    def _with_attempts(self, error: StorageError) -> StorageError:
        """Return `error`, the last failure, with the number of attempts and servers in its message."""
        if len(self._failed) == len(self._endpoints) > 1:
            error.message = f"none of the storage servers {self._endpoints} can be used now; {error.message}"
        if (
            self._policy.persistent
            and isinstance(error, NetworkError)
            and error.retryable
            and not self._is_lasting(error)
        ):
            error.message += f"; given up after {self._attempts} attempts, pass timeout= to go on for longer"
        return error


def _add_proxy_advice(error: NetworkError, endpoint: str) -> None:
    advice = _http_proxies.advice(endpoint)
    if advice:
        error.message += f"; {advice}"
