"""One call on a connection: its frames, its deadline, and how it ended."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Final, cast

from actorc.storage._rpc.transport import AnswerMetadata, CallFailedError, Start
from actorc.storage._wire.frame_socket import FrameSocket
from actorc.storage._wire.socket_frames import (
    ClosedError,
    Frame,
    FrameError,
    Kind,
    Payload,
    decode_pairs,
    encode_pairs,
    header,
)
from actorc.storage._wire.status_codes import StatusCode

BROKEN: Final = (ClosedError, FrameError, OSError)
"""What goes wrong with a connection; `TimeoutError` is one of the last."""


class UnixCall:
    """One call. For the thread that makes it; `cancel` may be called by any.

    Args:
        frames: The connection, which carries no other call meanwhile.
        start: How the call begins.
    """

    def __init__(self, frames: FrameSocket, start: Start) -> None:
        self.frames = frames
        self._start = start
        self.deadline = None if start.timeout is None else time.monotonic() + start.timeout
        """In seconds of the monotonic clock; None for no limit."""
        self.announced: AnswerMetadata = ()
        """Metadata that came before the first answer."""
        self.trailers: AnswerMetadata = ()
        """Metadata that came with the end."""
        self.is_over = False
        """Whether the server has ended the call, and another may begin on the connection."""
        self._cancelled = False
        self._descriptors: list[int] = []

    def beginning(self, message: bytes) -> list[Payload]:
        """Return the frames with which the call begins, the first message included."""
        head = encode_pairs(((":path", self._start.path), *self._start.metadata(message)))
        return [header(Kind.BEGIN, [head]), head, header(Kind.MESSAGE, [message]), message]

    def send(self, parts: Sequence[Payload]) -> None:
        """Send whole frames.

        Raises:
            CallFailedError: The deadline passed, or the call was cancelled.
        """
        try:
            self.frames.send(parts, self.left(None))
        except BROKEN as error:
            # the server may have said why before it closed the connection, so that is read first
            if self._cancelled or not isinstance(error, ClosedError):
                raise self.failure(error) from error

    def next(self, patience: float | None, *, descriptors: int = 0) -> bytes | None:
        """Return the next answer, None after the last.

        Args:
            patience: Seconds to wait for it; None: until the deadline.
            descriptors: Those that it may bring, at most; see `take_descriptors`.

        Raises:
            CallFailedError: The call failed.
            TimeoutError: No answer came in time, and the deadline has not passed.
        """
        try:
            frame = self._frame(patience, descriptors)
            if frame.kind is Kind.ANNOUNCE and not self.announced:
                self.announced = decode_pairs(frame.payload)
                frame = self._frame(patience, descriptors)
            if frame.kind is Kind.MESSAGE:
                # a long one is a view of memory that is nobody else's, which all that read messages take for bytes
                return cast("bytes", frame.payload)
            self._end(frame)
        except BROKEN as error:
            raise self.failure(error) from error
        return None

    def _frame(self, patience: float | None, descriptors: int) -> Frame:
        frame = self.frames.receive_frame(self.left(patience), descriptors=descriptors)
        if frame.descriptors:
            self._descriptors += frame.descriptors
        return frame

    def take_descriptors(self) -> Sequence[int]:
        """Return the descriptors that came; the caller closes them."""
        taken, self._descriptors = self._descriptors, []
        return taken

    def close(self) -> None:
        """Close the descriptors that nobody took."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def cancel(self) -> None:
        """End the call; its thread gets a `CallFailedError`. Any thread may call it."""
        self._cancelled = True
        if not self.is_over:
            self.frames.shut()

    def left(self, patience: float | None) -> float | None:
        """Return the seconds until the deadline, `patience` at most; None for no limit."""
        if self.deadline is None:
            return patience
        left = max(0.0, self.deadline - time.monotonic())
        return left if patience is None else min(patience, left)

    def failure(self, error: Exception) -> CallFailedError | TimeoutError:
        """Return what to raise for one of `BROKEN`; a wait that ended before the deadline is a `TimeoutError`."""
        if isinstance(error, TimeoutError):
            if self.deadline is None or time.monotonic() < self.deadline:
                return TimeoutError()
            return CallFailedError(StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        if self._cancelled:
            return CallFailedError(StatusCode.CANCELLED, "", cancelled_here=True)
        return CallFailedError(StatusCode.UNAVAILABLE, "Socket closed")

    def _end(self, frame: Frame) -> None:
        pairs = decode_pairs(frame.payload) if frame.kind is Kind.END else ()
        if len(pairs) < 2 or pairs[0][0] != ":status" or pairs[1][0] != ":text":
            raise FrameError("no end of a call")
        status, text = str(pairs[0][1]), str(pairs[1][1])
        self.trailers = pairs[2:]
        self.is_over = True
        code = StatusCode.of(int(status)) if status.isascii() and status.isdigit() else StatusCode.UNKNOWN
        if code is not StatusCode.OK:
            raise CallFailedError(code, text, self.trailers)
