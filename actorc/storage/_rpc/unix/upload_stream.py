"""One upload over a Unix socket: the caller's thread writes the messages, and reads the answers in between."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Generic, Self, TypeVar

from actorc.storage._rpc import cancellation
from actorc.storage._rpc.transport import HEARTBEAT_SECONDS, CallFailedError, SendingEndedError, UploadRules
from actorc.storage._wire import idle
from actorc.storage._wire.frame_socket import behind
from actorc.storage._wire.socket_frames import ClosedError, Kind, Payload, header
from actorc.storage.errors import StorageError

from .call import BROKEN, UnixCall

T = TypeVar("T")


class UnixSending(Generic[T]):
    """An upload. Only `cancel` may be called from other threads than the caller's.

    While the source is silent, another thread sends a heartbeat every `HEARTBEAT_SECONDS`.

    Args:
        call: The call, which begins with the first message.
        rules: What the messages mean.
    """

    def __init__(self, call: UnixCall, rules: UploadRules[T]) -> None:
        self._call = call
        self._rules = rules
        self._answers: list[T] = []
        self._begun = False
        self._finished = False
        self._cancelled = False
        self._ended = False
        # held by the thread that writes: a heartbeat must not come in the middle of a message
        self._writing = threading.Lock()
        self._unsent: list[Payload] = []
        """What is left of a heartbeat that was not taken at once; sent before anything else."""
        self._beats = ExitStack()
        self._last = 0.0
        """When something was written, in seconds of the monotonic clock."""

    def send(self, message: bytes, file: int | None = None) -> None:
        """Send a serialized message; the first one begins the call."""
        if self._cancelled:
            raise cancellation.cancelled()
        descriptors = () if file is None else (file,)
        if self._begun:
            self._write([header(Kind.MESSAGE, [message], descriptors), message], descriptors)
        else:
            self._begun = True
            self._beats.enter_context(idle.watch.guard(HEARTBEAT_SECONDS, self._beat, repeats=True))
            self._write(self._call.beginning(message), descriptors)

    def finish(self) -> None:
        """Tell the server that no more messages follow."""
        self._beats.close()
        # what the server says meanwhile is read by `answer`: its result may come before this is sent
        with suppress(SendingEndedError):
            self._write([header(Kind.FINISH, [])], listens=False)
            self._finished = True

    def answer(self, patience: float) -> T | None:
        """Return the next answer as it was judged, None after the last."""
        if not self._answers and not self._ended:
            self._hear(patience)
        return self._answers.pop(0) if self._answers else None

    def cancel(self) -> None:
        """End the call, or keep it from beginning; `send` and `answer` then raise. Any thread may call it."""
        self._cancelled = True
        self._call.cancel()

    def _write(self, parts: Sequence[Payload], descriptors: Sequence[int] = (), *, listens: bool = True) -> None:
        with self._writing:
            try:
                self._write_all(parts, descriptors, listens)
            except BROKEN as error:
                raise self._call.failure(error) from error

    def _write_all(self, parts: Sequence[Payload], descriptors: Sequence[int], listens: bool) -> None:
        rest: list[Payload] = [*self._unsent, *(part for part in parts if part)]
        self._unsent = []
        limit = time.monotonic() + (self._call.left(self._rules.idle_timeout) or 0.0)
        while rest:
            if listens:
                self._take_early_answers()
            try:
                sent = self._call.frames.send_some(rest, descriptors)
            except ClosedError:
                if self._cancelled:
                    raise
                # the server may have said why before it closed the connection
                raise SendingEndedError from None
            if sent:
                rest, descriptors = behind(rest, sent), ()
            if rest:
                self._call.frames.wait(select.POLLOUT | (select.POLLIN if listens else 0), limit)
        self._last = time.monotonic()

    def _take_early_answers(self) -> None:
        """Read what the server says while messages are sent; it may refuse them."""
        while not self._call.frames.is_quiet():
            self._hear(self._rules.idle_timeout)
            if self._ended or (self._answers and self._rules.ends_sending(self._answers[-1])):
                raise SendingEndedError

    def _hear(self, patience: float) -> None:
        message = self._call.next(patience)
        if message is None:
            self._ended = True
            # else the server gave up before all of it was sent, and would take the rest for another call
            self._call.is_over = self._finished
        else:
            self._answers.append(self._rules.judge(message, lambda: self._call.announced))

    def _beat(self) -> None:
        """Send a heartbeat if the source is silent; on the watching thread, so it must not wait."""
        if time.monotonic() - self._last < HEARTBEAT_SECONDS / 2 or not self._writing.acquire(blocking=False):
            # a message was or is being written
            return
        try:
            if self._unsent:
                # the server does not even read the one before
                return
            message = self._rules.heartbeat()
            parts = [header(Kind.MESSAGE, [message]), message]
            self._unsent = behind(parts, self._call.frames.send_some(parts))
        except (ClosedError, OSError):
            # the thread of the caller notices it as well, and says so
            return
        finally:
            self._writing.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._beats.close()
        if error is None and not self._ended:
            # the result is there already; without the end behind it, the connection is not used again
            with suppress(CallFailedError, TimeoutError, StorageError):
                self._hear(self._rules.idle_timeout)
