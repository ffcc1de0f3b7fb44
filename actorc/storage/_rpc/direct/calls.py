"""The kinds of calls that need no stream to the server, made by a carrier in this process."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Final, TypeVar, cast

from actorc.storage._rpc.transport import (
    AnswerMetadata,
    Answers,
    CallFailedError,
    Connection,
    Sending,
    Start,
    Trailers,
    UploadRules,
)
from actorc.storage._wire.direct_calls import Carrier, DirectCall, DirectCallError
from actorc.storage.errors import UnsupportedError

T = TypeVar("T")


class DirectTransport:
    """Leads to a server in this process. Any thread may call it.

    Args:
        carrier: Carries the calls.
    """

    def __init__(self, carrier: Carrier) -> None:
        self._connection = DirectConnection(carrier)

    def connection(self, *, streams: bool) -> AbstractContextManager[Connection]:  # noqa: ARG002  # of the protocol
        """Return the connection, which all calls share, since it has no state."""
        return nullcontext(self._connection)

    def close(self) -> None:
        """Do nothing: nothing is open."""


class DirectConnection:
    """A way to the server. Any thread may call it."""

    transport: Final = "direct"
    passes_files: Final = False

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    def ask(self, start: Start, request: bytes) -> tuple[bytes | None, Trailers]:
        """Make a unary call; return its answer and what returns the trailers."""
        call = self._carrier.call(start.path, start.metadata(request), request)
        with closing(_messages(call)) as messages:
            # all of them: the trailers are those of the end
            answers = list(messages)
        return (answers[0] if answers else None), lambda: call.trailers

    def open(self, start: Start, request: bytes) -> tuple[bytes | None, Trailers, Sequence[int]]:
        """Make a unary call; no descriptors come with it."""
        return *self.ask(start, request), ()

    def receive(self, start: Start, request: bytes, idle_timeout: float) -> Answers:  # noqa: ARG002  # no peer to wait for
        """Begin a call with one request and a stream of answers."""
        return DirectAnswers(self._carrier.call(start.path, start.metadata(request), request))

    def send(self, start: Start, rules: UploadRules[T]) -> Sending[T]:  # noqa: ARG002  # of the protocol
        """Refuse the call.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError("a client in the server's process sends no streams; put small objects")


class DirectAnswers:
    """The answers of one call. For one thread."""

    def __init__(self, call: DirectCall) -> None:
        self._call = call

    def announced(self) -> AnswerMetadata:
        """Return the metadata that came before the first answer."""
        return self._call.announced

    def messages(self) -> Generator[bytes, None, None]:
        """Yield the serialized answers; closing the generator ends the call."""
        return _messages(self._call)


def _messages(call: DirectCall) -> Generator[bytes, None, None]:
    with closing(cast("Generator[bytes, None, None]", call.answers())) as answers:
        try:
            yield from _whole(answers)
        except DirectCallError as error:
            raise CallFailedError(error.code, error.message, error.trailers) from error


def _whole(answers: Iterator[bytes]) -> Iterator[bytes]:
    """Yield messages as bytes, which alone can be parsed; a frame may be another buffer."""
    return (answer if isinstance(answer, bytes) else bytes(answer) for answer in answers)
