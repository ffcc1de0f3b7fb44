"""A Unix socket that carries frames and file descriptors, as `socket_frames` has them."""

from __future__ import annotations

import array
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from .socket_frames import (
    HEADER,
    KINDS,
    MAX_DESCRIPTORS,
    MAX_PAYLOAD,
    ClosedError,
    Frame,
    FrameError,
    Kind,
    Payload,
    header,
)

_BUFFER: Final = 64 << 10
"""Bytes read at once; longer payloads are read into memory of their own."""
_DESCRIPTOR: Final = array.array("i").itemsize
_ANCILLARY: Final = socket.CMSG_SPACE(MAX_DESCRIPTORS * _DESCRIPTOR)
# as numbers: the operators of the enumerations are functions of Python
_CUT_OFF: Final = int(socket.MSG_CTRUNC)
_RECEIVING: Final = int(socket.MSG_CMSG_CLOEXEC)
_SENDING: Final = int(socket.MSG_NOSIGNAL)


class FrameSocket:
    """A connection that carries frames. For one thread; `shut` may be called by any.

    Waiting ends with `TimeoutError` after the seconds that a call names, by whichever steps the peer moves, and is
    interrupted by signals. After an exception the connection is to be closed.

    Args:
        connection: A connected stream socket of the Unix domain; closed with this object.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        self._socket = connection
        self._poll = select.poll()
        self._poll.register(connection.fileno(), 0)
        self._mask = 0
        self._is_readable = False
        """Whether `is_quiet` found something to read, so that the next reading need not wait for it."""
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._passed: deque[int] = deque()
        self._closing = threading.Lock()  # `shut` must not meet another socket that got the number of a closed one

    @property
    def socket(self) -> socket.socket:
        """The socket, which this object owns."""
        return self._socket

    @property
    def is_drained(self) -> bool:
        """Whether all that was read from the socket was also taken, so that a wait for more means the socket alone."""
        return self._start == self._end

    def send_frame(
        self, kind: Kind, parts: Sequence[Payload], timeout: float | None, descriptors: Sequence[int] = ()
    ) -> None:
        """Send a frame, whose payload is `parts` one behind the other; they are not copied.

        Args:
            kind: What it is.
            parts: Buffers of bytes.
            timeout: Seconds until all of it is taken; None: any time.
            descriptors: Passed with it; they stay open here, and belong to the caller.

        Raises:
            TimeoutError: The peer did not take it in time.
            ClosedError: The peer is gone.
        """
        self.send([header(kind, parts, descriptors), *parts], timeout, descriptors)

    def send(self, parts: Sequence[Payload], timeout: float | None, descriptors: Sequence[int] = ()) -> None:
        """Send whole frames, each a `header` and its parts; the arguments and errors are those of `send_frame`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        sent = self.send_some(parts, descriptors)
        while rest := behind(parts, sent):
            self.wait(select.POLLOUT, deadline)
            # the descriptors travelled with the first byte
            parts, descriptors = rest, () if sent else descriptors
            sent = self.send_some(parts, descriptors)

    def send_some(self, parts: Sequence[Payload], descriptors: Sequence[int] = ()) -> int:
        """Send what the peer takes at once, with `descriptors` if it takes anything; return the bytes sent.

        Raises:
            ClosedError: The peer is gone.
        """
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else ()
        try:
            return self._socket.sendmsg(parts, passed, _SENDING)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise _closed(error) from error

    def receive_frame(self, timeout: float | None, *, descriptors: int = 0) -> Frame:
        """Return the next frame.

        Args:
            timeout: Seconds until all of it is there; None: any time.
            descriptors: Those that it may bring, at most. Any beyond are closed.

        Raises:
            TimeoutError: It did not come in time.
            ClosedError: The peer closed the connection.
            FrameError: What came is no frame, or brings too many descriptors, or not those it announces.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._end - self._start < HEADER.size:
            self._fill(deadline, within=self._start != self._end)
        length, number, count, zero = HEADER.unpack_from(self._buffer, self._start)
        kind = KINDS.get(number)
        if kind is None or zero or length > MAX_PAYLOAD or count > descriptors:
            raise FrameError(f"kind {number}, {length} bytes, {count} descriptors")
        self._start += HEADER.size
        payload = self._payload(length, deadline)
        return Frame(kind, payload, self._descriptors(count))

    def wait(self, events: int, deadline: float | None) -> int:
        """Wait until something can be read or written; return what, as `select.poll` says it.

        Raises:
            TimeoutError: The deadline passed, in seconds of the monotonic clock.
        """
        ready = self._ready(events, None if deadline is None else max(0.0, (deadline - time.monotonic()) * 1000))
        if not ready:
            raise TimeoutError
        return ready[0][1]

    def _ready(self, events: int, milliseconds: float | None) -> list[tuple[int, int]]:
        """Wait until something can be read or written, or the time is over; return what `select.poll` does."""
        number = self._socket.fileno()
        if number < 0:
            # a fork in the middle of a call left the connection to the parent
            raise ClosedError(within=True)
        if events != self._mask:
            self._poll.modify(number, events)
            self._mask = events
        return self._poll.poll(milliseconds)

    def is_quiet(self, seconds: float = 0.0) -> bool:
        """Return whether nothing comes in these seconds, and the peer has not closed the connection."""
        if self._start != self._end:
            return False
        self._is_readable = bool(self._ready(select.POLLIN, seconds * 1000))
        return not self._is_readable

    def shut(self) -> None:
        """End every wait of the owner's thread, which then gets a `ClosedError`. Any thread may call it."""
        # closed already, here or by the peer
        with self._closing, suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, and the descriptors that nobody took."""
        # before the connection: a peer that sees its end knows that nothing it passed is open here
        while self._passed:
            os.close(self._passed.popleft())
        with self._closing:
            self._socket.close()

    def __del__(self) -> None:
        # a client that nobody closed is no mistake
        self._socket.close()

    def abandon(self) -> None:
        """Close this process's end after a fork, where nobody releases a lock; the parent's stays open."""
        self._socket.close()

    def _payload(self, length: int, deadline: float | None) -> Payload:
        if length <= _BUFFER:
            while self._end - self._start < length:
                self._fill(deadline, within=True)
            payload = bytes(self._view[self._start : self._start + length])
            self._start += length
            return payload
        whole = memoryview(bytearray(length))
        filled = min(length, self._end - self._start)
        whole[:filled] = self._view[self._start : self._start + filled]
        self._start += filled
        while filled < length:
            filled += self._read(whole[filled:], deadline, within=True)
        return whole.toreadonly()

    def _fill(self, deadline: float | None, *, within: bool) -> None:
        """Read more into the buffer."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == _BUFFER or self._start > _BUFFER // 2:
            kept = self._end - self._start
            self._buffer[:kept] = self._buffer[self._start : self._end]
            self._start, self._end = 0, kept
        self._end += self._read(self._view[self._end :], deadline, within=within)

    def _read(self, into: memoryview, deadline: float | None, *, within: bool) -> int:
        if not self._is_readable:
            self.wait(select.POLLIN, deadline)
        self._is_readable = False
        try:
            # always with room for descriptors: those that come are counted and closed, never left to chance
            count, ancillary, flags, _ = self._socket.recvmsg_into([into], _ANCILLARY, _RECEIVING)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise _closed(error) from error
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self._passed.extend(array.array("i", data[: len(data) - len(data) % _DESCRIPTOR]))
        if flags & _CUT_OFF or len(self._passed) > MAX_DESCRIPTORS:
            # more than a frame may have, or this process has no room for them
            raise FrameError("descriptors were cut off")
        if not count:
            raise ClosedError(within=within)
        return count

    def _descriptors(self, count: int) -> tuple[int, ...]:
        if not count and not self._passed:
            return ()
        if count > len(self._passed) or (self.is_drained and count < len(self._passed)):
            raise FrameError(f"{count} descriptors are announced, {len(self._passed)} came")
        return tuple(self._passed.popleft() for _ in range(count))


def behind(parts: Sequence[Payload], sent: int) -> list[Payload]:
    """Return what is left of `parts` behind the first `sent` bytes."""
    for number, part in enumerate(parts):
        if sent < len(part):
            return [memoryview(part)[sent:], *parts[number + 1 :]]
        sent -= len(part)
    return []


def _closed(error: OSError) -> Exception:
    return ClosedError(within=True) if isinstance(error, ConnectionError) else error
