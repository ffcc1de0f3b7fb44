"""One attempt at the bidirectional `WriteObject` stream."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

import grpc

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._wire.call_signing import Metadata
from actorc.storage._wire.chunk_codec import WRITE_CHUNK_FIELD, encode_chunk
from actorc.storage._wire.error_status import error_from_status
from actorc.storage.errors import DeadlineExceededError, NetworkError, StorageError
from actorc.storage.models import Chunk

from .answer_checks import damaged_answers, parsed
from .attempt_messages import Exchange
from .cancellation import cancelled
from .grpc.frame_queue import FrameQueue, QueueClosedError

_FRAMES_WAITING = 4
"""Frames in the queue; with those in gRPC's own buffers they bound the memory of an upload."""


class WriteCall:
    """A running `WriteObject` stream.

    The source is read on the caller's thread, so its exceptions and Ctrl-C arrive there; a thread of this class reads
    the answers. Only `cancel` may be called from other threads.

    Args:
        method: The stream-stream multi-callable.
        exchange: Seals requests and opens answers; has the metadata of the attempt.
        prove: Returns the signature's metadata for the first frame, so the call begins when that is known.
        timeout: Seconds for the whole call; None for no limit.
        idle_timeout: Seconds that the server may be silent or take no frame; `answer` may extend them.
    """

    def __init__(
        self,
        method: Any,
        exchange: Exchange,
        prove: Callable[[bytes], Metadata],
        timeout: float | None,
        idle_timeout: float,
    ) -> None:
        self._exchange = exchange
        self._sent = 0
        self._idle_timeout = idle_timeout
        self._answers: list[pb.WriteObjectResponse] = []
        self._error: grpc.RpcError | StorageError | None = None
        self._ended = False
        self._heard = threading.Condition()  # guards `_answers`, `_error` and `_ended`
        self._queue = FrameQueue(_FRAMES_WAITING, self._heartbeat)
        self._beginning = threading.Lock()  # guards `_call` and `_cancelled`: see `_begin`
        self._cancelled = False
        self._call: Any = None
        self._start: Callable[[bytes], Any] = lambda first: method(
            iter(self._queue), timeout=timeout, metadata=exchange.metadata + prove(first)
        )

    def _heartbeat(self) -> bytes:
        return encode_chunk(WRITE_CHUNK_FIELD, Chunk(self._sent, b"", 0))

    def _listen(self) -> None:
        error: grpc.RpcError | StorageError | None = None
        try:
            for message in self._call:
                answer = parsed(pb.WriteObjectResponse, self._exchange.open(message, self._call.initial_metadata))
                with self._heard:
                    self._answers.append(answer)
                    self._heard.notify_all()
                if answer.HasField("failed"):
                    # the caller may wait for room in the queue; it is woken to read why the server refused
                    self._queue.break_off()
        except (grpc.RpcError, StorageError) as caught:
            error = caught
        # recorded before the queue breaks, so that a writer woken by the break finds the reason
        with self._heard:
            self._error, self._ended = error, True
            self._heard.notify_all()
        self._queue.break_off()

    def send(self, frame: pb.WriteObjectRequest) -> None:
        """Send a control frame."""
        self._put(self._exchange.seal(frame.SerializeToString()))

    def send_chunk(self, chunk: Chunk) -> None:
        """Send bytes."""
        self._put(encode_chunk(WRITE_CHUNK_FIELD, chunk))
        self._sent = chunk.offset + len(chunk.data)

    def finish(self) -> None:
        """Half-close the stream: no more frames follow."""
        self._queue.finish()

    def cancel(self) -> None:
        """End the call, or keep it from beginning; `send` and `answer` then raise. Any thread may call it."""
        with self._beginning:
            self._cancelled = True
        # before the queue ends, or the server may receive a stream that is complete but empty
        if self._call is not None:
            self._call.cancel()
        self._queue.break_off()

    def answer(self, extra: float = 0.0) -> pb.WriteObjectResponse:
        """Wait for the next answer.

        Args:
            extra: Seconds that the server may be silent beyond the idle timeout.

        Raises:
            StorageError: The server refused, in band or by status.
            DeadlineExceededError: It was silent for that long.
        """
        patience = self._idle_timeout + extra
        with self._heard:
            if not self._heard.wait_for(lambda: self._answers or self._ended, patience):
                raise self._silence(patience)
            answer = self._answers.pop(0) if self._answers else None
        if answer is None:
            raise self._error or NetworkError("the server ended an upload without an answer")
        if answer.HasField("failed"):
            with damaged_answers():
                raise error_from_status(answer.failed)
        return answer

    def _put(self, frame: bytes) -> None:
        if self._call is None:
            self._begin(frame)
        try:
            self._queue.put(frame, self._idle_timeout)
        except TimeoutError:
            raise self._silence(self._idle_timeout) from None
        except QueueClosedError:
            # the server has ended the call early, and its reason says more than a closed queue
            self._raise_refusal()

    def _begin(self, first: bytes) -> None:
        # held until `_call` is set, or a cancellation in between would find no call to cancel
        with self._beginning:
            if self._cancelled:
                raise cancelled()
            self._call = self._start(first)
        # daemon: a call that hangs must not keep the interpreter from ending
        threading.Thread(target=self._listen, name="storage-upload", daemon=True).start()

    def _raise_refusal(self) -> None:
        while True:
            self.answer()

    def _silence(self, seconds: float) -> DeadlineExceededError:
        return DeadlineExceededError(f"the server took and said nothing for {seconds:g} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            # after success the queue may end; a call that failed is cancelled first, so that the server stores nothing
            self._queue.break_off()
        else:
            self.cancel()
