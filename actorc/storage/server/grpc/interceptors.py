"""Around every call: who makes it, its access line, admission, idle timeouts, errors to status.

`service.py` raises what it likes and waits for whom it likes; here is decided what the caller may know of a failure,
and that nobody is waited for longer than the idle timeout.

A call takes one of three ways, by its headers alone and before a thread is taken. Whoever proves a key, or calls an
open server, gets a thread. Whoever proves nothing is refused without one. Clients that do not send the hash of their
message can be judged by the message only, so they share a few threads on which it is waited for, but for a moment; then
they go on like the others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from typing import Any, Final, TypeAlias

import grpc

from actorc.storage._wire import messages
from actorc.storage._wire.idle import Guard
from actorc.storage.errors import (
    DeadlineExceededError,
    InvalidParameterError,
    ResourceExhaustedError,
    StorageError,
    UnauthenticatedError,
)
from actorc.storage.rules import KiB
from actorc.storage.server.auth.authentication import Authenticator, Standing
from actorc.storage.server.telemetry.access_log import Journal
from actorc.storage.server.telemetry.call import Call, Head
from actorc.storage.server.telemetry.calls_in_flight import Gate

from .admission import AT_ONCE, Behavior, CallPool

Reader = Callable[..., Any]
Answers = Callable[[Call, Standing, Iterator[bytes]], Generator[Any, None, None]]
"""What makes the answers to a call of the messages that come."""
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_PREFIX: Final = f"/{messages.SERVICE.full_name}/"
MAX_HEADERS: Final = 32 * KiB
"""Bytes of headers that a call may have."""
_OURS: Final = "x-acs-"
"""Begins the names of the headers that this service knows."""
_RETRY_AFTER: Final = 0.2
"""Seconds after which a refused transfer may find a place."""
_FIRST_MESSAGE: Final = 1.0
"""Seconds that a caller who has proved nothing has for its first message, counted from the arrival of its headers."""
_AT_LEAST: Final = 0.1
"""Seconds for a message that is there already, if it took long until a thread was free."""
_NO_MESSAGE: Final = "the call ended before its first message came; send the one that the method takes"


class Boundary(grpc.ServerInterceptor):
    """Wraps every method of the service; other services of the server pass untouched.

    Requests are read here and not by gRPC: who sends one is proved before it is looked into, and how long it may take
    is limited.

    Args:
        authenticator: Finds out who makes a call.
        journal: Is told of every call.
        gate: Where calls enter.
        calls: Where calls run.
        strangers: Where it is waited for the first message of those who are proved by nothing else.
        max_streams: Uploads and downloads at the same time; one more is refused at once.
        idle_timeout: Seconds a stream, or the message of a small call, may be waited for.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        journal: Journal,
        gate: Gate,
        *,
        calls: CallPool,
        strangers: CallPool,
        max_streams: int,
        idle_timeout: float,
    ) -> None:
        self._authenticator = authenticator
        self._journal = journal
        self._gate = gate
        self._calls = calls
        self._strangers = strangers
        self._places = threading.BoundedSemaphore(max_streams)
        self._max_streams = max_streams
        self._idle_timeout = idle_timeout

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the method's handler, wrapped, or one that refuses the call.

        It is called on the one thread that hands out all calls, so it waits for nothing.
        """
        path = handler_call_details.method
        handler = continuation(handler_call_details)
        if handler is None or not path.startswith(_PREFIX):
            return handler
        head = Head(path.removeprefix(_PREFIX), dict(handler_call_details.invocation_metadata))
        try:
            _demand_sane(handler_call_details.invocation_metadata)
            standing = self._authenticator.standing(head.metadata, path, head.request_id)
            (self._calls if standing.proved else self._strangers).demand_room()
        except Exception as error:  # noqa: BLE001 - it is told to the caller
            return self._refused(head, error)
        return (self._proved if standing.proved else self._unproved)(head, standing, handler)

    def _refused(self, head: Head, error: Exception) -> Handler:
        """Return a handler that tells the error; as a stream, it waits for no message, so it needs no thread."""

        def refuse(_bodies: Iterator[bytes], context: grpc.ServicerContext) -> None:
            call = Call(head, context)
            with call.told(self._journal):
                raise error

        return grpc.stream_stream_rpc_method_handler(Behavior(refuse, pool=AT_ONCE))

    def _proved(self, head: Head, standing: Standing, handler: Handler) -> Handler:
        """Return a handler that answers. All requests are taken as streams: only so their waiting can be limited."""
        answers = self._answers(handler)

        def stream(bodies: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
            call = Call(head, context)
            with call.told(self._journal), closing(answers(call, standing, bodies)) as responses:
                yield from responses

        def one(bodies: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            call = Call(head, context)
            with call.told(self._journal), closing(answers(call, standing, bodies)) as responses:
                return next(responses)

        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.stream_unary_rpc_method_handler(one)

    def _unproved(self, head: Head, standing: Standing, handler: Handler) -> Handler:
        """Return a handler that waits for the message among strangers, and answers elsewhere once that proves a key."""

        def begin(bodies: Iterator[bytes], context: grpc.ServicerContext, send: Callable[[Any], None]) -> None:
            call = Call(head, context)
            try:
                first = self._first_of_stranger(call, head, bodies)
                self._identify(call, standing, first)
                self._calls.demand_room()
                responses = self._answers(handler)(call, standing, chain((first,), bodies))
                self._calls.submit(self._send, call, responses, send)
            except Exception:
                with call.told(self._journal):
                    raise

        behavior = Behavior(begin, pool=self._strangers, blocking=False)
        return grpc.stream_stream_rpc_method_handler(behavior)

    def _first_of_stranger(self, call: Call, head: Head, bodies: Iterator[bytes]) -> bytes:
        limit = min(_FIRST_MESSAGE, self._idle_timeout)
        left = max(_AT_LEAST, limit - (time.monotonic() - head.arrived))
        late = DeadlineExceededError(
            f"the first message did not come within {limit:g} s; a client that sends its hash as x-acs-hash has longer"
        )
        with call.at_most(left, late):
            first = next(bodies, None)
        if first is None:
            # no message is not an empty one, which could have been signed; a call that was ended looks like this, too
            raise InvalidParameterError(_NO_MESSAGE)
        return first

    def _send(self, call: Call, responses: Generator[Any, None, None], send: Callable[[Any], None]) -> None:
        try:
            with call.told(self._journal), closing(responses):
                for response in responses:
                    send(response)
                    if not call.is_active():
                        call.gone()
                        break
        except Exception:  # noqa: BLE001, S110 - it is the status that the last word sends
            pass
        send(None)

    def _answers(self, handler: Handler) -> Answers:
        read: Any = handler.request_deserializer
        if handler.stream_stream:
            return _packed(self._upload(handler.stream_stream, read))
        if handler.unary_stream:
            return _packed(self._download(handler.unary_stream, read))
        return _packed(self._unary(handler.unary_unary, read))

    def _unary(self, behavior: Any, read: Reader) -> Answers:
        def answers(call: Call, standing: Standing, bodies: Iterator[bytes]) -> Generator[Any, None, None]:
            with self._gate.passed():
                yield behavior(self._request(call, standing, bodies, read), call)

        return answers

    def _download(self, behavior: Any, read: Reader) -> Answers:
        def answers(call: Call, standing: Standing, bodies: Iterator[bytes]) -> Generator[Any, None, None]:
            with self._gate.passed():
                request = self._request(call, standing, bodies, read)
                with self._stream(call) as guard:
                    yield from _watched_responses(behavior(request, call), guard)

        return answers

    def _upload(self, behavior: Any, read: Reader) -> Answers:
        def answers(call: Call, standing: Standing, bodies: Iterator[bytes]) -> Generator[Any, None, None]:
            # waiting for the first message takes a place: else callers that send none could take all threads
            with self._gate.passed(), self._stream(call) as guard:
                watched = _watched_frames(bodies, guard)
                first = next(watched, None)
                message = self._identify(call, standing, first or b"")
                later = (read(frame, call.opened) for frame in watched)
                frames = later if first is None else chain((read(message),), later)
                yield from _watched_responses(behavior(frames, call), guard)

        return answers

    def _request(self, call: Call, standing: Standing, bodies: Iterator[bytes], read: Reader) -> Any:
        """Return the only message of a call, from whom it says it is."""
        with call.at_most(self._idle_timeout, self._idle()):
            body = next(bodies, None)
        if body is None:
            raise InvalidParameterError(_NO_MESSAGE)
        request = read(self._identify(call, standing, body))
        call.bucket = getattr(request, "bucket", "")
        call.key = getattr(request, "key", "")
        return request

    def _identify(self, call: Call, standing: Standing, body: bytes) -> bytes:
        """Record who makes the call; return its first message without its checksum."""
        # a damaged message is told as that: its signature is wrong as well, but no wrong key is the cause
        message = call.opened(body)
        call.principal = self._authenticator.principal(standing, _PREFIX + call.method, body)
        return message

    def _idle(self) -> StorageError:
        return DeadlineExceededError(f"nothing moved for {self._idle_timeout:g} s and the server gave up; try again")

    @contextmanager
    def _stream(self, call: Call) -> Iterator[Guard]:
        if not self._places.acquire(blocking=False):
            raise ResourceExhaustedError(
                f"the server runs {self._max_streams} transfers already; try again in a moment",
                retry_after=_RETRY_AFTER,
            )
        try:
            with self._journal.transfer(), call.at_most(self._idle_timeout, self._idle()) as guard:
                guard.pause()
                call.announce()
                yield guard
        finally:
            self._places.release()


def _demand_sane(metadata: Sequence[tuple[str, str | bytes]]) -> None:
    """Refuse a call with too many bytes of headers, or that says something of ours twice.

    gRPC counts what a single frame brings, so it passes on 16 MiB whatever it is told, and a call that waits holds
    them. Of what is said twice, who stands between could have judged the other one.

    Raises:
        InvalidParameterError: They are too many.
        UnauthenticatedError: Something is there twice.
    """
    size = sum(len(name) + len(value) for name, value in metadata)
    if size > MAX_HEADERS:
        raise InvalidParameterError(f"the headers of a call take at most {MAX_HEADERS} bytes, these {size}; send fewer")
    ours = [name for name, _ in metadata if name.startswith(_OURS)]
    if len(ours) != len(set(ours)):
        raise UnauthenticatedError(f"a header that begins with {_OURS} is there twice; send each once")


def _packed(answers: Answers) -> Answers:
    """Return what makes the same answers as they are sent."""

    def packed(call: Call, standing: Standing, bodies: Iterator[bytes]) -> Generator[bytes, None, None]:
        with closing(answers(call, standing, bodies)) as responses:
            for response in responses:
                yield call.packed(response)

    return packed


def _watched_frames(bodies: Iterator[bytes], guard: Guard) -> Iterator[bytes]:
    while True:
        guard.progress()
        try:
            body = next(bodies, None)
        finally:
            guard.pause()
        if body is None:
            return
        yield body


def _watched_responses(responses: Any, guard: Guard) -> Iterator[Any]:
    with closing(responses):
        for response in responses:
            guard.progress()
            yield response
            guard.pause()
