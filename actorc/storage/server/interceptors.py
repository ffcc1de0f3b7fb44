"""Around every call: who makes it, its access line, admission, idle timeouts, errors to status.

`service.py` raises what it likes and waits for whom it likes; here is decided what the caller may know of a failure,
and that nobody is waited for longer than the idle timeout.
"""

from __future__ import annotations

import copy
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from typing import Any, Final, NoReturn

import grpc

from actorc.storage import _wire
from actorc.storage._auth import Claim
from actorc.storage._idle import Guard, IdleWatch
from actorc.storage.errors import DeadlineExceededError, ResourceExhaustedError, StorageError

from .access import NOBODY
from .gate import Gate
from .identity import Authenticator
from .journal import Ended, Journal

log = logging.getLogger(__name__)

Behavior = Callable[[Any, grpc.ServicerContext], Any]
Reader = Callable[[bytes], Any]

_PREFIX: Final = f"/{_wire.SERVICE.full_name}/"
_SANE_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_RETRY_AFTER: Final = 0.2
"""Seconds after which a refused transfer may find a place."""
_MAX_TEXT: Final = 1024
"""Characters of a name or message in metadata and logs: what a key may have, and no more of what is none."""
_MAX_STATUS_TEXT: Final = 256
"""Characters of a message beside its details; clients commonly accept 8 KiB of metadata in all."""

_idle = IdleWatch()


class Call:
    """One call as the service sees it."""

    def __init__(self, method: str, context: grpc.ServicerContext) -> None:
        self.metadata = dict(context.invocation_metadata())
        self.method = method
        self.principal = NOBODY
        """Who makes it, once that is proved."""
        self.bucket = ""
        self.key = ""
        self.bytes = 0
        """Bytes of objects that came or went."""
        self.request_id = _request_id(self.metadata.get(_wire.REQUEST_ID_KEY))
        self.first_attempt = self.metadata.get(_wire.ATTEMPT_KEY) == "1"
        """Whether the caller says that it has not sent this request before."""
        self._context = context
        self._peer = context.peer()
        self._ended: StorageError | None = None
        self._status = grpc.StatusCode.OK
        context.set_trailing_metadata(((_wire.REQUEST_ID_KEY, self.request_id),))

    def failure(self, error: Exception) -> StorageError:
        """Return what the caller may know of `error`; anything but a `StorageError` is logged and stays here.

        An engine may raise one error to several calls at once, so it is a copy that becomes this call's. A call that
        `end` has ended may seem to fail for a reason of its own, such as a stream that is over too early.
        """
        error = self._ended or error
        if isinstance(error, StorageError):
            known = _shortened(copy.copy(error))
        else:
            log.error("%s failed, request %s", self.method, self.request_id, exc_info=error)
            known = StorageError("internal error of the storage server; its log has the cause under this request id")
        known.request_id = self.request_id
        self._status = _wire.status_code(known)
        return known

    def abort(self, error: Exception) -> NoReturn:
        """End the call with the status that stands for `error`, on its own thread."""
        failure = self.failure(error)
        details = _wire.status_message(failure).SerializeToString()
        self._context.set_trailing_metadata(((_wire.REQUEST_ID_KEY, self.request_id), (_wire.DETAILS_KEY, details)))
        self._context.abort(_wire.status_code(failure), failure.message[:_MAX_STATUS_TEXT])

    def end(self, error: StorageError) -> None:
        """End the call with the status that stands for `error`, on any thread, even while its own waits in gRPC.

        The public `ServicerContext.cancel` does the same, but the caller would see CANCELLED, without a reason.
        """
        self._ended = error
        self._status = _wire.status_code(error)
        call = getattr(getattr(self._context, "_rpc_event", None), "call", None)
        if call is None:
            self._context.cancel()
        else:
            call.cancel(self._status.value[0], error.message[:_MAX_STATUS_TEXT])

    @contextmanager
    def at_most(self, seconds: float, error: StorageError) -> Iterator[None]:
        """End the call with `error` unless the block ends within `seconds`."""
        with _idle.guard(seconds, lambda: self.end(error)):
            yield

    def gone(self) -> None:
        """Note that the call was over before its work was."""
        if self._status is grpc.StatusCode.OK:
            self._status = grpc.StatusCode.CANCELLED

    def ended(self, seconds: float) -> Ended:
        """Return what is told of the call once it is over, having taken `seconds`."""
        return Ended(
            method=self.method,
            status=self._status.name,
            bucket=self.bucket,
            key=self.key,
            size=self.bytes,
            seconds=seconds,
            request_id=self.request_id,
            peer=self._peer,
            access_key=self.principal.access_key,
        )


class Boundary(grpc.ServerInterceptor):
    """Wraps every method of the service; other services of the server pass untouched.

    Requests are read here and not by gRPC: who sends one is proved before it is looked into.

    Args:
        authenticator: Finds out who makes a call.
        journal: Is told of every call.
        gate: Where calls enter.
        max_streams: Uploads and downloads at the same time; one more is refused at once.
        idle_timeout: Seconds a stream may wait for its peer.
    """

    def __init__(
        self, authenticator: Authenticator, journal: Journal, gate: Gate, *, max_streams: int, idle_timeout: float
    ) -> None:
        self._authenticator = authenticator
        self._journal = journal
        self._gate = gate
        self._places = threading.BoundedSemaphore(max_streams)
        self._max_streams = max_streams
        self._idle_timeout = idle_timeout

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the method's handler, wrapped."""
        handler = continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(_PREFIX):
            return handler
        method = handler_call_details.method.removeprefix(_PREFIX)
        read: Any = handler.request_deserializer
        codec = {"response_serializer": handler.response_serializer}
        if handler.stream_stream:
            return grpc.stream_stream_rpc_method_handler(self._upload(method, handler.stream_stream, read), **codec)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(self._download(method, handler.unary_stream, read), **codec)
        return grpc.unary_unary_rpc_method_handler(self._unary(method, handler.unary_unary, read), **codec)

    def _unary(self, method: str, behavior: Any, read: Reader) -> Behavior:
        def answer(body: bytes, context: grpc.ServicerContext) -> Any:
            with _call(method, context, self._journal) as call, self._gate.passed():
                self._identify(call, self._authenticator.claim(call.metadata), body)
                return behavior(_named(read(body), call), call)

        return answer

    def _download(self, method: str, behavior: Any, read: Reader) -> Behavior:
        def answer(body: bytes, context: grpc.ServicerContext) -> Iterator[Any]:
            with _call(method, context, self._journal) as call, self._gate.passed():
                self._identify(call, self._authenticator.claim(call.metadata), body)
                with self._stream(call) as guard:
                    yield from _watched_responses(behavior(_named(read(body), call), call), guard)

        return answer

    def _upload(self, method: str, behavior: Any, read: Reader) -> Behavior:
        def answer(bodies: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
            with _call(method, context, self._journal) as call, self._gate.passed():
                claim = self._authenticator.claim(call.metadata)
                # waiting for the first message takes a place: else callers that send none could take all threads
                with self._stream(call) as guard:
                    watched = _watched_frames(bodies, guard)
                    first = next(watched, None)
                    self._identify(call, claim, first or b"")
                    frames = map(read, watched if first is None else chain((first,), watched))
                    yield from _watched_responses(behavior(frames, call), guard)

        return answer

    def _identify(self, call: Call, claim: Claim | None, body: bytes) -> None:
        call.principal = self._authenticator.principal(claim, _PREFIX + call.method, body)

    @contextmanager
    def _stream(self, call: Call) -> Iterator[Guard]:
        if not self._places.acquire(blocking=False):
            raise ResourceExhaustedError(
                f"the server runs {self._max_streams} transfers already; try again in a moment",
                retry_after=_RETRY_AFTER,
            )
        idle = DeadlineExceededError(f"nothing moved for {self._idle_timeout:g} s and the server gave up; try again")
        try:
            with self._journal.transfer(), _idle.guard(self._idle_timeout, lambda: call.end(idle)) as guard:
                guard.pause()
                yield guard
        finally:
            self._places.release()


@contextmanager
def _call(method: str, context: grpc.ServicerContext, journal: Journal) -> Iterator[Call]:
    call = Call(method, context)
    began = time.perf_counter()
    try:
        yield call
    except (grpc.RpcError, GeneratorExit):
        # the caller went away or `Call.end` was called; gRPC wants its own error back
        call.gone()
        raise
    except Exception as error:  # noqa: BLE001 - nothing of it may reach the caller
        call.abort(error)
    finally:
        journal.note(call.ended(time.perf_counter() - began))


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


def _named(request: Any, call: Call) -> Any:
    call.bucket = getattr(request, "bucket", "")
    call.key = getattr(request, "key", "")
    return request


def _request_id(offered: str | bytes | None) -> str:
    return offered if isinstance(offered, str) and _SANE_REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex


def _shortened(error: StorageError) -> StorageError:
    error.message = error.message[:_MAX_TEXT]
    error.bucket = error.bucket and error.bucket[:_MAX_TEXT]
    error.key = error.key and error.key[:_MAX_TEXT]
    return error
