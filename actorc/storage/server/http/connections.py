"""Open connections: how many there may be, how long one may be idle, and which is closed for a new one."""

from __future__ import annotations

import asyncio
import logging
import resource
from typing import Any, Final

from aiohttp import web

from .handler import HttpHandler
from .responses import malformed_response

log = logging.getLogger(__name__)

_FAILED: Final = 500
_DESCRIPTORS_EACH: Final = 4
"""Connections may use one in this many file descriptors of the process, if that is fewer."""
_MIN_CONNECTIONS: Final = 8
"""Connections that are allowed however few descriptors there are."""
_SHUTDOWN_SECONDS: Final = 1.0
"""Seconds for idle connections to close."""


class _Connection(web.RequestHandler):
    """Answers malformed requests. The texts of aiohttp would repeat the input and name its version."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it is of aiohttp
    ) -> web.StreamResponse:
        """Return the response to a request that could not be parsed or failed.

        Raises:
            ConnectionError: A response has begun, so the connection can only be closed.
        """
        if status == _FAILED:
            log.error("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun")
        return malformed_response(request, status)


class Connections(web.Server):
    """Makes connections, and closes those that are idle for too long. For the event loop.

    aiohttp limits neither the time in which a peer takes a response nor the number of connections. Here the connection
    that was idle for longest is closed for a new one, so a peer that opens many of them displaces only its own.

    Args:
        handler: Handles the requests.
        limit: Connections that may be open.
        idle_seconds: Seconds that a connection may be idle.
        limits: Other options of aiohttp.
    """

    def __init__(self, handler: HttpHandler, limit: int, idle_seconds: float, **limits: Any) -> None:
        limits["keepalive_timeout"] = idle_seconds
        super().__init__(self._handle, **limits)
        self._handler = handler
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._limits = limits
        # in the order in which they became idle, each with the timer that closes it
        self._idle: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        self._busy: set[web.RequestHandler] = set()
        self._open: dict[web.RequestHandler, asyncio.Transport] = {}
        self._all_closed = asyncio.Event()
        self._all_closed.set()
        self._ending = False

    def __call__(self) -> web.RequestHandler:
        """Return the handler of a new connection."""
        return _Connection(self, loop=asyncio.get_running_loop(), **self._limits)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Register a connection."""
        super().connection_made(handler, transport)
        self._open[handler] = transport
        self._all_closed.clear()
        self._mark_idle(handler)
        # later, since aiohttp is still setting the connection up
        asyncio.get_running_loop().call_soon(self._make_room)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Remove a connection."""
        super().connection_lost(handler, exc)
        self._mark_busy(handler)
        self._open.pop(handler, None)
        if not self._open:
            self._all_closed.set()

    def close_idle(self) -> None:
        """Close idle connections now, and each of the others after its request.

        aiohttp's own method would also drop the rest of a body that is being received.
        """
        self._ending = True
        for connection in self.connections:
            if connection not in self._busy:
                connection.close()

    async def end(self) -> None:
        """Close all connections; written bytes are sent, unless the peer does not take them."""
        await self.shutdown(_SHUTDOWN_SECONDS)
        try:
            await asyncio.wait_for(self._all_closed.wait(), _SHUTDOWN_SECONDS)
        except TimeoutError:
            for transport in self._open.values():
                transport.abort()
            await self._all_closed.wait()
        # closed connections leave the loop in its next turn; closing the loop before leaks their sockets
        await asyncio.sleep(0)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        self._mark_busy(connection)
        self._busy.add(connection)
        try:
            response = await self._handler.handle(request)
        finally:
            self._busy.discard(connection)
            # it may have been lost meanwhile
            if connection in self._open:
                self._mark_idle(connection)
        if self._ending:
            response.force_close()
        return response

    def _mark_idle(self, connection: web.RequestHandler, unsent: int | None = None) -> None:
        """Start the idle timer of a connection."""
        loop = asyncio.get_running_loop()
        self._idle[connection] = loop.call_later(self._idle_seconds, self._close_if_idle, connection, unsent)

    def _mark_busy(self, connection: web.RequestHandler) -> None:
        timer = self._idle.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def _close_if_idle(self, connection: web.RequestHandler, before: int | None) -> None:
        """Close an idle connection, unless its peer is still taking the end of a response."""
        unsent = self._open[connection].get_write_buffer_size()
        if unsent and (before is None or unsent < before):
            del self._idle[connection]
            self._mark_idle(connection, unsent)
        else:
            self._abort(connection)

    def _make_room(self) -> None:
        if len(self._open) > self._limit and self._idle:
            self._abort(next(iter(self._idle)))

    def _abort(self, connection: web.RequestHandler) -> None:
        """Close a connection at once; a graceful close would wait for a peer that takes nothing."""
        self._mark_busy(connection)
        self._open[connection].abort()


def allowed_connections(most: int) -> int:
    """Return the allowed number of connections, at most `most`, which leaves descriptors for gRPC and for files."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if allowed == resource.RLIM_INFINITY else max(_MIN_CONNECTIONS, min(most, allowed // _DESCRIPTORS_EACH))
