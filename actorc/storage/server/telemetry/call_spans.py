"""Spans of calls at the boundary of the server: begun from the headers of the caller, ended with the access line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from actorc.storage._wire.call_headers import ATTEMPT_KEY, ATTRIBUTES, PREFIX
from actorc.tracing import spans
from actorc.tracing.spans import NO_SPAN, Attributes, Kind, Span

from .ended_call import EndedCall

_FAULTS: Final = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""Statuses that are errors of the server (OpenTelemetry, "Semantic conventions for gRPC"); others answer the caller."""


def of_rpc(method: str, headers: Mapping[str, Any]) -> Span:
    """Return the span of a call that begins now.

    Args:
        method: Name of the method in the service.
        headers: Those of the call, which a stranger may have written.
    """
    if not spans.is_on():
        return NO_SPAN
    path = PREFIX[1:] + method
    attempt = headers.get(ATTEMPT_KEY, "")
    number = {"lucas.attempt": int(attempt)} if attempt.isascii() and attempt.isdigit() and len(attempt) < 10 else {}
    return spans.started(path, Kind.SERVER, {**ATTRIBUTES, "rpc.method": path, **number}, headers=headers)


def of_http(method: str, path: str, scheme: str, headers: Mapping[str, Any]) -> Span:
    """Return the span of an HTTP request that begins now.

    Args:
        method: Its method, one of few.
        path: Its path, without the query, which may hold a signature.
        scheme: ``http`` or ``https``.
        headers: Those of the request, which a stranger may have written.
    """
    if not spans.is_on():
        return NO_SPAN
    # without the route, which is known later, and never the path, of which there are as many as objects
    name = "HTTP" if method == "OTHER" else method
    about = {"http.request.method": method.replace("OTHER", "_OTHER"), "url.path": path, "url.scheme": scheme}
    return spans.started(name, Kind.SERVER, about, headers=headers)


def end(ended: EndedCall) -> None:
    """End the span of a call with what its access line says."""
    span = ended.span
    if span is NO_SPAN:
        return
    outcome: Attributes
    if ended.status.isdigit():
        outcome, is_fault = {"http.response.status_code": int(ended.status)}, ended.status >= "500"
    else:
        outcome, is_fault = {"rpc.response.status_code": ended.status}, ended.status in _FAULTS
    if ended.route:
        span.rename(f"{ended.method} {ended.route}")
    span.set(
        {
            **outcome,
            "http.route": ended.route,
            **_peer(ended.peer),
            "enduser.id": ended.access_key,
            "lucas.bucket": ended.bucket,
            "lucas.key": ended.key,
            "lucas.size": ended.size,
            "lucas.request_id": ended.request_id,
        }
    )
    span.end(ended.status if is_fault else "")


def _peer(peer: str) -> dict[str, str | int]:
    """Return the attributes of a peer in gRPC's notation."""
    kind, _, place = peer.partition(":")
    host, _, port = place.rpartition(":")
    if kind in ("ipv4", "ipv6") and port.isdigit():
        return {"network.peer.address": host.strip("[]"), "network.peer.port": int(port)}
    return {"network.transport": "unix"} if kind == "unix" else {}
