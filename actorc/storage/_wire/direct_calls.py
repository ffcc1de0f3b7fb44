"""Calls without a transport, between a client and a server in one process: the contract that both sides share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from .call_signing import Metadata
from .status_codes import StatusCode

Trailers = tuple[tuple[str, str | bytes], ...]


class DirectCallError(Exception):
    """A call ended with a status other than OK.

    Args:
        code: The status.
        message: What the server says.
        trailers: Its trailers.
    """

    def __init__(self, code: StatusCode, message: str, trailers: Trailers) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.trailers = trailers


class DirectCall(Protocol):
    """One call under way. For one thread."""

    announced: Trailers
    """Metadata that came before the first answer."""
    trailers: Trailers
    """Metadata of the end, once there are no more answers."""

    def answers(self) -> Iterator[bytes]:
        """Yield the serialized answers; the first one begins the call, closing the iterator ends it.

        Raises:
            DirectCallError: The call failed.
        """


class Carrier(Protocol):
    """Carries calls in the name of one caller. Any thread may call it."""

    def call(self, path: str, metadata: Metadata, request: bytes) -> DirectCall:
        """Return a call with one request.

        Args:
            path: ``/package.Service/Method``.
            metadata: Its headers.
            request: The serialized request.
        """
