"""Answers of calls with an idempotency key, which the same call gets again within a day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

from actorc.storage.server.engines.request_fingerprints import check_request
from actorc.storage.server.engines.times import REMEMBERED_SECONDS

T = TypeVar("T")
Call: TypeAlias = "tuple[str, ...]"
"""Identity of a call: what it does, what it names, and last its idempotency key, empty if there is none."""


class Answers:
    """The answers given within the last day. Not thread-safe; the engine holds its lock."""

    def __init__(self) -> None:
        self._given: dict[Call, tuple[float, bytes, Any]] = {}
        """Of each call when it was answered, the fingerprint of its arguments, and the answer; the oldest first."""

    def run_once(self, call: Call, request: bytes, change: Callable[[], T], now: float) -> T:
        """Run `change` and return its result, or return the result of an earlier call with the same idempotency key.

        Args:
            call: Identity of the call.
            request: `fingerprint` of its arguments.
            change: The change.
            now: Seconds since 1970-01-01 UTC.

        Raises:
            IdempotencyKeyReusedError: The earlier call had other arguments.
        """
        self._forget(now - REMEMBERED_SECONDS)
        if call in self._given:
            _, earlier, answer = self._given[call]
            check_request(earlier, request, *call[1:-1][:2])
            return cast("T", answer)
        answer = change()
        if call[-1]:
            self._given[call] = now, request, answer
        return answer

    def clear(self) -> None:
        """Forget all answers."""
        self._given.clear()

    def _forget(self, until: float) -> None:
        while self._given and next(iter(self._given.values()))[0] < until:
            del self._given[next(iter(self._given))]
