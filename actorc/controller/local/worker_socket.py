"""The controller's socket to a worker, on the event loop: it never blocks, and queues messages for a busy worker."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

from actorc.controller.protocol.protobuf_fields import Buffer, Parts

from .framing import DamagedMessageError, FrameReader, header

log = logging.getLogger(__name__)

_PARTS_PER_CALL: Final = 16
"""Parts per system call."""


class WorkerSocket:
    """Frames in both directions over one socket, which it owns. For the event loop only.

    The parts of a sent message must not change: they are queued as views until the system has taken them.

    Args:
        channel: A connected stream socket.
        loop: The event loop it registers with.
        on_frame: Called with each message that arrives; the message belongs to the callee.
        on_end: Called once, when the peer is gone or sends no valid message.
    """

    def __init__(
        self,
        channel: socket.socket,
        loop: asyncio.AbstractEventLoop,
        on_frame: Callable[[Buffer], None],
        on_end: Callable[[], None],
    ) -> None:
        channel.settimeout(0)
        self._channel = channel
        self._loop = loop
        self._on_frame = on_frame
        self._on_end = on_end
        self._reader = FrameReader()
        self._unsent: deque[memoryview] = deque()
        self.is_open = True
        loop.add_reader(channel, self._receive)

    def send(self, parts: Parts) -> None:
        """Send a message that is given in parts; it is dropped if the peer is gone."""
        if not self.is_open:
            return
        was_free = not self._unsent
        self._unsent.append(memoryview(header(sum(map(len, parts)))))
        self._unsent.extend(memoryview(part) for part in parts if part)
        if was_free:
            self._flush()
            # the event loop continues it when the worker reads again
            if self._unsent and self.is_open:
                self._loop.add_writer(self._channel, self._flush)

    def drain(self) -> None:
        """Process the messages that have arrived already."""
        while self.is_open and self._receive():
            pass

    def close(self) -> None:
        """Close the socket. Calling it again does nothing."""
        if not self.is_open:
            return
        self.is_open = False
        self._loop.remove_reader(self._channel)
        self._loop.remove_writer(self._channel)
        self._channel.close()
        self._unsent.clear()

    def _receive(self) -> bool:
        """Process the result of one system call; return whether there may be more."""
        try:
            count = self._channel.recv_into(self._reader.buffer())
        except BlockingIOError:
            return False
        except OSError:
            # a reset connection is the same as its end
            count = 0
        if not count:
            self.close()
            self._on_end()
            return False
        try:
            for frame in self._reader.filled(count):
                self._on_frame(frame)
        except DamagedMessageError as error:
            # the position in the stream is lost, so nothing after it can be read
            log.warning("a worker sent what is no message and is ended, %s", error)
            self.close()
            self._on_end()
            return False
        return True

    def _flush(self) -> None:
        try:
            while self._unsent:
                self._drop_sent(self._channel.sendmsg(list(islice(self._unsent, _PARTS_PER_CALL))))
        except BlockingIOError:
            # the event loop calls this again when there is room
            return
        except OSError:
            # the reader sees the error too, after the worker's last messages, so it ends the connection
            self._unsent.clear()
        self._loop.remove_writer(self._channel)

    def _drop_sent(self, count: int) -> None:
        while count:
            part = self._unsent[0]
            if count < len(part):
                self._unsent[0] = part[count:]
                return
            count -= len(part)
            self._unsent.popleft()
