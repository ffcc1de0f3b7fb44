"""The plane as a whole: its socket, its event loop on a thread of its own, its beginning and its end."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
import threading
from concurrent.futures import Future
from typing import Any, Final

from aiohttp import web

from actorc.storage.addresses import Address
from actorc.storage.errors import InvalidParameterError
from actorc.storage.rules import KiB, MiB

from .handler import Front, unread
from .listener import Listener

log = logging.getLogger(__name__)
_protocol_log = logging.getLogger(f"{__name__}.protocol")
# what strangers send that is no HTTP is no error of this server
_protocol_log.setLevel(logging.CRITICAL)

_FAILED: Final = 500
_HEADER_TIMEOUT: Final = 30.0
"""Seconds that a connection has to send a request, or the next one, and to take an answer that is not the bytes of an
object."""
_LINGER: Final = 2.0
"""Seconds for which a refused body is read on, so that its sender comes to hear the reason."""
_LIMITS: Final = {
    "access_log": None,
    "logger": _protocol_log,
    "auto_decompress": False,
    "keepalive_timeout": _HEADER_TIMEOUT,
    "lingering_time": _LINGER,
    # a key of 1024 characters takes 12 KiB when each is four bytes and every byte is encoded
    "max_line_size": 16 * KiB,
    "max_field_size": 8 * KiB,
    "read_bufsize": MiB,
}
_MOST: Final = 1024
"""Connections that may be open."""
_SHARE: Final = 4
"""They take at most one of so many file descriptors that the process may have, if that is less."""
_LEAST: Final = 8
"""Connections that may be open however few descriptors there are."""
_SHUTDOWN: Final = 1.0
"""Seconds for connections to close on which nothing is under way any more."""


def bound(address: Address, *, shared: bool = False) -> socket.socket:
    """Return a socket that listens on a numeric address; other processes of a server may do so, if `shared`.

    Raises:
        InvalidParameterError: The port is taken or not allowed.
    """
    try:
        return socket.create_server(address, family=address.family, reuse_port=shared)
    except OSError as error:
        raise InvalidParameterError(
            f"the server cannot serve HTTP on {address}, the port is taken or not allowed; choose another with --http, "
            "0 finds one, 'off' does without"
        ) from error


class HttpPlane:
    """Serves HTTP from a thread of its own.

    Args:
        listening: Where; closed at the end.
        tls: With what certificate; None: without TLS.
        front: Answers the requests.
    """

    def __init__(self, listening: socket.socket, tls: ssl.SSLContext | None, front: Front) -> None:
        self._listening = listening
        self._tls = tls
        self._front = front
        self._stopping: Future[float] = Future()
        self._thread = threading.Thread(target=self._run, name="storage-http-loop", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Take no more requests, and end when those under way are finished, or broken off after `grace` seconds."""
        if self._thread.is_alive():
            self._stopping.set_result(grace)
            self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        most = _most_connections()
        server = _Server(self._front, most, **_LIMITS)
        listener = Listener(self._listening, self._tls, server, most)
        listener.start()
        grace = await asyncio.wrap_future(self._stopping)
        await listener.close()
        server.close_idle()
        await self._front.finish(grace)
        await server.end()


class _Connection(web.RequestHandler):
    """Refuses what is no HTTP; the words of aiohttp would repeat what came, and say which version of it runs here."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it is of aiohttp
    ) -> web.StreamResponse:
        """Return the answer.

        Raises:
            ConnectionError: Another one has begun, so that the connection can only be closed.
        """
        if status == _FAILED:
            log.error("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun")
        return unread(request, status)


class _Server(web.Server):
    """Makes connections, and closes those on which nothing is under way for too long.

    aiohttp gives no time limit to a peer that takes no answer, and no bound to the number of connections. Here the one
    that was idle for longest gives way to a new one: whoever opens many of them keeps out nobody but itself.

    Args:
        front: Answers the requests.
        most: Connections that may be open.
        limits: Those of aiohttp.
    """

    def __init__(self, front: Front, most: int, **limits: Any) -> None:
        super().__init__(self._handle, **limits)
        self._front = front
        self._most = most
        self._limits = limits
        # in the order in which they became idle, each with what ends it
        self._idle: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        self._busy: set[web.RequestHandler] = set()
        self._open: dict[web.RequestHandler, asyncio.Transport] = {}
        self._alone = asyncio.Event()
        self._alone.set()
        self._ending = False

    def __call__(self) -> web.RequestHandler:
        """Return what handles a new connection."""
        return _Connection(self, loop=asyncio.get_running_loop(), **self._limits)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Note a connection."""
        super().connection_made(handler, transport)
        self._open[handler] = transport
        self._alone.clear()
        self._rest(handler)
        # aiohttp is not done with it yet, and cannot bear to lose it before
        asyncio.get_running_loop().call_soon(self._make_room)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        super().connection_lost(handler, exc)
        self._wake(handler)
        self._open.pop(handler, None)
        if not self._open:
            self._alone.set()

    def close_idle(self) -> None:
        """Close the connections on which nothing is under way now, and the others after it.

        What aiohttp has for this also drops what is still to come of a body.
        """
        self._ending = True
        for connection in self.connections:
            if connection not in self._busy:
                connection.close()

    async def end(self) -> None:
        """Close all connections; what was written to them is sent, unless nobody takes it."""
        await self.shutdown(_SHUTDOWN)
        try:
            await asyncio.wait_for(self._alone.wait(), _SHUTDOWN)
        except TimeoutError:
            for transport in self._open.values():
                transport.abort()
            await self._alone.wait()
        # a loop that is closed before closed connections have left it leaks their sockets
        await asyncio.sleep(0)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        self._wake(connection)
        self._busy.add(connection)
        try:
            response = await self._front.handle(request)
        finally:
            self._busy.discard(connection)
            # unless it was lost meanwhile
            if connection in self._open:
                self._rest(connection)
        if self._ending:
            response.force_close()
        return response

    def _rest(self, connection: web.RequestHandler, unsent: int | None = None) -> None:
        """Begin to count the time for which nothing is under way."""
        loop = asyncio.get_running_loop()
        self._idle[connection] = loop.call_later(_HEADER_TIMEOUT, self._hang_up, connection, unsent)

    def _wake(self, connection: web.RequestHandler) -> None:
        timer = self._idle.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def _hang_up(self, connection: web.RequestHandler, before: int | None) -> None:
        """Break a connection that was idle, unless its peer is still taking the end of an answer."""
        unsent = self._open[connection].get_write_buffer_size()
        if unsent and (before is None or unsent < before):
            del self._idle[connection]
            self._rest(connection, unsent)
        else:
            self._break(connection)

    def _make_room(self) -> None:
        if len(self._open) > self._most and self._idle:
            self._break(next(iter(self._idle)))

    def _break(self, connection: web.RequestHandler) -> None:
        """Close at once: what the peer has not taken by now would keep the connection open."""
        self._wake(connection)
        self._open[connection].abort()


def _most_connections() -> int:
    """Return how many connections there may be: no more than leave descriptors for gRPC and for files."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if allowed == resource.RLIM_INFINITY else max(_LEAST, min(_MOST, allowed // _SHARE))
