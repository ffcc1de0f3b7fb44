"""`ActorExecutor`: runs a workflow whose functions run on the platform."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, ClassVar

from actorc.controller.client.calls import Calls
from actorc.controller.client.functions.definition import Definition
from actorc.controller.client.functions.remote_objects import Method
from actorc.controller.client.remote_references import RemoteValue
from lucas_storage import StorageExecutor

from .functions import named
from .runtime_classes import method_of


class ActorExecutor(StorageExecutor):
    """Runs functions and methods on the platform, and plain code here: ``@workflow(executor=ActorExecutor)``.

    Results stay on the platform and are passed on as references; plain code, in ``wf.func``, ``[k]``, ``+`` and
    ``map``, and the workflow's caller get values. Every step runs once, as soon as its arguments exist. A step that
    raises, a lost connection and a missing parameter end the run with an error. Each run starts from the beginning,
    whatever the result of the last one, and no run is recorded.

    Args:
        dag: The graph of a Lucas workflow, its inputs set.
    """

    __module__ = "actorc.controller.executor"  # where processes of any version find it

    max_workers: ClassVar[int] = 64
    """Greatest number of calls that wait for the platform at the same time; replicas limit how many run."""

    def execute(self) -> Any:
        """Run the graph and return the workflow's value; raises as `StorageExecutor.execute` does.

        Raises:
            ControllerError: A call could not be made, or failed on the platform.
        """
        self._definitions: dict[str, Definition] = {}
        with Calls() as self._calls:
            return super().execute()

    def _called(self, step: Any, arguments: Mapping[Any, Any]) -> Any:
        return self._calls.call(self._callee(step), arguments)

    def _begun(self, step: Any, arguments: Mapping[Any, Any]) -> Future[RemoteValue] | None:
        callee = self._callee(step)
        return None if self._calls.must_fetch(callee, arguments) else self._calls.start(callee, arguments)

    def _fetched(self, value: Any) -> Any:
        return self._calls.fetched(value)

    def _callee(self, step: Any) -> Definition | Method:
        """Return the function or method a step calls; a function is the same one throughout a run."""
        name = step._fn_name  # noqa: SLF001  # Lucas's contract
        if hasattr(step, "_obj"):
            return method_of(step)
        return self._definitions.get(name) or self._definitions.setdefault(name, named(name))
