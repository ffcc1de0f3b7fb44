"""One upload over gRPC: the caller's thread fills a queue, gRPC's sends it, and one of its own reads the answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, Generic, Self, TypeVar

import grpc

from actorc.storage._rpc import cancellation
from actorc.storage._rpc.transport import AnswerMetadata, CallFailedError, SendingEndedError, Start, UploadRules
from actorc.storage.errors import StorageError

from .frame_queue import FrameQueue, QueueClosedError

T = TypeVar("T")

_FRAMES_WAITING: Final = 2
"""Frames in the queue: one that gRPC is about to take, and one behind it.

With those in gRPC's own buffers they bound the memory of an upload; more of them made none faster."""


class UploadStream(Generic[T]):
    """A bidirectional stream. Only `cancel` may be called from other threads than the caller's.

    Args:
        method: The stream-stream multi-callable.
        start: How the call begins.
        rules: What the messages mean.
        failed: Returns the error of any transport that an error of gRPC stands for.
    """

    def __init__(
        self, method: Any, start: Start, rules: UploadRules[T], failed: Callable[[grpc.RpcError], CallFailedError]
    ) -> None:
        self._method = method
        self._how = start
        self._rules = rules
        self._failed = failed
        self._answers: list[T] = []
        self._error: grpc.RpcError | StorageError | None = None
        self._ended = False
        self._heard = threading.Condition()  # guards `_answers`, `_error` and `_ended`
        self._queue = FrameQueue(_FRAMES_WAITING, rules.heartbeat)
        self._beginning = threading.Lock()  # guards `_call` and `_cancelled`: see `_begin`
        self._cancelled = False
        self._call: Any = None

    def send(self, message: bytes, file: int | None = None) -> None:  # noqa: ARG002  # gRPC passes no descriptors
        """Send a serialized message; the first one begins the call."""
        if self._call is None:
            self._begin(message)
        try:
            self._queue.put(message, self._rules.idle_timeout)
        except QueueClosedError:
            raise SendingEndedError from None

    def finish(self) -> None:
        """Half-close the stream: no more messages follow."""
        self._queue.finish()

    def answer(self, patience: float) -> T | None:
        """Return the next answer as it was judged, None after the last."""
        with self._heard:
            if not self._heard.wait_for(lambda: self._answers or self._ended, patience):
                raise TimeoutError
            if self._answers:
                return self._answers.pop(0)
        if isinstance(self._error, grpc.RpcError):
            raise self._failed(self._error) from self._error
        if self._error is not None:
            raise self._error
        return None

    def cancel(self) -> None:
        """End the call, or keep it from beginning; `send` and `answer` then raise. Any thread may call it."""
        with self._beginning:
            self._cancelled = True
        # before the queue ends, or the server may receive a stream that is complete but empty
        if self._call is not None:
            self._call.cancel()
        self._queue.break_off()

    def _begin(self, first: bytes) -> None:
        # held until `_call` is set, or a cancellation in between would find no call to cancel
        with self._beginning:
            if self._cancelled:
                raise cancellation.cancelled()
            self._call = self._method(iter(self._queue), timeout=self._how.timeout, metadata=self._how.metadata(first))
        # daemon: a call that hangs must not keep the interpreter from ending
        threading.Thread(target=self._listen, name="storage-upload", daemon=True).start()

    def _listen(self) -> None:
        error: grpc.RpcError | StorageError | None = None
        try:
            for message in self._call:
                answer = self._rules.judge(message, self._announced)
                with self._heard:
                    self._answers.append(answer)
                    self._heard.notify_all()
                if self._rules.ends_sending(answer):
                    # the caller may wait for room in the queue; it is woken to read why the server refused
                    self._queue.break_off()
        except (grpc.RpcError, StorageError) as caught:
            error = caught
        # recorded before the queue breaks, so that a writer woken by the break finds the reason
        with self._heard:
            self._error, self._ended = error, True
            self._heard.notify_all()
        self._queue.break_off()

    def _announced(self) -> AnswerMetadata:
        return tuple(self._call.initial_metadata() or ())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            # after success the queue may end; a call that failed is cancelled first, so that the server stores nothing
            self._queue.break_off()
        else:
            self.cancel()
