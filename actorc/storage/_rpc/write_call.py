"""One attempt at the bidirectional `WriteObject` call, whichever transport carries it."""

from __future__ import annotations

from typing import Self

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._wire.chunk_codec import WRITE_CHUNK_FIELD, encode_chunk
from actorc.storage._wire.error_status import error_from_status
from actorc.storage.errors import DeadlineExceededError, NetworkError
from actorc.storage.models import Chunk

from .answer_checks import damaged_answers, parsed
from .attempt_messages import Exchange
from .transport import Connection, Sending, SendingEndedError, Start, UploadRules


class WriteCall:
    """A running `WriteObject` call.

    The source is read on the caller's thread, so its exceptions and Ctrl-C arrive there. Only `cancel` may be called
    from other threads.

    Args:
        connection: Carries the call.
        start: How it begins.
        exchange: Seals requests and opens answers.
        idle_timeout: Seconds that the server may be silent or take no frame; `answer` may extend them.
    """

    def __init__(self, connection: Connection, start: Start, exchange: Exchange, idle_timeout: float) -> None:
        self._exchange = exchange
        self.passes_files = connection.passes_files
        """Whether a file can be sent instead of chunks."""
        self._sent = 0
        self._idle_timeout = idle_timeout
        rules = UploadRules(
            judge=lambda message, announced: parsed(pb.WriteObjectResponse, exchange.open(message, announced)),
            ends_sending=lambda answer: answer.HasField("failed"),
            heartbeat=lambda: encode_chunk(WRITE_CHUNK_FIELD, Chunk(self._sent, b"", 0)),
            idle_timeout=idle_timeout,
        )
        self._sending: Sending[pb.WriteObjectResponse] = connection.send(start, rules)

    def send(self, frame: pb.WriteObjectRequest, file: int | None = None) -> None:
        """Send a control frame, and the descriptor `file` with it, which stays the caller's."""
        self._put(self._exchange.seal(frame.SerializeToString()), file)

    def send_chunk(self, chunk: Chunk) -> None:
        """Send bytes."""
        self._put(encode_chunk(WRITE_CHUNK_FIELD, chunk))
        self._sent = chunk.offset + len(chunk.data)

    def finish(self) -> None:
        """Tell the server that no more frames follow."""
        self._sending.finish()

    def cancel(self) -> None:
        """End the call, or keep it from beginning; `send` and `answer` then raise. Any thread may call it."""
        self._sending.cancel()

    def answer(self, extra: float = 0.0) -> pb.WriteObjectResponse:
        """Wait for the next answer.

        Args:
            extra: Seconds that the server may be silent beyond the idle timeout.

        Raises:
            StorageError: The server refused, in band or by status.
            DeadlineExceededError: It was silent for that long.
        """
        patience = self._idle_timeout + extra
        try:
            answer = self._sending.answer(patience)
        except TimeoutError:
            raise self._silence(patience) from None
        if answer is None:
            raise NetworkError("the server ended an upload without an answer")
        if answer.HasField("failed"):
            with damaged_answers():
                raise error_from_status(answer.failed)
        return answer

    def _put(self, frame: bytes, file: int | None = None) -> None:
        try:
            self._sending.send(frame, file)
        except TimeoutError:
            raise self._silence(self._idle_timeout) from None
        except SendingEndedError:
            # the server has ended the call early, and its reason says more than the end
            self._raise_refusal()

    def _raise_refusal(self) -> None:
        while True:
            self.answer()

    def _silence(self, seconds: float) -> DeadlineExceededError:
        return DeadlineExceededError(f"the server took and said nothing for {seconds:g} s")

    def __enter__(self) -> Self:
        self._sending.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._sending.__exit__(kind, error, traceback)
