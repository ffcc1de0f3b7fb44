"""Takes connections from a socket, as many as there may be.

What asyncio has for this spins when the process is out of descriptors: it goes on to accept, a hundred times a turn,
and writes a traceback into the log for each. Nor does it know a bound for connections that are still being made.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

_HANDSHAKE: Final = 10.0
"""Seconds for the handshake of TLS, as gRPC has on the other plane."""
_PAUSE: Final = 1.0
"""Seconds until it is tried again after a connection could not be accepted."""
_EXPECTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""What an ill peer or machine makes of an accept; others, such as network errors of a peer, are told to debuggers."""


class Listener:
    """Accepts on a socket of the running event loop until it is closed.

    Args:
        listening: The socket; closed at the end.
        tls: With what certificate; None: without TLS.
        made: Makes what handles a connection.
        most: Connections that may be in their handshake; the oldest of them gives way to one more.
    """

    def __init__(
        self, listening: socket.socket, tls: ssl.SSLContext | None, made: Callable[[], asyncio.Protocol], most: int
    ) -> None:
        self._listening = listening
        self._tls = tls
        self._made = made
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._making: dict[asyncio.Task[None], None] = {}
        self._resuming: asyncio.TimerHandle | None = None
        self.pauses = 0
        """How often it waited because nothing could be accepted."""

    def start(self) -> None:
        """Begin to accept."""
        self._listening.settimeout(0)
        self._loop.add_reader(self._listening, self._accept)

    async def close(self) -> None:
        """Accept no more, and return when what was accepted is a connection, or given up."""
        self._loop.remove_reader(self._listening)
        if self._resuming is not None:
            self._resuming.cancel()
        self._listening.close()
        if self._tls is not None:
            for handshake in self._making:
                handshake.cancel()
        if self._making:
            await asyncio.wait(self._making)

    def _accept(self) -> None:
        try:
            accepted, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in _EXPECTED:
                log.debug("a connection could not be accepted", exc_info=error)
            self._pause()
            return
        accepted.settimeout(0)
        if len(self._making) >= self._most:
            oldest = next(iter(self._making))
            # it takes a moment to end, and the next one in that moment must not find it again
            del self._making[oldest]
            oldest.cancel()
        handshake = self._loop.create_task(self._make(accepted))
        self._making[handshake] = None
        handshake.add_done_callback(lambda ended: self._making.pop(ended, None))

    async def _make(self, accepted: socket.socket) -> None:
        timeout = None if self._tls is None else _HANDSHAKE
        try:
            await self._loop.connect_accepted_socket(self._made, accepted, ssl=self._tls, ssl_handshake_timeout=timeout)
        except OSError as error:
            # ssl.SSLError and TimeoutError are among them: strangers, who cannot fill the log with what they send
            log.debug("a connection ended in its handshake, %s", error)

    def _pause(self) -> None:
        """Look away for a moment: the socket stays ready for as long as somebody waits at it."""
        self.pauses += 1
        self._loop.remove_reader(self._listening)
        self._resuming = self._loop.call_later(_PAUSE, self._loop.add_reader, self._listening, self._accept)
