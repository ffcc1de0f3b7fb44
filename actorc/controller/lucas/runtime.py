"""`ActorRuntime`: one request, for workflows that are run without an executor."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from actorc.controller.client import lucas_types
from actorc.controller.client.calls import value_of_call
from actorc.controller.client.functions.definition import Definition

from .functions import named


class ActorRuntime(lucas_types.Runtime):
    """One request to a workflow, as in ``wf.set_runtime(ActorRuntime(metadata)); wf.generate().execute()``.

    Args:
        metadata: Lucas's `Metadata`: the input of the workflow.
    """

    __module__ = "actorc.controller.runtime"  # where processes of any version find it

    name = "actor"

    def __init__(self, metadata: Any) -> None:
        super().__init__()
        self._metadata: Any = metadata

    def input(self) -> Any:
        """Return the input of the request."""
        return self._metadata._params  # noqa: SLF001  # Lucas's contract

    def output(self, _out: Any) -> Any:
        """Return `_out` as it is."""
        return _out

    def metadata(self) -> Any:
        """Return the request."""
        return self._metadata

    def call(self, fnName: str, fnParams: Mapping[str, Any]) -> Any:  # noqa: N803  # Lucas's contract
        """Call a function on the platform and return its value.

        Raises:
            ControllerError: The call could not be made, or failed on the platform.
        """
        return value_of_call(named(fnName), fnParams)

    def tell(self, fnName: str, fnParams: Mapping[str, Any]) -> Future[Any]:  # noqa: N803  # Lucas's contract
        """Start a function on the platform without waiting for it.

        Returns:
            Its pending value, which may be ignored.

        Raises:
            UnknownFunctionError: No function is registered for the platform under that name.
        """
        future: Future[Any] = Future()
        work = (contextvars.copy_context().run, future, named(fnName), fnParams)
        # daemon, since the caller need not wait for the value, nor does the exit of its process
        threading.Thread(target=_deliver, args=work, name=f"tell {fnName}", daemon=True).start()
        return future


def _deliver(run: Any, future: Future[Any], definition: Definition, given: Mapping[str, Any]) -> None:
    try:
        future.set_result(run(value_of_call, definition, given))
    except BaseException as error:  # noqa: BLE001  # raised by the future when its value is asked for
        future.set_exception(error)
