"""The HTTP server: its socket, and its event loop on a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from concurrent.futures import Future
from typing import ClassVar, Final

from actorc.addresses import Address
from actorc.storage.errors import InvalidParameterError
from actorc.storage.rules import KiB, MiB

from .connections import Connections, allowed_connections
from .handler import HttpHandler
from .listener import Listener

_protocol_log = logging.getLogger(f"{__name__}.protocol")
# peers that send no HTTP are no error of this server
_protocol_log.setLevel(logging.CRITICAL)

_LIMITS: Final = {
    "access_log": None,
    "logger": _protocol_log,
    "auto_decompress": False,
    # a key of 1024 characters takes 12 KiB when each is four bytes and every byte is encoded
    "max_line_size": 16 * KiB,
    "max_field_size": 8 * KiB,
    "read_bufsize": MiB,
}


def bound(address: Address, *, shared: bool = False) -> socket.socket:
    """Return a socket that listens on a numeric address; with `shared`, other processes of the server may, too.

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


class HttpServer:
    """Serves HTTP on a thread of its own. `start` and `stop` are for one thread.

    Args:
        listening: The listening socket; closed at the end.
        tls: The TLS context; None: without TLS.
        handler: Handles the requests.
    """

    max_connections: ClassVar[int] = 1024
    """Connections that may be open, if the process has file descriptors enough."""
    idle_seconds: ClassVar[float] = 30.0
    """Seconds that a connection has to send a request, or the next one, and to take a response other than the bytes of
    an object."""
    linger_seconds: ClassVar[float] = 2.0
    """Seconds for which the rest of a refused body is read, so that the sender gets to read the reason."""

    def __init__(self, listening: socket.socket, tls: ssl.SSLContext | None, handler: HttpHandler) -> None:
        self._listening = listening
        self._tls = tls
        self._handler = handler
        self._stopping: Future[float] = Future()
        self._thread = threading.Thread(target=self._run, name="storage-http-loop", daemon=True)

    def start(self) -> None:
        """Start to serve."""
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Take no more requests, and return when running ones have ended, or were aborted after `grace` seconds."""
        if self._thread.is_alive():
            # a concurrent future, since asyncio's own must not be set from another thread
            self._stopping.set_result(grace)
            self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        limit = allowed_connections(self.max_connections)
        server = Connections(self._handler, limit, self.idle_seconds, **_LIMITS, lingering_time=self.linger_seconds)
        listener = Listener(self._listening, self._tls, server, limit)
        listener.start()
        grace = await asyncio.wrap_future(self._stopping)
        # new connections first, then idle ones, then running requests: none can begin in between
        await listener.close()
        server.close_idle()
        await self._handler.finish(grace)
        await server.end()
