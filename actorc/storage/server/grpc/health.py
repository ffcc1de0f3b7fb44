"""grpc.health.v1, as probes of orchestrators and load balancers ask for it.

Its two messages hold one field each, so they are written with the well-known wrappers, which have the same wire form:
the package that ships them pins another protobuf, and a second registration of its file would refuse to load.

Probes prove nothing, so they have a few threads of their own, and a second for their message. While others hold these
threads, a probe is answered without a thread and unread, for the server as a whole: callers that send nothing must not
make an orchestrator believe that the server is ill.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from actorc.storage._wire import messages
from actorc.storage._wire.idle import IdleWatch

from .admission import AT_ONCE, Behavior, CallPool

SERVING: Final = 1
NOT_SERVING: Final = 2

_SERVICE: Final = "grpc.health.v1.Health"
_THREADS: Final = 2
_MESSAGE: Final = 1.0
"""Seconds that a probe has for its message."""

_idle = IdleWatch()


class Health(grpc.GenericRpcHandler):
    """Whether the server takes calls; probes may ask for it by the service's name or for the server as a whole.

    Args:
        is_healthy: Tells whether the engine accepts changes.
    """

    def __init__(self, is_healthy: Callable[[], bool]) -> None:
        self._serving = threading.Event()
        self._is_healthy = is_healthy
        self._probes = CallPool(_THREADS, waiting=0, name="storage-probe")

    def set_serving(self, serving: bool) -> None:
        """Change the answer."""
        if serving:
            self._serving.set()
        else:
            self._serving.clear()

    def is_ready(self) -> bool:
        """Return whether calls are taken and can be carried out, changes included."""
        return self._serving.is_set() and self._is_healthy()

    def close(self) -> None:
        """Give up the threads."""
        self._probes.shutdown()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler of a probe, None for any other call."""
        if handler_call_details.method != f"/{_SERVICE}/Check":
            return None
        if self._probes.is_busy:
            behavior = Behavior(lambda _probes, _context: self._answer(), pool=AT_ONCE)
        else:
            behavior = Behavior(self._check, pool=self._probes)
        return grpc.stream_unary_rpc_method_handler(behavior, StringValue.FromString, Int32Value.SerializeToString)

    def _check(self, probes: Iterator[StringValue], context: grpc.ServicerContext) -> Int32Value:
        with _idle.guard(_MESSAGE, context.cancel):
            probe = next(probes, StringValue())
        if probe.value not in {"", messages.SERVICE.full_name}:
            context.abort(grpc.StatusCode.NOT_FOUND, "this server has no such service")
        return self._answer()

    def _answer(self) -> Int32Value:
        return Int32Value(value=SERVING if self.is_ready() else NOT_SERVING)
