"""Interceptor of all calls: authentication, admission, idle timeouts, errors as status, and the access log.

Methods in `service.py` may raise anything and wait for their peer: `call.py` decides which text of a failure the caller
sees, and no peer is waited for longer than the idle timeout.

A call takes one of three ways, decided by its headers alone before a thread is used. A call that proves a key, or comes
to an open server, gets a thread. A call that proves nothing is refused without one. A client that does not send the
hash of its message can be checked by the message only: such calls share a few threads that wait for it for a moment,
and then continue like the others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from typing import Any, Final, TypeAlias

import grpc

from actorc.storage._wire import call_headers
from actorc.storage._wire.idle import Guard
from actorc.storage.errors import (
    DeadlineExceededError,
    InvalidParameterError,
    ResourceExhaustedError,
    StorageError,
    UnauthenticatedError,
)
from actorc.storage.rules import KiB
from actorc.storage.server.auth.authentication import Authenticator, HeaderProof
from actorc.storage.server.service.admission import CALLER_THREAD, Behavior, CallPool
from actorc.storage.server.service.call import Call, CallHead
from actorc.storage.server.telemetry.access_log import AccessLog
from actorc.storage.server.telemetry.calls_in_flight import CallsInFlight

Reader = Callable[..., Any]
Answers = Callable[[Call, HeaderProof, Iterator[bytes]], Generator[Any, None, None]]
"""Makes the answers to a call from its messages."""
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_PREFIX: Final = f"/{call_headers.SERVICE.full_name}/"
MAX_HEADERS: Final = 32 * KiB
"""Bytes of headers that a call may have."""
_OUR_PREFIX: Final = "x-acs-"
"""Prefix of the headers of this service."""
_RETRY_AFTER: Final = 0.2
"""Seconds after which a refused transfer may be admitted."""
_FIRST_MESSAGE_SECONDS: Final = 1.0
"""Seconds that a caller without proof has for its first message, counted from the arrival of its headers."""
_MIN_SECONDS: Final = 0.1
"""Seconds that remain at least, for a message that has arrived while the call waited for a thread."""
_NO_MESSAGE: Final = "the call ended before its first message came; send the one that the method takes"


class CallInterceptor(grpc.ServerInterceptor):
    """Wraps every method of the storage service; other services of the server are left alone. Any thread may call it.

    Requests are read here and not by gRPC, so that a message is parsed only after its sender is proved, and waiting for
    it is limited.

    Args:
        authenticator: Authenticates callers.
        access_log: The access log.
        in_flight: Admits calls while the server runs.
        calls: Threads for calls.
        strangers: Threads that wait for the first message of callers who prove nothing by their headers.
        max_streams: Uploads and downloads at the same time; a further one is refused at once.
        idle_timeout: Seconds to wait for the next message of a stream, or for the message of a unary call.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        access_log: AccessLog,
        in_flight: CallsInFlight,
        *,
        calls: CallPool,
        strangers: CallPool,
        max_streams: int,
        idle_timeout: float,
    ) -> None:
        self._authenticator = authenticator
        self._access_log = access_log
        self._in_flight = in_flight
        self._calls = calls
        self._strangers = strangers
        self._transfers = threading.BoundedSemaphore(max_streams)
        self._max_streams = max_streams
        self._idle_timeout = idle_timeout

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the handler of the method, wrapped, or one that refuses the call.

        gRPC calls it on the one thread that dispatches all calls, so it must not block.
        """
        path = handler_call_details.method
        handler = continuation(handler_call_details)
        if handler is None or not path.startswith(_PREFIX):
            return handler
        head = CallHead(path.removeprefix(_PREFIX), dict(handler_call_details.invocation_metadata))
        try:
            _check_headers(handler_call_details.invocation_metadata)
            proof = self._authenticator.check_headers(head.metadata, path, head.request_id)
            (self._calls if proof.proved else self._strangers).demand_room()
        except Exception as error:  # noqa: BLE001 - it is told to the caller
            return self._refused(head, error)
        return (self._proved if proof.proved else self._unproved)(head, proof, handler)

    def _refused(self, head: CallHead, error: Exception) -> Handler:
        """Return a handler that ends the call with the error; it waits for no message and needs no thread."""

        def refuse(_bodies: Iterator[bytes], context: grpc.ServicerContext) -> None:
            call = Call(head, context)
            with call.recorded(self._access_log):
                raise error

        return grpc.stream_stream_rpc_method_handler(Behavior(refuse, pool=CALLER_THREAD))

    def _proved(self, head: CallHead, proof: HeaderProof, handler: Handler) -> Handler:
        """Return a handler that answers. It reads all requests as streams, since only then the wait can be limited."""
        answers = self._answers(handler)

        def stream(bodies: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
            call = Call(head, context)
            with call.recorded(self._access_log), closing(answers(call, proof, bodies)) as responses:
                yield from responses

        def single(bodies: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            call = Call(head, context)
            with call.recorded(self._access_log), closing(answers(call, proof, bodies)) as responses:
                return next(responses)

        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.stream_unary_rpc_method_handler(single)

    def _unproved(self, head: CallHead, proof: HeaderProof, handler: Handler) -> Handler:
        """Return a handler that waits for the first message on a thread for strangers, and answers on another one."""

        def begin(bodies: Iterator[bytes], context: grpc.ServicerContext, send: Callable[[Any], None]) -> None:
            call = Call(head, context)
            try:
                first = self._first_message(call, head, bodies)
                self._identify(call, proof, first)
                # checked again: the room was not reserved while the message was awaited
                self._calls.demand_room()
                responses = self._answers(handler)(call, proof, chain((first,), bodies))
                self._calls.submit(self._send, call, responses, send)
            except Exception:
                with call.recorded(self._access_log):
                    raise

        behavior = Behavior(begin, pool=self._strangers, blocking=False)
        return grpc.stream_stream_rpc_method_handler(behavior)

    def _first_message(self, call: Call, head: CallHead, bodies: Iterator[bytes]) -> bytes:
        limit = min(_FIRST_MESSAGE_SECONDS, self._idle_timeout)
        left = max(_MIN_SECONDS, limit - (time.monotonic() - head.arrived))
        late = DeadlineExceededError(
            f"the first message did not come within {limit:g} s; a client that sends its hash as x-acs-hash has longer"
        )
        with call.limited(left, late):
            first = next(bodies, None)
        if first is None:
            # a missing message is not an empty one, which may have been signed; an ended call looks like this, too
            raise InvalidParameterError(_NO_MESSAGE)
        return first

    def _send(self, call: Call, responses: Generator[Any, None, None], send: Callable[[Any], None]) -> None:
        try:
            with call.recorded(self._access_log), closing(responses):
                for response in responses:
                    send(response)
                    if not call.is_active():
                        call.set_cancelled()
                        break
        except Exception:  # noqa: BLE001, S110 - the status of the call has the error already, and `None` ends the call
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
        def answers(call: Call, proof: HeaderProof, bodies: Iterator[bytes]) -> Generator[Any, None, None]:
            with self._in_flight.admitted():
                yield behavior(self._request(call, proof, bodies, read), call)

        return answers

    def _download(self, behavior: Any, read: Reader) -> Answers:
        def answers(call: Call, proof: HeaderProof, bodies: Iterator[bytes]) -> Generator[Any, None, None]:
            with self._in_flight.admitted():
                request = self._request(call, proof, bodies, read)
                with self._stream(call) as guard:
                    yield from _watched_responses(behavior(request, call), guard)

        return answers

    def _upload(self, behavior: Any, read: Reader) -> Answers:
        def answers(call: Call, proof: HeaderProof, bodies: Iterator[bytes]) -> Generator[Any, None, None]:
            # waiting for the first message counts as a transfer: else callers that send none could take all threads
            with self._in_flight.admitted(), self._stream(call) as guard:
                watched = _watched_frames(bodies, guard)
                first = next(watched, None)
                message = self._identify(call, proof, first or b"")
                later = (read(frame, call.opened) for frame in watched)
                frames = later if first is None else chain((read(message),), later)
                yield from _watched_responses(behavior(frames, call), guard)

        return answers

    def _request(self, call: Call, proof: HeaderProof, bodies: Iterator[bytes], read: Reader) -> Any:
        """Return the only message of a call, once its sender is proved."""
        with call.limited(self._idle_timeout, self._idle()):
            body = next(bodies, None)
        if body is None:
            raise InvalidParameterError(_NO_MESSAGE)
        request = read(self._identify(call, proof, body))
        call.bucket = getattr(request, "bucket", "")
        call.key = getattr(request, "key", "")
        return request

    def _identify(self, call: Call, proof: HeaderProof, body: bytes) -> bytes:
        """Set the principal of the call; return its first message without its checksum."""
        # first the checksum: the signature of a damaged message is wrong as well, but the error must not blame the key
        message = call.opened(body)
        call.principal = self._authenticator.principal(proof, _PREFIX + call.method, body)
        return message

    def _idle(self) -> StorageError:
        return DeadlineExceededError(f"nothing moved for {self._idle_timeout:g} s and the server gave up; try again")

    @contextmanager
    def _stream(self, call: Call) -> Iterator[Guard]:
        # without waiting: a waiting transfer would occupy a thread that a small call needs
        if not self._transfers.acquire(blocking=False):
            raise ResourceExhaustedError(
                f"the server runs {self._max_streams} transfers already; try again in a moment",
                retry_after=_RETRY_AFTER,
            )
        try:
            with self._access_log.transfer(), call.limited(self._idle_timeout, self._idle()) as guard:
                # paused until the first wait for the peer
                guard.pause()
                call.announce()
                yield guard
        finally:
            self._transfers.release()


def _check_headers(metadata: Sequence[tuple[str, str | bytes]]) -> None:
    """Raise if a call has too many bytes of headers, or repeats one of ours.

    gRPC limits only single frames, so it passes on up to 16 MiB whatever its options say, and a waiting call holds
    them. If a header is repeated, a proxy may have checked the other one.

    Raises:
        InvalidParameterError: The headers are too long.
        UnauthenticatedError: A header is repeated.
    """
    size = sum(len(name) + len(value) for name, value in metadata)
    if size > MAX_HEADERS:
        raise InvalidParameterError(f"the headers of a call take at most {MAX_HEADERS} bytes, these {size}; send fewer")
    ours = [name for name, _ in metadata if name.startswith(_OUR_PREFIX)]
    if len(ours) != len(set(ours)):
        raise UnauthenticatedError(f"a header that begins with {_OUR_PREFIX} is there twice; send each once")


def _packed(answers: Answers) -> Answers:
    """Wrap `answers`, so that it yields serialized messages."""

    def packed(call: Call, proof: HeaderProof, bodies: Iterator[bytes]) -> Generator[bytes, None, None]:
        with closing(answers(call, proof, bodies)) as responses:
            for response in responses:
                yield call.packed(response)

    return packed


def _watched_frames(bodies: Iterator[bytes], guard: Guard) -> Iterator[bytes]:
    while True:
        guard.progress()
        try:
            # the timeout runs only while the peer is awaited, and not while the engine works
            body = next(bodies, None)
        finally:
            guard.pause()
        if body is None:
            return
        yield body


def _watched_responses(responses: Any, guard: Guard) -> Iterator[Any]:
    with closing(responses):
        for response in responses:
            # the timeout runs while gRPC takes the response, which it does when the peer has read enough
            guard.progress()
            yield response
            guard.pause()
