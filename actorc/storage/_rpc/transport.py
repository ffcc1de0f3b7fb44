"""What a transport offers: the calls of one connection, and one error for all that failed.

`Rpc` makes calls without knowing what carries them. A connection makes the three kinds of calls that the service has,
with serialized messages; metadata are pairs of name and value, those that end with ``-bin`` have bytes as value.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from actorc.storage._wire.call_signing import Metadata
from actorc.storage._wire.status_codes import StatusCode
from actorc.storage.errors import StorageError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

AnswerMetadata = tuple[tuple[str, str | bytes], ...]
"""Metadata of an answer: pairs of name and value."""

NETWORK: Final = "grpc"
"""Name of the transport that leads to other machines."""

Trailers = Callable[[], AnswerMetadata]
"""Returns the metadata behind an answer; few calls look at them, and gRPC takes a while to give them."""


class CallFailedError(Exception):
    """A call ended without success.

    Args:
        code: Its status.
        details: What the server or the transport says.
        metadata: Its trailers.
        cancelled_here: Whether this process ended it.
    """

    def __init__(
        self, code: StatusCode, details: str, metadata: AnswerMetadata = (), *, cancelled_here: bool = False
    ) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details
        self.metadata = metadata
        self.cancelled_here = cancelled_here


class SendingEndedError(Exception):
    """The server takes no more messages of an upload; its answer, or the status of the call, says why."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a call begins."""

    path: str
    """``/package.Service/Method``."""
    metadata: Callable[[bytes], Metadata]
    """Returns the metadata of the call for its first message, which they sign."""
    timeout: float | None
    """Seconds for the whole call; None for no limit."""


class Answers(Protocol):
    """The answers of one call, for one thread."""

    def announced(self) -> AnswerMetadata:
        """Return the metadata that came before the first answer."""

    def messages(self) -> Generator[bytes, None, None]:
        """Yield the serialized answers; closing the generator ends the call.

        Raises:
            CallFailedError: The call failed.
            DeadlineExceededError: The server sent nothing for longer than was agreed.
        """


class Sending(Protocol[T_co]):
    """An upload, for one thread; `cancel` may be called by any.

    A context manager: at the end of the block the call is over, and cancelled if the block raised.
    """

    def send(self, message: bytes, file: int | None = None) -> None:
        """Send a serialized message; the first one begins the call.

        Args:
            message: The message.
            file: Descriptor to send with it, which stays the caller's; only if the connection passes files.

        Raises:
            SendingEndedError: The server takes no more; `answer` says why.
            TimeoutError: It took none for longer than was agreed.
        """

    def finish(self) -> None:
        """Tell the server that no more messages follow."""

    def answer(self, patience: float) -> T_co | None:
        """Return the next answer as it was judged, None after the last.

        Args:
            patience: Seconds to wait for it.

        Raises:
            CallFailedError: The call failed.
            TimeoutError: No answer came in time.
        """

    def cancel(self) -> None:
        """End the call, or keep it from beginning."""

    def __enter__(self) -> Sending[T_co]: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None: ...


HEARTBEAT_SECONDS: Final = 15.0
"""Seconds of silence of a source after which a transport sends `UploadRules.heartbeat`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRules(Generic[T]):
    """What the messages of an upload mean to those who carry them."""

    judge: Callable[[bytes, Callable[[], AnswerMetadata]], T]
    """Returns the answer in a message, or raises a `StorageError`; called with `Answers.announced`."""
    ends_sending: Callable[[T], bool]
    """Returns whether the server takes no more messages after that answer."""
    heartbeat: Callable[[], bytes]
    """Returns a message for a silent source, so that the server can tell it from a dead one."""
    idle_timeout: float
    """Seconds that the server may take no message."""


class Connection(Protocol):
    """A way to the server, for the calls of one thread."""

    @property
    def transport(self) -> str:
        """``grpc`` or ``unix``."""

    def ask(self, start: Start, request: bytes) -> tuple[bytes | None, Trailers]:
        """Make a unary call; return its answer, None if the server sent none, and what returns the trailers.

        Raises:
            CallFailedError: The call failed.
        """

    @property
    def passes_files(self) -> bool:
        """Whether descriptors of files can go with messages: the server is on this machine."""

    def open(self, start: Start, request: bytes) -> tuple[bytes | None, Trailers, Sequence[int]]:
        """Make a unary call as `ask` does; return also the descriptors that came with its answer, now the caller's.

        Only for a connection that passes files.
        """

    def receive(self, start: Start, request: bytes, idle_timeout: float) -> Answers:
        """Begin a call with one request and a stream of answers.

        Args:
            start: How it begins.
            request: The serialized request.
            idle_timeout: Seconds that the server may be silent while an answer is awaited.
        """

    def send(self, start: Start, rules: UploadRules[T]) -> Sending[T]:
        """Return a call that sends a stream; it begins with the first message."""


class Transport(Protocol):
    """Connections to one server. Any thread may call it, also in a child after a fork."""

    def connection(self, *, streams: bool) -> AbstractContextManager[Connection]:
        """Lease a connection for one call; what was raised inside tells whether it can be used again.

        Args:
            streams: Whether a stream will run on it.
        """

    def close(self) -> None:
        """Close all connections; calls under way fail, later ones are refused."""


def closed() -> StorageError:
    """Return the error of a call on a client that was closed."""
    return StorageError("this client is closed; make a new one", code="Closed")
