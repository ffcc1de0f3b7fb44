"""One call on the server: its errors as status, and its record for the access log."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Final, NoReturn, Self, TypeVar

from google.protobuf.message import Message

from actorc.storage._wire import call_headers, error_status
from actorc.storage._wire.message_checksum import ANSWER, HEADER, REQUEST, STATUS, YES, Checks
from actorc.storage._wire.request_ids import REQUEST_ID_KEY, accepted_request_id
from actorc.storage._wire.status_codes import StatusCode
from actorc.storage.errors import StorageError
from actorc.storage.server.auth.access import NOBODY
from actorc.storage.server.engines.descriptor_shortage import is_out_of_descriptors, out_of_descriptors
from actorc.storage.server.telemetry import call_spans
from actorc.storage.server.telemetry.access_log import AccessLog
from actorc.storage.server.telemetry.ended_call import EndedCall
from actorc.tracing import spans

from .call_context import CallContext, PeerGoneError, Progress, Trailers

T = TypeVar("T")

log = logging.getLogger(__name__)

_MAX_TEXT: Final = 1024
"""Characters of a name or message in metadata and logs: as many as a key may have; longer texts are cut."""
_MAX_STATUS_TEXT: Final = 256
"""Characters of a status message; its details have all of it. Clients commonly accept 8 KiB of metadata in all."""
_ANNOUNCEMENT: Final = (HEADER, YES)


class CallHead:
    """The headers of a call, known before a thread is used for it.

    Args:
        method: Name of the method.
        metadata: The metadata of the call.
    """

    def __init__(self, method: str, metadata: Mapping[str, str | bytes]) -> None:
        self.method = method
        self.metadata = metadata
        self.request_id = accepted_request_id(metadata.get(REQUEST_ID_KEY))
        self.arrived = time.monotonic()


class Call:
    """One call on the server. For the thread of the call, `end` aside.

    A context manager; the block is the whole call. An exception in it becomes the status, and the access log has a
    record of the end.

    Args:
        head: The headers.
        context: The call as its face sees it.
        access_log: The access log.
        afterwards: Runs what it is given once the caller has its answer; at once without it.
    """

    def __init__(
        self,
        head: CallHead,
        context: CallContext,
        access_log: AccessLog,
        afterwards: Callable[[Callable[[], object]], object] = lambda work: work(),
    ) -> None:
        self.method = head.method
        self.principal = NOBODY
        """The caller, once it is proved."""
        self.bucket = ""
        self.key = ""
        self.keys: Sequence[str] = ()
        """Those of a batch."""
        self.bytes = 0
        """Bytes of objects received or sent."""
        self.request_id = head.request_id
        self.first_attempt = head.metadata.get(call_headers.ATTEMPT_KEY) == "1"
        """Whether the client says that it has not sent this request before."""
        self.span = call_spans.of_rpc(head.method, head.metadata)
        self._trace_id = self.span.trace_id or spans.trace_id_in(head.metadata)
        self._checks = _checks(head)
        self._context = context
        self._peer = context.peer()
        self._access_log = access_log
        self._afterwards = afterwards
        self._ended: StorageError | None = None
        self._status = StatusCode.OK
        self._began = time.perf_counter()
        own: Trailers = ((REQUEST_ID_KEY, self.request_id),)
        self._trailers = own if self._checks is None else (*own, _ANNOUNCEMENT)
        # two trailers are a fifteenth of a bare call
        if head.metadata.get(call_headers.TRAILERS_KEY) != call_headers.OF_FAILURES:
            context.set_trailers(self._trailers)

    @property
    def is_checked(self) -> bool:
        """Whether all messages of the call carry checksums, frames of bytes their own."""
        return self._checks is not None

    @property
    def passes_files(self) -> bool:
        """Whether descriptors of files can go with its messages."""
        return self._context.passes_files

    def received_file(self) -> int | None:
        """Return the descriptor that came with the last message, for the caller to own; None if none did."""
        return self._context.received_file()

    def pass_files(self, descriptors: Sequence[int]) -> None:
        """Send duplicates of these descriptors, made now, with the next answer."""
        self._context.pass_files(descriptors)

    def announce(self) -> None:
        """Announce checksums before the first message; in the trailers that is too late for a stream."""
        if self.is_checked:
            self._context.announce((_ANNOUNCEMENT,))

    def opened(self, message: bytes) -> bytes:
        """Return a request without its checksum, verified.

        Raises:
            DamagedMessageError: The client announced checksums, and this one is wrong or missing.
        """
        return self._checks.open(message, REQUEST) if self._checks else message

    def packed(self, response: Message | bytes) -> bytes:
        """Return a response in its serialized form; a frame, given as bytes, is returned unchanged."""
        if isinstance(response, bytes):
            return response
        message = response.SerializeToString()
        return self._checks.seal(message, ANSWER) if self._checks else message

    def told(self, result: T) -> T:
        """Return the result for one object of a batch; if it is an error, with the id of this request."""
        if isinstance(result, StorageError):
            # a copy, since an engine may have the same error for several calls
            result = copy.copy(result)
            result.request_id = self.request_id
        return result

    def failure(self, error: Exception) -> StorageError:
        """Return the error for the caller; anything but a `StorageError` is logged, and its text stays in the log.

        The result is a copy, since an engine may raise one error to several calls at once. A call that `end` has ended
        may seem to fail for another reason, such as a stream that ends too early, so the error given to `end` comes
        first.
        """
        error = self._ended or error
        if isinstance(error, StorageError):
            known = _shortened(copy.copy(error))
        elif is_out_of_descriptors(error):
            known = out_of_descriptors()
        else:
            log.error("%s failed, request %s", self.method, self.request_id, exc_info=error)
            known = StorageError("internal error of the storage server; its log has the cause under this request id")
        known.request_id = self.request_id
        self._status = error_status.status_code(known)
        return known

    def abort(self, error: Exception) -> NoReturn:
        """End the call with the status of `error`, on its own thread."""
        failure = self.failure(error)
        details = error_status.status_message(failure).SerializeToString()
        if self._checks:
            details = self._checks.seal(details, STATUS)
        trailers: Trailers = (*self._trailers, (call_headers.DETAILS_KEY, details))
        self._context.abort(error_status.status_code(failure), failure.message[:_MAX_STATUS_TEXT], trailers)

    def end(self, error: StorageError) -> None:
        """End the call with the status of `error`, on any thread, even while its own thread waits for the peer."""
        self._ended = error
        self._status = error_status.status_code(error)
        self._context.end(self._status, error.message[:_MAX_STATUS_TEXT])

    def limited(self, seconds: float, error: StorageError) -> AbstractContextManager[Progress]:
        """End the call with `error` if it makes no progress for `seconds` within the block."""
        return self._context.limited(seconds, lambda: self.end(error))

    def is_active(self) -> bool:
        """Return whether the client still waits for an answer."""
        return self._context.is_active()

    def set_cancelled(self) -> None:
        """Record that the client went away before the call was done."""
        if self._status is StatusCode.OK:
            self._status = StatusCode.CANCELLED

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        try:
            if isinstance(error, (PeerGoneError, GeneratorExit)):
                # the client went away or `end` was called; there is nobody to tell
                self.set_cancelled()
            elif isinstance(error, Exception):
                # nothing of it may reach the caller
                self.abort(error)
        finally:
            self._afterwards(partial(self._access_log.record, self._ending()))

    def _ending(self) -> EndedCall:
        return EndedCall(
            method=self.method,
            status=self._status.name,
            bucket=self.bucket,
            key=self.key,
            size=self.bytes,
            seconds=time.perf_counter() - self._began,
            request_id=self.request_id,
            peer=self._peer,
            access_key=self.principal.access_key,
            proved=self.principal is not NOBODY,
            trace_id=self._trace_id,
            span=self.span,
            keys=self.keys,
        )


def _checks(head: CallHead) -> Checks | None:
    """Return the checksums of a call, or None if the client did not announce any."""
    if head.metadata.get(HEADER) != YES:
        return None
    request_id = str(head.metadata.get(REQUEST_ID_KEY, ""))
    attempt = str(head.metadata.get(call_headers.ATTEMPT_KEY, ""))
    return Checks(call_headers.PREFIX + head.method, request_id, attempt)


def _shortened(error: StorageError) -> StorageError:
    error.message = error.message[:_MAX_TEXT]
    error.bucket = error.bucket and error.bucket[:_MAX_TEXT]
    error.key = error.key and error.key[:_MAX_TEXT]
    return error
