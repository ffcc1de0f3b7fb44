"""One call of gRPC, as the methods of the service see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NoReturn

import grpc

from actorc.storage._wire import idle
from actorc.storage._wire.idle import Guard
from actorc.storage._wire.status_codes import StatusCode
from actorc.storage.server.service.call_context import PeerGoneError, Trailers


class GrpcContext:
    """A `CallContext`. For the thread of the call, `end` aside.

    Args:
        context: What gRPC gives to the implementation of a method.
    """

    def __init__(self, context: grpc.ServicerContext) -> None:
        self._context = context

    def peer(self) -> str:
        """Return the address of the client, for the access log."""
        return self._context.peer()

    def is_active(self) -> bool:
        """Return whether the client still waits for an answer."""
        return self._context.is_active()

    def set_trailers(self, trailers: Trailers) -> None:
        """Set the metadata that a successful call ends with."""
        self._context.set_trailing_metadata(trailers)

    def announce(self, metadata: Trailers) -> None:
        """Send metadata before the first answer."""
        self._context.send_initial_metadata(metadata)

    @property
    def passes_files(self) -> bool:
        """Return False."""
        return False

    def received_file(self) -> int | None:
        """Return None."""
        return None

    def pass_files(self, descriptors: Sequence[int]) -> None:
        """Raise, since gRPC passes no descriptors."""
        raise NotImplementedError

    def limited(self, seconds: float, on_idle: Callable[[], None]) -> AbstractContextManager[Guard]:
        """Call `on_idle` if the peer makes no progress for `seconds` within the block."""
        return idle.watch.guard(seconds, on_idle)

    def abort(self, code: StatusCode, message: str, trailers: Trailers) -> NoReturn:
        """End the call with a status."""
        self._context.set_trailing_metadata(trailers)
        self._context.abort(_STATUS[code], message)

    def end(self, code: StatusCode, message: str) -> None:
        """End the call with a status, on any thread, even while its own thread waits in gRPC.

        The public `ServicerContext.cancel` does the same, but the caller would see CANCELLED, without a reason.
        """
        # a private attribute of grpcio; without it the call still ends, but with CANCELLED
        call = getattr(getattr(self._context, "_rpc_event", None), "call", None)
        if call is None:
            self._context.cancel()
        else:
            call.cancel(int(code), message)


_STATUS = {StatusCode.of(code.value[0]): code for code in grpc.StatusCode}


def messages_of(bodies: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the messages of a call; gRPC's own error for a call that has ended becomes a `PeerGoneError`."""
    try:
        yield from bodies
    except grpc.RpcError as error:
        raise PeerGoneError from error


class own_errors:  # noqa: N801 - used as a function
    """A block that raises gRPC's own error instead of a `PeerGoneError`: it logs any other as a fault of the service.

    A class, since every call has such a block, and one made of a generator takes four times as long.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, PeerGoneError):
            cause: Any = error.__cause__
            raise cause from None
