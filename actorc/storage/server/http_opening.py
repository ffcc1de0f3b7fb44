"""Opens the HTTP face of a server, with the API and the pages; nothing else imports it, as aiohttp may be missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from actorc.storage.errors import InvalidParameterError

from .server_parts import ServerParts
from .telemetry.watched import WatchedServer

if TYPE_CHECKING:
    from .api.api import Api
    from .http.server import HttpServer


def open_http(parts: ServerParts, is_ready: Callable[[], bool]) -> tuple[HttpServer, str]:
    """Return an HTTP server that is bound but not started, and its base URL, empty if that is not known.

    Args:
        parts: The parts of the server.
        is_ready: Returns whether the server takes calls, and changes can succeed.

    Raises:
        InvalidParameterError: aiohttp is not installed, or the port is taken or not allowed.
    """
    try:
        from .http.assembly import HttpParts, open_http_server  # noqa: PLC0415 - aiohttp may be missing
    except ModuleNotFoundError as error:
        raise InvalidParameterError(
            "aiohttp is not installed, and HTTP needs it; pip install 'lucas-storage[http]'"
        ) from error
    used = HttpParts(
        store=parts.store,
        urls=parts.urls,
        keyring=parts.keyring,
        confirm=parts.authenticator.confirm,
        access_log=parts.access_log,
        is_ready=is_ready,
        in_flight=parts.in_flight,
        watched=_watched(parts),
        open_api=lambda is_own_name, metrics: _api(parts, is_ready, is_own_name, metrics),
    )
    return open_http_server(parts.options.http_address, parts.options, used, shared=parts.group is not None)


def _watched(parts: ServerParts) -> WatchedServer:
    return WatchedServer(
        engine=parts.engine,
        options=parts.options,
        keyring=parts.keyring,
        is_healthy=parts.is_healthy,
        calls=lambda: parts.calls.count,
        shared=None if parts.group is None else parts.group.metrics,
    )


def _api(
    parts: ServerParts,
    is_ready: Callable[[], bool],
    is_own_name: Callable[[str], bool],
    metrics: Callable[[], bytes] | None,
) -> Api:
    from .api.assembly import ApiParts, open_api  # noqa: PLC0415 - as above

    used = ApiParts(
        store=parts.store,
        methods=parts.methods,
        flow=parts.flow,
        authenticator=parts.authenticator,
        keyring=parts.keyring,
        urls=parts.urls,
        clock=parts.clock,
        is_ready=is_ready,
        is_healthy=parts.is_healthy,
        damaged=lambda: parts.engine.damaged,
        data=parts.options.data,
        threads=parts.options.threads,
    )
    return open_api(used, is_own_name=is_own_name, metrics=metrics)
