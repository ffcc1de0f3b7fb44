"""Calls over one gRPC channel, and their errors as those of any transport."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, Self, TypeVar

import grpc

from actorc.storage._rpc import cancellation
from actorc.storage._rpc.transport import AnswerMetadata, CallFailedError, Start, Trailers, UploadRules
from actorc.storage._wire import idle
from actorc.storage._wire.status_codes import StatusCode
from actorc.storage.errors import DeadlineExceededError

from .upload_stream import UploadStream

T = TypeVar("T")


class PooledChannel:
    """A channel that keeps its unary methods. Any thread may call it.

    gRPC makes a method anew for each time it is asked for, which takes about as long as to seal and sign a small call.

    Attributes:
        channel: The channel.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self._unary: dict[str, Any] = {}

    def unary(self, path: str) -> Any:
        """Return the unary method of this name."""
        method = self._unary.get(path)
        if method is None:
            # no lock: threads that meet here make equal ones
            method = self._unary[path] = self.channel.unary_unary(path)
        return method


class GrpcConnection:
    """The calls of one channel. A context manager that ends the lease. For one thread.

    Args:
        channel: The channel; its owner closes it.
        give_back: Called at the end of the block, with the exception that ended it, if any.
    """

    transport: Final = "grpc"

    def __init__(self, channel: PooledChannel, give_back: Callable[[BaseException | None], None]) -> None:
        self._channel = channel
        self._give_back = give_back

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self._give_back(error)

    def ask(self, start: Start, request: bytes) -> tuple[bytes | None, Trailers]:
        """Make a unary call; return its answer, None if the server sent none, and what returns the trailers."""
        try:
            reply, ended = _reply(self._channel.unary(start.path), request, start)
        except grpc.RpcError as error:
            raise call_failed(error) from error
        return reply, lambda: _metadata(ended.trailing_metadata())

    @property
    def passes_files(self) -> bool:
        """Return False."""
        return False

    def open(self, start: Start, request: bytes) -> tuple[bytes | None, Trailers, Sequence[int]]:
        """Raise, since gRPC passes no descriptors."""
        raise NotImplementedError

    def receive(self, start: Start, request: bytes, idle_timeout: float) -> GrpcAnswers:
        """Begin a call with one request and a stream of answers."""
        stream: Any = self._channel.channel.unary_stream(start.path)
        call = stream(request, timeout=start.timeout, metadata=start.metadata(request))
        return GrpcAnswers(call, idle_timeout)

    def send(self, start: Start, rules: UploadRules[T]) -> UploadStream[T]:
        """Return a call that sends a stream; it begins with the first message."""
        return UploadStream(self._channel.channel.stream_stream(start.path), start, rules, call_failed)


class GrpcAnswers:
    """The answers of one call.

    Args:
        call: The running call.
        idle_timeout: Seconds that the server may be silent while an answer is awaited.
    """

    def __init__(self, call: Any, idle_timeout: float) -> None:
        self._call = call
        self._idle_timeout = idle_timeout

    def announced(self) -> AnswerMetadata:
        """Return the metadata that came before the first answer."""
        return _metadata(self._call.initial_metadata())

    def messages(self) -> Generator[bytes, None, None]:
        """Yield the serialized answers; closing the generator ends the call."""
        call, limit = self._call, self._idle_timeout
        try:
            with cancellation.running(call.cancel), idle.watch.guard(limit, call.cancel) as guard:
                while (message := next(call, None)) is not None:
                    # the caller may take any time with the bytes; only the server's silence counts
                    guard.pause()
                    yield message
                    guard.progress()
        except grpc.RpcError as error:
            if guard.expired:
                raise DeadlineExceededError(f"the server sent nothing for {limit:g} s") from error
            raise call_failed(error) from error
        finally:
            # also when the caller drops the generator: otherwise the server would send to nobody
            call.cancel()


def call_failed(error: grpc.RpcError) -> CallFailedError:
    """Return the error of any transport that an error of gRPC stands for."""
    if not isinstance(error, grpc.Call):
        return CallFailedError(StatusCode.UNKNOWN, str(error))
    code = error.code()
    return CallFailedError(
        StatusCode.UNKNOWN if code is None else StatusCode.of(code.value[0]),
        error.details() or "",
        _metadata(error.trailing_metadata()),
        cancelled_here=isinstance(error, grpc.Future) and bool(error.cancelled()),
    )


def _metadata(told: Any) -> AnswerMetadata:
    return tuple((name, value) for name, value in told or ())


def _reply(method: Any, body: bytes, start: Start) -> tuple[bytes | None, Any]:
    """Make one unary call; as a future, which is slower, only where a scope may cancel it.

    Returns:
        The answer, and the finished call.
    """
    metadata = start.metadata(body)
    if not cancellation.is_possible():
        reply, ended = method.with_call(body, timeout=start.timeout, metadata=metadata)
        return reply, ended
    future = method.future(body, timeout=start.timeout, metadata=metadata)
    with cancellation.running(future.cancel):
        try:
            return future.result(), future
        except grpc.FutureCancelledError:
            # from None: that a future was used is an implementation detail
            raise cancellation.cancelled() from None
