"""What the HTTP server needs of an API that is above it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from actorc.storage.server.auth.access import Principal

from .exchange import Exchange


class Admitted(NamedTuple):
    """A request whose caller is known."""

    principal: Principal
    work: Callable[[Exchange], None]
    """Sends the response; on a thread that may block."""
    bucket: str = ""
    key: str = ""


class Api(Protocol):
    """Answers requests below a path. For the event loop; the work that it returns is for threads."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of its refusals."""

    def owns(self, target: str) -> bool:
        """Return whether a request for this path and query is one of the API."""

    def admit(self, method: str, target: str, headers: Any, request_id: str, peer: str) -> Admitted:
        """Return the caller of a request and its work, without waiting.

        Raises:
            Refusal: The request is refused.
        """
