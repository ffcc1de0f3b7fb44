"""The storage service for gRPC: which way a call takes, and on which thread.

A call takes one of three ways, decided by its headers alone before a thread is used. A call that proves a key, or comes
to an open server, gets a thread. A call that proves nothing is refused without one. A client that does not send the
hash of its message can be checked by the message only: such calls share a few threads that wait for it for a moment,
and then continue like the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import Any, Final, TypeAlias

import grpc

from actorc.storage._wire.call_headers import PREFIX
from actorc.storage.errors import DeadlineExceededError, InvalidParameterError
from actorc.storage.server.auth.authentication import HeaderProof
from actorc.storage.server.service.admission import CallPool
from actorc.storage.server.service.call import Call, CallHead
from actorc.storage.server.service.call_flow import NO_MESSAGE, CallFlow
from actorc.storage.server.service.methods import Kind, Method

from .behavior import CALLER_THREAD, Behavior
from .context import GrpcContext, messages_of, own_errors

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_FIRST_MESSAGE_SECONDS: Final = 1.0
"""Seconds that a caller without proof has for its first message, counted from the arrival of its headers."""
_MIN_SECONDS: Final = 0.1
"""Seconds that remain at least, for a message that has arrived while the call waited for a thread."""


class StorageHandler(grpc.GenericRpcHandler):
    """Answers the calls of the storage service. Any thread may call it.

    Args:
        methods: The methods, by name.
        flow: What every call goes through.
        calls: Threads for calls.
        strangers: Threads that wait for the first message of callers who prove nothing by their headers.
    """

    def __init__(self, methods: Mapping[str, Method], flow: CallFlow, *, calls: CallPool, strangers: CallPool) -> None:
        self._methods = methods
        self._answer_of = {each.name: flow.answer(each) for each in methods.values() if each.kind is Kind.UNARY}
        self._answers_of = {each.name: flow.answers(each) for each in methods.values()}
        self._flow = flow
        self._access_log = flow.access_log
        self._calls = calls
        self._strangers = strangers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """Return the handler of a call, which may be one that refuses it; None for other services and methods.

        gRPC calls it on the one thread that dispatches all calls, so it must not block.
        """
        path, metadata = handler_call_details.method, handler_call_details.invocation_metadata
        method = self._methods.get(path.removeprefix(PREFIX)) if path.startswith(PREFIX) else None
        if method is None:
            return None
        head = CallHead(method.name, dict(metadata))
        try:
            proof = self._flow.check_headers(head, metadata)
            (self._calls if proof.proved else self._strangers).demand_room()
        except Exception as error:  # noqa: BLE001 - it is told to the caller
            return self._refused(head, error)
        return (self._proved if proof.proved else self._unproved)(head, proof, method)

    def _refused(self, head: CallHead, error: Exception) -> Handler:
        """Return a handler that ends the call with the error; it waits for no message and needs no thread."""

        def refuse(_bodies: Iterator[bytes], context: grpc.ServicerContext) -> None:
            with Call(head, GrpcContext(context), self._access_log):
                raise error

        return grpc.stream_stream_rpc_method_handler(Behavior(refuse, pool=CALLER_THREAD))

    def _proved(self, head: CallHead, proof: HeaderProof, method: Method) -> Handler:
        """Return a handler that answers. It reads all requests as streams, since only then the wait can be limited."""

        def stream(bodies: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
            with (
                own_errors(),
                Call(head, GrpcContext(context), self._access_log) as call,
                closing(self._answers_of[method.name](call, proof, messages_of(bodies))) as answers,
            ):
                yield from answers

        def single(bodies: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            # the access line is written behind the answer: its forty functions took a tenth of what a caller waits
            with own_errors(), Call(head, GrpcContext(context), self._access_log, self._calls.afterwards) as call:
                return self._answer_of[method.name](call, proof, messages_of(bodies))

        if method.kind is not Kind.UNARY:
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.stream_unary_rpc_method_handler(single)

    def _unproved(self, head: CallHead, proof: HeaderProof, method: Method) -> Handler:
        """Return a handler that waits for the first message on a thread for strangers, and answers on another one."""

        def begin(bodies: Iterator[bytes], context: grpc.ServicerContext, send: Callable[[Any], None]) -> None:
            call, messages = Call(head, GrpcContext(context), self._access_log), messages_of(bodies)
            try:
                first = self._first_message(call, head, messages)
                self._flow.identify(call, proof, first)
                # checked again: the room was not reserved while the message was awaited
                self._calls.demand_room()
                responses = self._answers_of[method.name](call, proof, chain((first,), messages))
                self._calls.submit(self._send, call, responses, send)
            except Exception:
                with own_errors(), call:
                    raise

        behavior = Behavior(begin, pool=self._strangers, blocking=False)
        return grpc.stream_stream_rpc_method_handler(behavior)

    def _first_message(self, call: Call, head: CallHead, bodies: Iterator[bytes]) -> bytes:
        limit = min(_FIRST_MESSAGE_SECONDS, self._flow.idle_timeout)
        left = max(_MIN_SECONDS, limit - (time.monotonic() - head.arrived))
        late = DeadlineExceededError(
            f"the first message did not come within {limit:g} s; a client that sends its hash as x-acs-hash has longer"
        )
        with call.limited(left, late):
            first = next(bodies, None)
        if first is None:
            # a missing message is not an empty one, which may have been signed; an ended call looks like this, too
            raise InvalidParameterError(NO_MESSAGE)
        return first

    def _send(self, call: Call, responses: Generator[Any, None, None], send: Callable[[Any], None]) -> None:
        try:
            with call, closing(responses):
                for response in responses:
                    send(response)
                    if not call.is_active():
                        call.set_cancelled()
                        break
        except Exception:  # noqa: BLE001, S110 - the status of the call has the error already, and `None` ends the call
            pass
        send(None)
