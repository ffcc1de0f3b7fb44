"""A socket to a worker on the event loop: it never waits, and keeps what the worker is too busy to take."""

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

_AT_ONCE: Final = 16
"""Parts that one system call sends."""


class Line:
    """Frames both ways over one socket, which is closed with it.

    Args:
        channel: A connected stream socket.
        loop: What calls back.
        on_frame: Gets each message that arrives.
        on_end: Called once, when nobody is at the other end any more, or what comes from there is no message.
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
        self._kept: deque[memoryview] = deque()
        self.is_open = True
        loop.add_reader(channel, self._receive)

    def send(self, parts: Parts) -> None:
        """Send a message that is given in parts; one to somebody who has gone is dropped."""
        if not self.is_open:
            return
        was_free = not self._kept
        self._kept.append(memoryview(header(sum(map(len, parts)))))
        self._kept.extend(memoryview(part) for part in parts if part)
        if was_free:
            self._flush()
            if self._kept and self.is_open:
                self._loop.add_writer(self._channel, self._flush)

    def drain(self) -> None:
        """Take what has arrived already."""
        while self.is_open and self._receive():
            pass

    def close(self) -> None:
        """Hang up. Calling it again does nothing."""
        if not self.is_open:
            return
        self.is_open = False
        self._loop.remove_reader(self._channel)
        self._loop.remove_writer(self._channel)
        self._channel.close()
        self._kept.clear()

    def _receive(self) -> bool:
        """Take what one call brings; say whether there may be more."""
        try:
            count = self._channel.recv_into(self._reader.buffer())
        except BlockingIOError:
            return False
        except OSError:
            count = 0
        if not count:
            self.close()
            self._on_end()
            return False
        try:
            for frame in self._reader.filled(count):
                self._on_frame(frame)
        except DamagedMessageError as error:
            log.warning("a worker sent what is no message and is ended, %s", error)
            self.close()
            self._on_end()
            return False
        return True

    def _flush(self) -> None:
        try:
            while self._kept:
                self._sent(self._channel.sendmsg(list(islice(self._kept, _AT_ONCE))))
        except BlockingIOError:
            return
        except OSError:
            # the reader learns of it too, after what the worker said last
            self._kept.clear()
        self._loop.remove_writer(self._channel)

    def _sent(self, count: int) -> None:
        while count:
            part = self._kept[0]
            if count < len(part):
                self._kept[0] = part[count:]
                return
            count -= len(part)
            self._kept.popleft()
