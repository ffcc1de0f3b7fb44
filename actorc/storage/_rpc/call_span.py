"""The span of one call of the client: all its attempts, those that failed as events."""

from __future__ import annotations

from functools import cache
from typing import Final, Self

from actorc import addresses
from actorc.storage._wire.call_headers import ATTRIBUTES
from actorc.storage.errors import StorageError
from actorc.tracing import spans
from actorc.tracing.spans import NO_SPAN, Headers, Kind, Span

from .retries.attempts import Attempt

_SIZED: Final = (bytes, memoryview)


class CallSpan:
    """The span of a call, as a context manager that ends it. For one thread.

    It is never the active span: a download is a generator, and its caller goes on between two pieces.

    Args:
        span: The span.
    """

    __slots__ = ("_is_unmade", "_span", "headers", "is_recorded")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._is_unmade = False
        self.is_recorded = span.is_recorded
        """Whether it is of use to tell anything."""
        self.headers: Headers = span.headers
        """Headers of its attempts, for the server."""

    def failed(self, attempt: Attempt, error: StorageError, pause: float) -> None:
        """Tell of an attempt that failed, and that another one follows after `pause` seconds."""
        if self.is_recorded:
            self._span.add_event(
                "attempt failed",
                {
                    "lucas.attempt": attempt.number,
                    "lucas.pause": pause,
                    "error.type": type(error).__name__,
                    **_address(attempt.endpoint),
                },
            )

    def over(self, attempt: Attempt) -> None:
        """Tell which attempt is the last one so far."""
        if self.is_recorded:
            self._span.set(
                {
                    "lucas.request_id": attempt.request_id,
                    "lucas.attempts": attempt.number,
                    **_address(attempt.endpoint),
                }
            )

    def moved(self, result: object) -> None:
        """Tell the size of a result: bytes, or a description that has a size."""
        if self.is_recorded:
            size = len(result) if isinstance(result, _SIZED) else getattr(result, "size", None)
            if type(size) is int:
                self._span.set({"lucas.size": size})

    def unmade(self) -> None:
        """Tell that nothing was sent after all, so that there is no span."""
        if self._span is not NO_SPAN:
            self._is_unmade = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if self._span is NO_SPAN or (self._is_unmade and error is None):
            return
        # a caller that leaves a download before its end has had what it wanted
        if error is None or isinstance(error, GeneratorExit):
            self._span.set({"rpc.response.status_code": "OK"})
            self._span.end()
        elif isinstance(error, StorageError):
            self._span.set({"rpc.response.status_code": error.status})
            self._span.end(type(error).__name__, error.message)
        else:
            # an error of the caller's own source or an interruption, whose text is none of a trace's business
            self._span.end(type(error).__name__)


UNTRACED: Final = CallSpan(NO_SPAN)
"""The span of a call that is not traced."""


def started(path: str, about: object) -> CallSpan:
    """Return the span of a call that begins now.

    Args:
        path: ``/package.Service/Method``.
        about: Its request, or another object that may have a bucket and a key.
    """
    if not spans.is_on():
        return UNTRACED
    method = path[1:]
    named = {"lucas.bucket": getattr(about, "bucket", ""), "lucas.key": getattr(about, "key", "")}
    return CallSpan(spans.started(method, Kind.CLIENT, {**ATTRIBUTES, "rpc.method": method, **named}))


@cache
def _address(endpoint: str) -> dict[str, str | int]:
    address = addresses.parse(endpoint)
    return {"server.address": address.host, "server.port": address.port}
