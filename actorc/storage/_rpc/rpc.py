"""Makes every call of the client: deadlines, retries, signatures, cancellation, and the mapping of errors.

Whichever transport carries a call, its attempts are counted here. gRPC's own retries stay off: they end once headers
arrived or a request outgrew the buffer, and so never apply to a large upload or a broken download.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from actorc.storage._wire.call_headers import PREFIX, SERVICE
from actorc.storage.config import ClientOptions
from actorc.tracing import spans

from . import answer_checks, call_span, cancellation
from .attempt_messages import Exchange, Peer
from .call_span import UNTRACED, CallSpan
from .retries.attempts import Attempt, Attempts
from .retries.endpoints import Endpoints
from .retries.retry_policy import RetryPolicy
from .round_trips import RoundTrips
from .signer import CallSigner, Signer
from .stream_ends import Receiver, Sender
from .transport import NETWORK, Answers, Connection, Start, Transport
from .transport_choice import Route
from .write_call import WriteCall

T = TypeVar("T")

_PATHS: Final[Mapping[str, str]] = {method.name: PREFIX + method.name for method in SERVICE.methods}
"""By the name of a method, its full name."""
_UNARY: Final[Mapping[type[Message], tuple[str, type[Message]]]] = {
    GetMessageClass(method.input_type): (_PATHS[method.name], GetMessageClass(method.output_type))
    for method in SERVICE.methods
}
"""By the class of a request, the full name of its method and the class of the answer."""
_QUICK: Final = frozenset(
    {PREFIX + name for name in ("GetServerInfo", "HeadObject", "HeadBucket", "GetObject", "ListBuckets")}
)
"""Full names of methods that wait for no disk to be written, so that a call of them shows the round trip."""


def _always() -> bool:
    return True


def _never() -> bool:
    return False


class Rpc:
    """Makes calls to one of the servers of a store. Any thread may call it, also in a child after a fork.

    Args:
        options: Settings of the client: servers, timeouts, keys.
        retry: Decides on retries and pauses.
        transport: Carries the calls in place of connections to these servers.
    """

    def __init__(self, options: ClientOptions, retry: RetryPolicy, transport: Transport | None = None) -> None:
        self._options = options
        self._retry = retry
        self._signer = (
            Signer(options.access_key, options.secret_key, origin=options.found_key_origin)
            if options.access_key and options.secret_key
            else None
        )
        self._endpoints = Endpoints(options.endpoints)
        self._transports: dict[str, Transport] = {
            endpoint: transport or Route(options, endpoint) for endpoint in options.endpoints
        }
        self._peers = {endpoint: Peer(options.address(endpoint)) for endpoint in options.endpoints}
        # set without a lock: it only turns true
        self._reached = False
        self.round_trips = RoundTrips()
        """What calls over a network have shown of the way."""
        self.transport = ""
        """What carried the last unary call that was answered; a hint, where threads take different ones."""

    @property
    def may_repeat(self) -> bool:
        """Whether a failed attempt is followed by another."""
        return self._retry.attempts > 1

    def ask(
        self,
        request: Message,
        judge: Callable[[Any], T],
        *,
        timeout: float | None = None,
        patient: bool | None = None,
        once: bool = False,
    ) -> T:
        """Make a unary call and return its result; an answer that `judge` rejects counts as a failed attempt.

        Args:
            request: The request message; its class tells the method and the class of the answer.
            judge: Returns the result from the answer, or raises; if that error is retryable, the call is repeated.
            timeout: Seconds for all attempts together.
            patient: Whether attempts go on that long while no server is reachable; None: if there is a `timeout`.
            once: Whether a failed attempt is not repeated.
        """
        path, answer = _UNARY[type(request)]

        def make(start: Start, exchange: Exchange, connection: Connection, body: bytes) -> T:
            began = time.monotonic()
            reply, trailers = connection.ask(start, body)
            if path in _QUICK:
                self._measured(connection, began)
            # before the answer is judged: a server that answers anything has been reached
            self._reached = True
            self.transport = connection.transport
            with answer_checks.damaged_answers():
                return judge(answer_checks.parsed(answer, exchange.open(reply, trailers)))

        lasting = timeout is not None if patient is None else patient
        return self._unary(path, request, make, timeout, patient=lasting, once=once)

    def open(
        self, request: Message, judge: Callable[[Any, Sequence[int]], T], *, timeout: float | None = None
    ) -> T | None:
        """Make a unary call whose answer brings files; return None, without a call, if no connection brings any.

        Args:
            request: As in `ask`.
            judge: Returns the result from the answer and the descriptors, which it owns unless it raises.
            timeout: Seconds for all attempts together.
        """
        path, answer = _UNARY[type(request)]

        def make(start: Start, exchange: Exchange, connection: Connection, body: bytes) -> T | None:
            if not connection.passes_files:
                return None
            reply, trailers, descriptors = connection.open(start, body)
            self._reached = True
            try:
                with answer_checks.damaged_answers():
                    message = answer_checks.parsed(answer, exchange.open(reply, trailers))
                    return judge(message, descriptors)
            except BaseException:
                for descriptor in descriptors:
                    os.close(descriptor)
                raise

        return self._unary(path, request, make, timeout, patient=timeout is not None, may_be_unmade=True)

    def _unary(
        self,
        path: str,
        request: Message,
        make: Callable[[Start, Exchange, Connection, bytes], T],
        timeout: float | None,
        *,
        patient: bool,
        once: bool = False,
        may_be_unmade: bool = False,
    ) -> T:
        if not spans.is_on():
            return self._made(UNTRACED, path, request, make, timeout, patient=patient, once=once)
        with call_span.started(path, request) as span:
            result = self._made(span, path, request, make, timeout, patient=patient, once=once)
            if may_be_unmade and result is None:
                span.unmade()
            span.moved(result)
            return result

    def _made(
        self,
        span: CallSpan,
        path: str,
        request: Message,
        make: Callable[[Start, Exchange, Connection, bytes], T],
        timeout: float | None,
        *,
        patient: bool,
        once: bool,
    ) -> T:
        body = request.SerializeToString()
        proof = CallSigner(self._signer, path)
        seconds = self._options.timeout if timeout is None else timeout
        attempts = self._attempts(proof, seconds, span, patient=patient, may_repeat=_never if once else _always)
        while True:
            with attempts as attempt:
                exchange, start = self._begun(path, attempt, proof, span)
                with exchange, self._transports[attempt.endpoint].connection(streams=False) as connection:
                    return make(start, exchange, connection, exchange.seal(body))

    def receive(
        self, method: str, receiver: Receiver, *, timeout: float | None = None
    ) -> Generator[bytes | memoryview, None, None]:
        """Yield the payload of a stream of answers; a broken stream is resumed, and progress resets the failure count.

        Args:
            method: Name of the method in the service.
            receiver: Builds the requests and verifies the messages.
            timeout: Seconds for the whole stream, the caller's own time between pieces included; None for no limit.
        """
        path = _PATHS[method]
        proof = CallSigner(self._signer, path)
        with call_span.started(path, receiver) as span:
            attempts = self._attempts(proof, timeout, span, patient=timeout is not None)
            while True:
                with attempts as attempt:
                    exchange, start = self._begun(path, attempt, proof, span)
                    with exchange, self._transports[attempt.endpoint].connection(streams=True) as connection:
                        body = exchange.seal(receiver.request())
                        began = time.monotonic()
                        answers = connection.receive(start, body, self._options.idle_timeout)
                        opened = partial(exchange.open, announced=answers.announced)
                        heard = partial(self._measured, connection, began)
                        yield from self._payload(answers, receiver, opened, attempts, heard)
                        receiver.finish()
                        span.moved(receiver)
                        return

    def _payload(
        self,
        answers: Answers,
        receiver: Receiver,
        opened: Callable[[bytes], bytes | None],
        attempts: Attempts,
        heard: Callable[[], None],
    ) -> Iterator[bytes | memoryview]:
        # closed also when the caller drops the generator: otherwise the server would send to nobody
        with closing(answers.messages()) as messages:
            is_first = True
            for message in messages:
                if is_first:
                    heard()
                    is_first = False
                self._reached = True
                with answer_checks.damaged_answers():
                    payload = receiver.accept(message, opened)
                if payload:
                    # each verified piece is progress, so a download over a bad network ends only when it stands still;
                    # the description of the object, which every attempt brings, is none
                    attempts.progressed()
                    yield payload

    def _measured(self, connection: Connection, began: float) -> None:
        if connection.transport == NETWORK:
            self.round_trips.took(time.monotonic() - began)

    def send(self, method: str, sender: Sender[T], *, timeout: float | None = None) -> T:
        """Make a call that sends a stream; it is repeated only if its source can be read again.

        Args:
            method: Name of the method in the service.
            sender: Sends the messages and returns the result.
            timeout: Seconds for all attempts together; None for no limit.
        """
        path = _PATHS[method]
        proof = CallSigner(self._signer, path)
        with call_span.started(path, sender) as span:
            attempts = self._attempts(
                proof, timeout, span, patient=timeout is not None, may_repeat=lambda: sender.replayable
            )
            while True:
                with attempts as attempt:
                    exchange, start = self._begun(path, attempt, proof, span)
                    with exchange, self._transports[attempt.endpoint].connection(streams=True) as connection:
                        writing = WriteCall(connection, start, exchange, self._options.idle_timeout)
                        with writing as call, cancellation.running(call.cancel):
                            reply = sender.send(call)
                        self._reached = True
                        if reply is None:
                            span.unmade()
                        span.moved(reply)
                        return reply

    def _begun(self, path: str, attempt: Attempt, proof: CallSigner, span: CallSpan) -> tuple[Exchange, Start]:
        """Return the checks of the messages of an attempt, and how it starts."""
        exchange = Exchange(path, attempt, self._peers[attempt.endpoint])
        if span.is_recorded:
            span.over(attempt)
        # not signed: they tell nothing but where a span belongs, and servers of earlier versions pass over them
        metadata = exchange.metadata + span.headers
        return exchange, Start(path, lambda first: metadata + proof.sign(first), attempt.left)

    def _attempts(
        self,
        proof: CallSigner,
        timeout: float | None,
        span: CallSpan,
        *,
        patient: bool,
        may_repeat: Callable[[], bool] = _always,
    ) -> Attempts:
        return Attempts(
            self._options,
            self._endpoints,
            self._retry,
            timeout,
            reached=lambda: self._reached,
            may_repeat=may_repeat,
            patient=self._options.patient or patient,
            correct=proof.correct,
            failed=span.failed,
        )

    def close(self) -> None:
        """Close the connections; calls under way fail, later ones are refused."""
        for transport in self._transports.values():
            transport.close()
