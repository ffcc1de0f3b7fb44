"""One call on a Unix socket, as the methods of the service see it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final, NoReturn, cast

from actorc.storage._wire.frame_socket import FrameSocket
from actorc.storage._wire.socket_frames import ClosedError, FrameError, Kind, Payload, encode_pairs, header
from actorc.storage._wire.status_codes import StatusCode
from actorc.storage.server.service.call_context import PeerGoneError, Progress, Trailers
from actorc.storage.server.service.methods import Kind as MethodKind

_HELD: Final = 64 << 10
"""Bytes of answers that wait for the next ones, to be sent together."""

_FILES: Final = 1
"""Descriptors that a message of an upload may bring."""


class CallAbortedError(Exception):
    """The call was ended with a status."""


class _NoWatch:
    """The timeout of waits that keep it themselves."""

    def progress(self) -> None:
        """Do nothing: each wait begins anew."""

    def pause(self) -> None:
        """Do nothing: nothing is waited for meanwhile."""


_NO_WATCH: Final = _NoWatch()


class _Limited:
    """A block with other limits; a class, since every call has one, and a generator takes four times as long."""

    __slots__ = ("_before", "_context", "_limits")

    def __init__(self, context: UnixContext, seconds: float, on_idle: Callable[[], None]) -> None:
        self._context = context
        self._limits = seconds, on_idle

    def __enter__(self) -> Progress:
        self._before = self._context.limits
        self._context.limits = self._limits
        return _NO_WATCH

    def __exit__(self, *_: object) -> None:
        self._context.limits = self._before


class UnixContext:
    """A `CallContext`. For the thread of the call: it waits for the peer itself, so no other thread ends the call.

    Args:
        frames: The connection.
        peer: Its other end, for the access log.
        kind: That of the method.
        seconds: Seconds to wait for the peer where nothing else is said.
    """

    def __init__(self, frames: FrameSocket, peer: str, kind: MethodKind, seconds: float) -> None:
        self._frames = frames
        self._peer = peer
        self._kind = kind
        self.limits: tuple[float, Callable[[], None]] = seconds, _ignore
        """Seconds to wait for the peer, and what is called when they have passed."""
        self._trailers: Trailers = ()
        self._held: list[Payload] = []
        self._size = 0
        self._attached: list[int] = []
        self._most_files = _FILES if kind is MethodKind.UPLOAD else 0
        self._received: tuple[int, ...] = ()
        self.is_read = False
        """Whether all of the request was read, so that another call may follow."""

    def peer(self) -> str:
        """Return the address of the client, for the access log."""
        return self._peer

    def is_active(self) -> bool:
        """Return True; a client that is gone is noticed when something is sent."""
        return True

    def set_trailers(self, trailers: Trailers) -> None:
        """Set the metadata that a successful call ends with."""
        self._trailers = trailers

    def announce(self, metadata: Trailers) -> None:
        """Send metadata before the first answer."""
        self._hold(Kind.ANNOUNCE, encode_pairs(metadata))

    def limited(self, seconds: float, on_idle: Callable[[], None]) -> AbstractContextManager[Progress]:
        """Call `on_idle` if the peer makes no progress for `seconds` within the block, then end the wait for it."""
        return _Limited(self, seconds, on_idle)

    @property
    def passes_files(self) -> bool:
        """Return True."""
        return True

    def received_file(self) -> int | None:
        """Return the descriptor that came with the last message; None if none did. The caller owns it from now on."""
        received, self._received = self._received, ()
        return received[0] if received else None

    def pass_files(self, descriptors: Sequence[int]) -> None:
        """Send duplicates of these descriptors, made now, with the next answer."""
        # one after the other, so that those made are known, and closed, if one fails
        for descriptor in descriptors:
            self._attached.append(os.dup(descriptor))

    def messages(self) -> Iterator[bytes]:
        """Yield the requests."""
        while True:
            message = self._message()
            if message is None:
                return
            yield message
            if self.is_read:
                return

    def send(self, message: bytes) -> None:
        """Send an answer. Small ones wait for the next or for the end, unless the client sends meanwhile."""
        if self._attached:
            # what was held goes first: descriptors travel with the first byte of what is sent
            self._flush()
            self._send([header(Kind.MESSAGE, [message], self._attached), message], self._attached)
            self._close_attached()
            return
        self._hold(Kind.MESSAGE, message)
        if self._kind is MethodKind.UPLOAD or self._size > _HELD:
            self._flush()

    def finish(self) -> None:
        """End the call with success."""
        self._end(StatusCode.OK, "", self._trailers)

    def abort(self, code: StatusCode, message: str, trailers: Trailers) -> NoReturn:
        """End the call with a status."""
        # an answer that is held belongs to a call that failed after all; one message and a failure are no answer
        self._end(code, message, trailers)
        raise CallAbortedError

    def end(self, _code: StatusCode, _message: str) -> None:
        """Do nothing: the thread of the call is in no wait, since it is the one that calls, and will end it."""

    def close(self) -> None:
        """Close the descriptors that nobody took or sent."""
        self._close_attached()
        self._close_received()

    def skip_request(self) -> None:
        """Read what is left of the request, one message or the end of them, so that another call may follow."""
        if not self.is_read:
            self._message()

    def _message(self) -> bytes | None:
        self._close_received()
        seconds, on_idle = self.limits
        try:
            frame = self._frames.receive_frame(seconds, descriptors=self._most_files)
        except TimeoutError:
            on_idle()
            raise
        except (ClosedError, FrameError, OSError) as error:
            raise PeerGoneError from error
        self._received = frame.descriptors
        self.is_read = self._kind is not MethodKind.UPLOAD or frame.kind is Kind.FINISH
        if frame.kind is Kind.MESSAGE:
            # a long one is a view of memory that is nobody else's, which all that read messages take for bytes
            return cast("bytes", frame.payload)
        if frame.kind is Kind.FINISH and self._kind is MethodKind.UPLOAD:
            return None
        raise PeerGoneError

    def _hold(self, kind: Kind, payload: bytes) -> None:
        self._held += (header(kind, [payload]), payload)
        self._size += len(payload)

    def _flush(self) -> None:
        held, self._held, self._size = self._held, [], 0
        self._send(held)

    def _send(self, parts: Sequence[Payload], descriptors: Sequence[int] = ()) -> None:
        seconds, on_idle = self.limits
        try:
            self._frames.send(parts, seconds, descriptors)
        except TimeoutError:
            on_idle()
            raise PeerGoneError from None
        except (ClosedError, OSError) as error:
            raise PeerGoneError from error

    def _end(self, code: StatusCode, text: str, trailers: Trailers) -> None:
        self._hold(Kind.END, encode_pairs(((":status", str(int(code))), (":text", text), *trailers)))
        self._flush()

    def _close_attached(self) -> None:
        while self._attached:
            os.close(self._attached.pop())

    def _close_received(self) -> None:
        if self._received and (descriptor := self.received_file()) is not None:
            os.close(descriptor)


def _ignore() -> None:
    """Do nothing when time is over."""
