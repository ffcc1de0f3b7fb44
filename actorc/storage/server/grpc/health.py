"""The service grpc.health.v1, for probes of orchestrators and load balancers.

Its two messages have one field each, so they are coded as the well-known wrappers, which have the same wire form: the
package that ships them pins another protobuf, and registering its file a second time would fail.

Probes prove no key, so they have a few threads of their own, and one second for their message. While other callers
occupy these threads, a probe is answered without a thread and unread, for the server as a whole: callers that send
nothing must not make an orchestrator believe that the server is not healthy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from actorc.storage._wire import call_headers, idle
from actorc.storage.server.service.admission import CallPool

from .behavior import CALLER_THREAD, Behavior

SERVING: Final = 1
NOT_SERVING: Final = 2

_SERVICE: Final = "grpc.health.v1.Health"
_THREADS: Final = 2
_MESSAGE_SECONDS: Final = 1.0
"""Seconds that a probe has for its message."""


class Health(grpc.GenericRpcHandler):
    """Whether the server takes calls. Probes may name the storage service, or nothing for the server as a whole.

    Any thread may call it.

    Args:
        is_healthy: Returns whether the engine accepts changes.
    """

    def __init__(self, is_healthy: Callable[[], bool]) -> None:
        self._serving = threading.Event()
        self._is_healthy = is_healthy
        self._probes = CallPool(_THREADS, waiting=0, name="storage-probe")

    def set_serving(self, serving: bool) -> None:
        """Set whether the server takes calls."""
        if serving:
            self._serving.set()
        else:
            self._serving.clear()

    def is_ready(self) -> bool:
        """Return whether calls are taken and can succeed, changes included."""
        return self._serving.is_set() and self._is_healthy()

    def close(self) -> None:
        """Stop the threads."""
        self._probes.shutdown()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler of a probe, None for any other call."""
        if handler_call_details.method != f"/{_SERVICE}/Check":
            return None
        if self._probes.is_busy:
            behavior = Behavior(lambda _probes, _context: self._answer(), pool=CALLER_THREAD)
        else:
            behavior = Behavior(self._check, pool=self._probes)
        return grpc.stream_unary_rpc_method_handler(behavior, StringValue.FromString, Int32Value.SerializeToString)

    def _check(self, probes: Iterator[StringValue], context: grpc.ServicerContext) -> Int32Value:
        with idle.watch.guard(_MESSAGE_SECONDS, context.cancel):
            probe = next(probes, StringValue())
        if probe.value not in {"", call_headers.SERVICE.full_name}:
            context.abort(grpc.StatusCode.NOT_FOUND, "this server has no such service")
        return self._answer()

    def _answer(self) -> Int32Value:
        return Int32Value(value=SERVING if self.is_ready() else NOT_SERVING)
