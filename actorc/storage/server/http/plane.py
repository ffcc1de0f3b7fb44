"""The plane as a whole: its socket, its event loop on a thread of its own, its beginning and its end."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from concurrent.futures import Future
from typing import Any, Final

from aiohttp import web

from actorc.storage.errors import InvalidParameterError
from actorc.storage.rules import KiB, MiB

from .front import Front

_protocol_log = logging.getLogger(f"{__name__}.protocol")
# what strangers send that is no HTTP is no error of this server
_protocol_log.setLevel(logging.CRITICAL)

_HEADER_TIMEOUT: Final = 30.0
"""Seconds that a new connection has to send a request, and one that was used may stay without another."""
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
_TURNS: Final = 3
"""Turns of the loop after which the last socket that was accepted is a connection that can be closed."""
_SHUTDOWN: Final = 1.0
"""Seconds for connections to close on which nothing is under way any more."""


def bound(address: str, *, shared: bool = False) -> socket.socket:
    """Return a socket that listens on a numeric ``HOST:PORT``; other processes of a server may do so, if `shared`.

    Raises:
        InvalidParameterError: The port is taken or not allowed.
    """
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), int(port)), family=family, reuse_port=shared)
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
        server = _Server(self._front, **_LIMITS)
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(server, sock=self._listening, ssl=self._tls)
        grace = await asyncio.wrap_future(self._stopping)
        # a listener that is closed while it makes a connection of what it accepted leaks the socket
        loop.remove_reader(self._listening)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        listener.close()
        server.close_idle()
        await self._front.finish(grace)
        await server.end()


class _Server(web.Server):
    """Makes connections, and closes those that are made and say nothing; aiohttp does so only later in their life."""

    def __init__(self, front: Front, **limits: Any) -> None:
        super().__init__(self._handle, **limits)
        self._front = front
        self._silent: set[web.RequestHandler] = set()
        self._busy: set[web.RequestHandler] = set()
        self._open: dict[web.RequestHandler, asyncio.Transport] = {}
        self._alone = asyncio.Event()
        self._alone.set()
        self._ending = False

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Note a connection."""
        super().connection_made(handler, transport)
        self._open[handler] = transport
        self._alone.clear()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        super().connection_lost(handler, exc)
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

    def __call__(self) -> web.RequestHandler:
        connection = super().__call__()
        self._silent.add(connection)
        asyncio.get_running_loop().call_later(_HEADER_TIMEOUT, self._hang_up, connection)
        return connection

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        self._silent.discard(connection)
        self._busy.add(connection)
        try:
            response = await self._front.handle(request)
        finally:
            self._busy.discard(connection)
        if self._ending:
            response.force_close()
        return response

    def _hang_up(self, connection: web.RequestHandler) -> None:
        if connection in self._silent:
            self._silent.discard(connection)
            connection.force_close()
