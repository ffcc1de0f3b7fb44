"""Calls that begin in this process, in the name of a caller that is proved: the same methods, without a transport."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Final, NoReturn

from actorc.storage._wire.call_headers import PREFIX
from actorc.storage._wire.call_signing import Metadata
from actorc.storage._wire.direct_calls import DirectCallError, Trailers
from actorc.storage._wire.status_codes import StatusCode
from actorc.storage.errors import DeadlineExceededError, UnsupportedError
from actorc.storage.server.auth.access import Principal
from actorc.storage.server.auth.authentication import HeaderProof

from .call import Call, CallHead
from .call_context import Progress
from .call_flow import CallFlow
from .methods import Kind, Method


class DirectCalls:
    """Makes calls in the name of one caller, for a limited time. Any thread may call it.

    Args:
        methods: The methods, by name.
        flow: The steps that every call goes through.
        principal: The caller.
        peer: Address of its program, for the access log.
        deadline: Monotonic seconds after which calls are refused.
    """

    def __init__(
        self, methods: Mapping[str, Method], flow: CallFlow, principal: Principal, *, peer: str, deadline: float
    ) -> None:
        self._methods = methods
        self._flow = flow
        self._principal = principal
        self._peer = peer
        self._deadline = deadline

    def call(self, path: str, metadata: Metadata, request: bytes) -> DirectCall:
        """Return a call with one request; `DirectCallError` is raised by its answers."""
        return DirectCall(self._flow, self._methods[path.removeprefix(PREFIX)], metadata, request, self._proof, self)

    @property
    def _proof(self) -> HeaderProof:
        return HeaderProof(None, proved=True, principal=self._principal)

    @property
    def peer(self) -> str:
        """Address of the program that calls."""
        return self._peer

    def check_time(self) -> None:
        """Raise if the time is over.

        Raises:
            DeadlineExceededError: It is; the caller should ask for less.
        """
        if time.monotonic() > self._deadline:
            raise DeadlineExceededError(
                "the request takes too long and the server gave up; ask for less at once, or again"
            )


class DirectCall:
    """One call. For one thread."""

    def __init__(
        self, flow: CallFlow, method: Method, metadata: Metadata, request: bytes, proof: HeaderProof, calls: DirectCalls
    ) -> None:
        self._flow = flow
        self._method = method
        self._metadata = metadata
        self._request = request
        self._proof = proof
        self._calls = calls
        self.announced: Trailers = ()
        self.trailers: Trailers = ()

    def answers(self) -> Iterator[bytes]:
        """Yield the serialized answers; the first one begins the call."""
        head = CallHead(self._method.name, dict(self._metadata))
        with Call(head, _Context(self, self._calls.peer), self._flow.access_log) as call:
            self._calls.check_time()
            if self._method.kind is Kind.UPLOAD:
                raise UnsupportedError("a client in the server's process sends no streams; put small objects")
            with closing(self._flow.answers(self._method)(call, self._proof, iter((self._request,)))) as answers:
                yield from answers


class _NoWatch:
    """The timeout of waits for a peer, of which there are none."""

    def progress(self) -> None:
        """Do nothing."""

    def pause(self) -> None:
        """Do nothing."""


_NO_WATCH: Final = _NoWatch()


class _Context:
    """A call as its methods see it."""

    passes_files: Final = False

    def __init__(self, call: DirectCall, peer: str) -> None:
        self._call = call
        self._peer = peer

    def peer(self) -> str:
        return self._peer

    def is_active(self) -> bool:
        return True

    def set_trailers(self, trailers: Trailers) -> None:
        self._call.trailers = trailers

    def announce(self, metadata: Trailers) -> None:
        self._call.announced = metadata

    def received_file(self) -> int | None:
        return None

    def pass_files(self, descriptors: Sequence[int]) -> None:
        """Do nothing: a method passes none where `passes_files` is false."""

    def limited(self, _seconds: float, _on_idle: Callable[[], None]) -> AbstractContextManager[Progress]:
        return nullcontext(_NO_WATCH)

    def abort(self, code: StatusCode, message: str, trailers: Trailers) -> NoReturn:
        raise DirectCallError(code, message, trailers)

    def end(self, code: StatusCode, message: str) -> None:
        """Do nothing: there is no peer whose silence could end the call."""
