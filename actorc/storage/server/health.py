"""grpc.health.v1, as probes of orchestrators and load balancers ask for it.

Its two messages hold one field each, so they are written with the well-known wrappers, which have the same wire form:
the package that ships them pins another protobuf, and a second registration of its file would refuse to load.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from actorc.storage import _wire

SERVING: Final = 1
NOT_SERVING: Final = 2

_SERVICE: Final = "grpc.health.v1.Health"


class Health:
    """Whether the server takes calls; probes may ask for it by the service's name or for the server as a whole.

    Args:
        is_healthy: Tells whether the engine accepts changes.
    """

    def __init__(self, is_healthy: Callable[[], bool]) -> None:
        self._serving = threading.Event()
        self._is_healthy = is_healthy

    def set_serving(self, serving: bool) -> None:
        """Change the answer."""
        if serving:
            self._serving.set()
        else:
            self._serving.clear()

    def is_ready(self) -> bool:
        """Return whether calls are taken and can be carried out, changes included."""
        return self._serving.is_set() and self._is_healthy()

    def check(self, request: StringValue, context: grpc.ServicerContext) -> Int32Value:
        """Answer a probe."""
        if request.value not in {"", _wire.SERVICE.full_name}:
            context.abort(grpc.StatusCode.NOT_FOUND, "this server has no such service")
        return Int32Value(value=SERVING if self.is_ready() else NOT_SERVING)

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the service as gRPC takes it."""
        check = grpc.unary_unary_rpc_method_handler(self.check, StringValue.FromString, Int32Value.SerializeToString)
        return grpc.method_handlers_generic_handler(_SERVICE, {"Check": check})
