"""Accepts connections on a socket, with a bound on handshakes under way.

asyncio's own accept loop spins when the process is out of descriptors: it continues to accept, a hundred times a turn,
and logs a traceback for each attempt. It also has no bound for connections in their handshake.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import ClassVar, Final

log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0
"""Seconds until the next attempt after a connection could not be accepted."""
_SHORTAGES: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""Error numbers of a shortage on this machine; others, such as network errors of a peer, are logged for debugging."""


class Listener:
    """Accepts connections in the running event loop until it is closed.

    Args:
        listening: The socket; closed at the end.
        tls: The TLS context; None: without TLS.
        protocol_factory: Returns the protocol for a new connection.
        limit: Handshakes that may be under way; the oldest is cancelled for a further one.
    """

    handshake_seconds: ClassVar[float] = 10.0
    """Seconds for a TLS handshake, the same as gRPC has."""

    def __init__(
        self,
        listening: socket.socket,
        tls: ssl.SSLContext | None,
        protocol_factory: Callable[[], asyncio.Protocol],
        limit: int,
    ) -> None:
        self._listening = listening
        self._tls = tls
        self._protocol_factory = protocol_factory
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._handshakes: dict[asyncio.Task[None], None] = {}
        self._resuming: asyncio.TimerHandle | None = None
        self.pauses = 0
        """How often it paused because no connection could be accepted."""

    def start(self) -> None:
        """Start to accept."""
        self._listening.settimeout(0)
        self._loop.add_reader(self._listening, self._accept)

    async def close(self) -> None:
        """Stop accepting; return when every handshake under way has succeeded or was cancelled."""
        self._loop.remove_reader(self._listening)
        if self._resuming is not None:
            self._resuming.cancel()
        self._listening.close()
        if self._tls is not None:
            for handshake in self._handshakes:
                handshake.cancel()
        if self._handshakes:
            await asyncio.wait(self._handshakes)

    def _accept(self) -> None:
        try:
            accepted, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in _SHORTAGES:
                log.debug("a connection could not be accepted", exc_info=error)
            # the socket stays readable, so the loop would call this again at once
            self._pause()
            return
        accepted.settimeout(0)
        if len(self._handshakes) >= self._limit:
            oldest = next(iter(self._handshakes))
            # removed at once, since cancelling takes a moment, and the next connection must not find it again
            del self._handshakes[oldest]
            oldest.cancel()
        handshake = self._loop.create_task(self._make(accepted))
        self._handshakes[handshake] = None
        handshake.add_done_callback(lambda ended: self._handshakes.pop(ended, None))

    async def _make(self, accepted: socket.socket) -> None:
        timeout = None if self._tls is None else self.handshake_seconds
        try:
            await self._loop.connect_accepted_socket(
                self._protocol_factory, accepted, ssl=self._tls, ssl_handshake_timeout=timeout
            )
        except OSError as error:
            # among them ssl.SSLError and TimeoutError; debug only, or peers could fill the log with them
            log.debug("a connection ended in its handshake, %s", error)

    def _pause(self) -> None:
        """Stop watching the socket for a moment, since it stays readable while connections wait."""
        self.pauses += 1
        self._loop.remove_reader(self._listening)
        self._resuming = self._loop.call_later(_PAUSE_SECONDS, self._loop.add_reader, self._listening, self._accept)
