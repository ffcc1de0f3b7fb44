"""The three kinds of calls over one connection, on the thread of the caller alone."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final, Self, TypeVar

from actorc.storage._rpc import cancellation
from actorc.storage._rpc.transport import AnswerMetadata, CallFailedError, Start, Trailers, UploadRules, closed
from actorc.storage._wire.frame_socket import FrameSocket
from actorc.storage._wire.socket_frames import MAX_DESCRIPTORS
from actorc.storage.errors import DeadlineExceededError

from .call import UnixCall
from .connections import UnixConnections
from .upload_stream import UnixSending

T = TypeVar("T")


class UnixConnection:
    """A way to the server for one call. A context manager that ends the lease. For one thread.

    Args:
        frames: The connection, leased.
        owner: Where it goes afterwards.
    """

    transport: Final = "unix"
    passes_files: Final = True

    def __init__(self, frames: FrameSocket, owner: UnixConnections) -> None:
        self._frames = frames
        self._owner = owner
        self._call: UnixCall | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        # behind a call that the server has not ended, no other can begin
        is_reusable = self._call is None or self._call.is_over
        (self._owner.give_back if is_reusable else self._owner.drop)(self._frames)
        # a connection that `close` took away fails as if the server had; the caller needs to know who closed it
        if isinstance(error, Exception) and self._owner.is_closed:
            raise closed() from error

    def ask(self, start: Start, request: bytes) -> tuple[bytes | None, Trailers]:
        """Make a unary call; return its answer, None if the server sent none, and what returns the trailers."""
        reply, trailers, _ = self._ask(start, request, 0)
        return reply, trailers

    def open(self, start: Start, request: bytes) -> tuple[bytes | None, Trailers, Sequence[int]]:
        """Make a unary call as `ask` does; return also the descriptors that came with its answer."""
        return self._ask(start, request, MAX_DESCRIPTORS)

    def receive(self, start: Start, request: bytes, idle_timeout: float) -> UnixAnswers:
        """Begin a call with one request and a stream of answers."""
        return UnixAnswers(self._begun(start), request, idle_timeout)

    def send(self, start: Start, rules: UploadRules[T]) -> UnixSending[T]:
        """Return a call that sends a stream; it begins with the first message."""
        return UnixSending(self._begun(start), rules)

    def _begun(self, start: Start) -> UnixCall:
        self._call = UnixCall(self._frames, start)
        return self._call

    def _ask(self, start: Start, request: bytes, descriptors: int) -> tuple[bytes | None, Trailers, Sequence[int]]:
        call = self._begun(start)
        try:
            with cancellation.running(call.cancel):
                call.send(call.beginning(request))
                reply = call.next(None, descriptors=descriptors)
                if reply is not None:
                    # the end of the call, which came with the answer; until it is read, no other call may begin
                    call.next(None)
            return reply, lambda: call.trailers, call.take_descriptors()
        except CallFailedError as failed:
            if failed.cancelled_here:
                raise cancellation.cancelled() from None
            raise
        finally:
            call.close()


class UnixAnswers:
    """The answers of one call. For one thread.

    Args:
        call: The call, which begins when the first answer is asked for.
        request: The serialized request.
        idle_timeout: Seconds that the server may be silent while an answer is awaited.
    """

    def __init__(self, call: UnixCall, request: bytes, idle_timeout: float) -> None:
        self._call = call
        self._request = request
        self._idle_timeout = idle_timeout

    def announced(self) -> AnswerMetadata:
        """Return the metadata that came before the first answer."""
        return self._call.announced

    def messages(self) -> Generator[bytes, None, None]:
        """Yield the serialized answers; a connection on which not all were taken is closed by its owner."""
        call = self._call
        with cancellation.running(call.cancel):
            call.send(call.beginning(self._request))
            while (message := self._next()) is not None:
                yield message

    def _next(self) -> bytes | None:
        try:
            return self._call.next(self._idle_timeout)
        except TimeoutError:
            raise DeadlineExceededError(f"the server sent nothing for {self._idle_timeout:g} s") from None
