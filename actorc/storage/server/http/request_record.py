"""The facts about one HTTP request, for its access line and its span."""

from __future__ import annotations

import time
from typing import Final

from aiohttp import web

from actorc.random_ids import random_id
from actorc.storage._wire.url_signing import METHODS
from actorc.storage.server.auth.access import NOBODY, Principal
from actorc.storage.server.telemetry import call_spans
from actorc.storage.server.telemetry.ended_call import EndedCall
from actorc.tracing import spans

from .exchange import Exchange

CLIENT_GONE: Final = 499
"""Status in the access log if the peer went away before it had the response."""
_LOGGED: Final = frozenset((*METHODS, "POST"))
"""Methods that the access log names."""


class RequestRecord:
    """Facts about a request, filled in as they become known; its span begins with it.

    Args:
        request: The request.
        path: Its path, as received.
    """

    def __init__(self, request: web.BaseRequest, path: str) -> None:
        self.request_id = random_id()
        self.method = request.method if request.method in _LOGGED else "OTHER"
        # read at once, since a closed connection has no peer name
        self.peer = _peer(request)
        self.bucket = ""
        self.key = ""
        self.principal: Principal = NOBODY
        self.exchange: Exchange | None = None
        self.status = CLIENT_GONE
        self.route = ""
        """The path with names in place of values, which is the same for many requests; empty if it is not known."""
        self.span = call_spans.of_http(self.method, path, request.scheme, request.headers)
        self._trace_id = self.span.trace_id or spans.trace_id_in(request.headers)
        self._began = time.perf_counter()

    def ended(self) -> EndedCall:
        """Return the record of the end of the request."""
        return EndedCall(
            method=self.method,
            status=str(self.status),
            bucket=self.bucket,
            key=self.key,
            size=self.exchange.size if self.exchange else 0,
            seconds=time.perf_counter() - self._began,
            request_id=self.request_id,
            peer=self.peer,
            access_key=self.principal.access_key,
            proved=self.principal is not NOBODY,
            trace_id=self._trace_id,
            span=self.span,
            route=self.route,
        )


def _peer(request: web.BaseRequest) -> str:
    """Return the address of the peer in gRPC's notation."""
    address = request.get_extra_info("peername") or ("", 0)
    host, port = address[:2]
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"
