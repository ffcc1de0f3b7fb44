"""The choke point: every call leaves through here.

Deadlines, retries, identity, cancellation and the mapping of errors are here and nowhere else. gRPC's own retries
stay off: they end once headers arrived or a request outgrew the buffer, which is every large upload and every broken
download.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from . import _wire
from ._idle import IdleWatch
from ._retry import RetryPolicy
from ._rounds import Rounds
from ._upload import WriteCall
from .config import ClientOptions
from .errors import DeadlineExceededError, StorageError
from .rules import MAX_MESSAGE_SIZE

Response = TypeVar("Response", bound=Message)

_CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_SIZE),
    ("grpc.max_send_message_length", MAX_MESSAGE_SIZE),
    ("grpc.enable_retries", 0),
    # a dead peer is noticed during an idle transfer; the server permits pings this often
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # a restarted server is found again within a retry, not after gRPC's default of up to two minutes
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # equal channels would otherwise share one connection, and one flow control, across clients
    ("grpc.use_local_subchannel_pool", 1),
)

_idle = IdleWatch()


class Receiver(Protocol):
    """What a download does with the messages of one attempt; a new attempt asks for a new request."""

    def request(self) -> bytes:
        """Return the serialized request for what is still missing."""

    def accept(self, message: bytes) -> bytes | memoryview:
        """Return the proven payload of one message; empty if it carries none."""

    def finish(self) -> None:
        """Check that everything came."""


class Sender(Protocol):
    """What an upload does in one attempt."""

    @property
    def replayable(self) -> bool:
        """Whether `send` can be called again."""

    def send(self, call: WriteCall) -> Any:
        """Send everything through `call` and return the answer."""


class Rpc:
    """Makes calls to one server. Safe to use from many threads and after a fork.

    Args:
        options: Where the server is and how long to wait.
        retry: When to try again.
    """

    def __init__(self, options: ClientOptions, retry: RetryPolicy) -> None:
        self._options = options
        self._retry = retry
        self._closed = False
        self._forget_connection()
        _living.add(self)

    def _forget_connection(self) -> None:
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._reached = False

    def ask(self, method: str, request: Message, answer: type[Response], *, timeout: float | None = None) -> Response:
        """Make a call with one request and one answer.

        Args:
            method: Name of the method in the service.
            request: What to send.
            answer: The message class of the answer.
            timeout: Seconds for all attempts together.
        """
        body = request.SerializeToString()
        rounds = self._rounds(self._options.timeout if timeout is None else timeout)
        while True:
            with rounds.attempt() as (metadata, left), self._connection() as channel:
                call: Any = channel.unary_unary(_path(method))
                reply: bytes = call(body, timeout=left, metadata=metadata)
                self._reached = True
                return answer.FromString(reply)

    def receive(self, method: str, receiver: Receiver, *, timeout: float | None = None) -> Iterator[bytes | memoryview]:
        """Yield the payload of a stream of answers; a broken stream is resumed, and progress renews the patience.

        Args:
            method: Name of the method in the service.
            receiver: Makes the requests and judges the messages.
            timeout: Seconds for everything, the caller's own time between pieces included; None for no limit.
        """
        rounds = self._rounds(timeout)
        while True:
            with rounds.attempt() as (metadata, left), self._connection() as channel:
                stream: Any = channel.unary_stream(_path(method))
                for message in self._messages(stream(receiver.request(), timeout=left, metadata=metadata)):
                    payload = receiver.accept(message)
                    rounds.progressed()
                    if payload:
                        yield payload
                receiver.finish()
                return

    def send(self, method: str, sender: Sender, *, timeout: float | None = None) -> Any:
        """Make a call that sends a stream; what cannot be read again is not sent again.

        Args:
            method: Name of the method in the service.
            sender: Sends, and returns the answer.
            timeout: Seconds for everything; None for no limit.
        """
        rounds = self._rounds(timeout, may_repeat=lambda: sender.replayable)
        while True:
            with rounds.attempt() as (metadata, left), self._connection() as channel:
                stream: Any = channel.stream_stream(_path(method))
                with WriteCall(stream, metadata, left, self._options.idle_timeout) as call:
                    reply = sender.send(call)
                self._reached = True
                return reply

    def _rounds(self, timeout: float | None, may_repeat: Callable[[], bool] = lambda: True) -> Rounds:
        return Rounds(self._options.address, self._retry, timeout, reached=lambda: self._reached, may_repeat=may_repeat)

    def _messages(self, call: Any) -> Iterator[bytes]:
        limit = self._options.idle_timeout
        try:
            with _idle.guard(limit, call.cancel) as guard:
                while (message := next(call, None)) is not None:
                    guard.pause()
                    self._reached = True
                    yield message
                    guard.progress()
        except grpc.RpcError as error:
            if guard.expired:
                raise DeadlineExceededError(f"the server sent nothing for {limit:g} s") from error
            raise
        finally:
            call.cancel()

    @contextmanager
    def _connection(self) -> Iterator[grpc.Channel]:
        """Offer the channel; one on which something waited in vain is not used again, it may have stalled."""
        channel = self._open_channel()
        try:
            yield channel
        except (grpc.RpcError, DeadlineExceededError) as error:
            if _timed_out(error):
                self._abandon(channel)
            raise

    def _abandon(self, channel: grpc.Channel) -> None:
        """Let the next call open a new connection; calls of other threads go on over the old one."""
        with self._lock:
            if self._channel is channel:
                self._channel = None

    def _open_channel(self) -> grpc.Channel:
        with self._lock:
            if self._closed:
                raise StorageError("this client is closed; make a new one", code="Closed")
            if self._channel is None:
                self._channel = _connect(self._options)
            return self._channel

    def close(self) -> None:
        """Close the connection; calls under way fail, later ones are refused."""
        with self._lock:
            self._closed = True
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def after_fork(self) -> None:
        """Start anew in a forked child: the connection, and perhaps a held lock, belong to the parent."""
        _inherited.append(self._channel)
        self._forget_connection()


def _timed_out(error: Exception) -> bool:
    if isinstance(error, grpc.Call):
        return error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    return isinstance(error, DeadlineExceededError)


def _path(method: str) -> str:
    return f"/{_wire.SERVICE.full_name}/{method}"


def _connect(options: ClientOptions) -> grpc.Channel:
    if options.use_ssl:
        return grpc.secure_channel(options.endpoint, grpc.ssl_channel_credentials(), _CHANNEL_OPTIONS)
    return grpc.insecure_channel(options.endpoint, _CHANNEL_OPTIONS)


_living: weakref.WeakSet[Rpc] = weakref.WeakSet()
_inherited: list[grpc.Channel | None] = []
"""Channels of a parent process, kept for ever: closing one in the child would disturb the parent's connection."""


def _after_fork_in_child() -> None:
    for rpc in list(_living):
        rpc.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
