"""What every call goes through, whichever face it comes by: proof, admission, limits, and the order of its messages.

Methods in `service.py` may raise anything and wait for their peer: `call.py` decides which text of a failure the caller
sees, and no peer is waited for longer than the idle timeout.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from typing import Any, Final

from actorc.storage._wire.call_headers import PREFIX
from actorc.storage.errors import (
    DeadlineExceededError,
    InvalidParameterError,
    StorageError,
    UnauthenticatedError,
)
from actorc.storage.rules import KiB
from actorc.storage.server.auth.authentication import Authenticator, HeaderProof
from actorc.storage.server.telemetry.access_log import AccessLog
from actorc.storage.server.telemetry.calls_in_flight import CallsInFlight
from actorc.tracing.spans import NO_SPAN

from .admission import StreamLimit
from .call import Call, CallHead
from .call_context import Progress
from .methods import Kind, Method, Reader

Answer = Callable[[Call, HeaderProof, Iterator[bytes]], bytes]
"""Makes the only answer to a call from its message, serialized."""

Answers = Callable[[Call, HeaderProof, Iterator[bytes]], Generator[bytes, None, None]]
"""Makes the answers to a call from its messages, serialized."""

_Unpacked = Callable[[Call, HeaderProof, Iterator[bytes]], Generator[Any, None, None]]
"""Likewise, before they are serialized."""

MAX_HEADERS: Final = 32 * KiB
"""Bytes of headers that a call may have."""
_OUR_PREFIX: Final = "x-acs-"
"""Prefix of the headers of this service."""
NO_MESSAGE: Final = "the call ended before its first message came; send the one that the method takes"


class CallFlow:
    """The way of a call from its headers to its answers. Any thread may call it.

    Requests are read here and not by the face, so that a message is parsed only after its sender is proved, and waiting
    for it is limited.

    Args:
        authenticator: Authenticates callers.
        access_log: The access log.
        in_flight: Admits calls while the server runs.
        max_streams: Uploads and downloads at the same time; a further one is refused at once.
        idle_timeout: Seconds to wait for the next message of a stream, or for the message of a unary call.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        access_log: AccessLog,
        in_flight: CallsInFlight,
        *,
        max_streams: int,
        idle_timeout: float,
    ) -> None:
        self._authenticator = authenticator
        self.access_log = access_log
        self._in_flight = in_flight
        self._streams = StreamLimit(max_streams)
        self.idle_timeout = idle_timeout
        # made once: every call has this limit, and few reach it; each caller gets a copy
        self._idle: StorageError = DeadlineExceededError(
            f"nothing moved for {idle_timeout:g} s and the server gave up; try again"
        )

    def check_headers(self, head: CallHead, metadata: Sequence[tuple[str, str | bytes]]) -> HeaderProof:
        """Return what the headers of a call prove; does not block.

        Raises:
            InvalidParameterError: The headers are too long.
            UnauthenticatedError: A header is repeated, or they do not prove what they claim.
        """
        _check_headers(metadata)
        return self._authenticator.check_headers(head.metadata, PREFIX + head.method, head.request_id)

    def answer(self, method: Method) -> Answer:
        """Return how the answer of a method is made that has one request and one answer."""
        behavior, read = method.behavior, method.read

        def answer(call: Call, proof: HeaderProof, bodies: Iterator[bytes]) -> bytes:
            with self._in_flight:
                request = self._request(call, proof, bodies, read)
                if call.span is NO_SPAN:
                    return call.packed(behavior(request, call))
                # where the work is done on this thread alone; that of a stream may go on on others
                with call.span.active():
                    return call.packed(behavior(request, call))

        return answer

    def answers(self, method: Method) -> Answers:
        """Return how the answers of a method of any kind are made."""
        if method.kind is Kind.UNARY:
            return _alone(self.answer(method))
        making = self._download if method.kind is Kind.DOWNLOAD else self._upload
        return _packed(making(method.behavior, method.read))

    def _download(self, behavior: Any, read: Reader) -> _Unpacked:
        def answers(call: Call, proof: HeaderProof, bodies: Iterator[bytes]) -> Generator[Any, None, None]:
            with self._in_flight:
                request = self._request(call, proof, bodies, read)
                with self._stream(call) as guard:
                    yield from _watched_responses(self._confirmed(behavior(request, call), call), guard)

        return answers

    def _upload(self, behavior: Any, read: Reader) -> _Unpacked:
        def answers(call: Call, proof: HeaderProof, bodies: Iterator[bytes]) -> Generator[Any, None, None]:
            # waiting for the first message counts as a transfer: else callers that send none could take all threads
            with self._in_flight, self._stream(call) as guard:
                watched = _watched_frames(bodies, guard)
                first = next(watched, None)
                message = self.identify(call, proof, first or b"")
                later = (read(frame, call.opened) for frame in self._confirmed(watched, call))
                frames = later if first is None else chain((read(message),), later)
                yield from _watched_responses(behavior(frames, call), guard)

        return answers

    def _request(self, call: Call, proof: HeaderProof, bodies: Iterator[bytes], read: Reader) -> Any:
        """Return the only message of a call, once its sender is proved."""
        with call.limited(self.idle_timeout, self._idle):
            body = next(bodies, None)
        if body is None:
            raise InvalidParameterError(NO_MESSAGE)
        request = read(self.identify(call, proof, body))
        call.bucket = getattr(request, "bucket", "")
        call.key = getattr(request, "key", "")
        return request

    def identify(self, call: Call, proof: HeaderProof, body: bytes) -> bytes:
        """Set the principal of the call; return its first message without its checksum."""
        # first the checksum: the signature of a damaged message is wrong as well, but the error must not blame the key
        message = call.opened(body)
        call.principal = self._authenticator.principal(proof, PREFIX + call.method, body)
        return message

    def _confirmed(self, messages: Any, call: Call) -> Iterator[Any]:
        """Yield the further messages of a stream for as long as its caller would be let in.

        An upload whose key is disabled is refused with its next message, so its commit is refused, too.
        """
        with closing(messages):
            for message in messages:
                self._authenticator.confirm(call.principal)
                yield message

    @contextmanager
    def _stream(self, call: Call) -> Iterator[Progress]:
        with self._streams, self.access_log.transfer(), call.limited(self.idle_timeout, self._idle) as guard:
            # paused until the first wait for the peer
            guard.pause()
            call.announce()
            yield guard


def _check_headers(metadata: Sequence[tuple[str, str | bytes]]) -> None:
    """Raise if a call has too many bytes of headers, or repeats one of ours.

    gRPC limits only single frames, so it passes on up to 16 MiB whatever its options say, and a waiting call holds
    them. If a header is repeated, a proxy may have checked the other one.

    Raises:
        InvalidParameterError: The headers are too long.
        UnauthenticatedError: A header is repeated.
    """
    size = sum(map(len, chain.from_iterable(metadata)))
    if size > MAX_HEADERS:
        raise InvalidParameterError(f"the headers of a call take at most {MAX_HEADERS} bytes, these {size}; send fewer")
    ours = [name for name, _ in metadata if name.startswith(_OUR_PREFIX)]
    if len(ours) != len(set(ours)):
        raise UnauthenticatedError(f"a header that begins with {_OUR_PREFIX} is there twice; send each once")


def _alone(answer: Answer) -> Answers:
    """Wrap `answer`, so that it is yielded."""

    def answers(call: Call, proof: HeaderProof, bodies: Iterator[bytes]) -> Generator[bytes, None, None]:
        yield answer(call, proof, bodies)

    return answers


def _packed(answers: _Unpacked) -> Answers:
    """Wrap `answers`, so that it yields serialized messages."""

    def packed(call: Call, proof: HeaderProof, bodies: Iterator[bytes]) -> Generator[bytes, None, None]:
        with closing(answers(call, proof, bodies)) as responses:
            for response in responses:
                yield call.packed(response)

    return packed


def _watched_frames(bodies: Iterator[bytes], guard: Progress) -> Iterator[bytes]:
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


def _watched_responses(responses: Any, guard: Progress) -> Iterator[Any]:
    with closing(responses):
        for response in responses:
            # the timeout runs while the face takes the response, which it does when the peer has read enough
            guard.progress()
            yield response
            guard.pause()
