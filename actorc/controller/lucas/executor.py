"""`ActorExecutor`: runs a workflow whose functions run on the platform."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

from actorc.controller.client.calls import Calls, takes_place
from actorc.controller.client.functions.definition import Definition
from actorc.controller.client.functions.remote_objects import Method
from actorc.controller.client.remote_references import RemoteValue
from lucas_storage import StorageExecutor
from lucas_storage.records.distant_steps import DistantStep
from lucas_storage.records.run_log import distant_step

from .functions import named
from .runtime_classes import method_of


class ActorExecutor(StorageExecutor):
    """Runs functions and methods on the platform, and plain code here: ``@workflow(executor=ActorExecutor)``.

    Results stay on the platform and are passed on as references; plain code, in ``wf.func``, ``[k]``, ``+`` and
    ``map``, and the workflow's caller get values. Every step runs once, as soon as its arguments exist. A step that
    raises, a lost connection and a missing parameter end the run with an error. Each run starts from the beginning,
    whatever the result of the last one. Within `lucas_storage.run`, decorated functions are recorded as steps.

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
        callee = self._callee(step)
        with _recorded(callee) as distant:
            return self._calls.call(callee, arguments, None if distant is None else distant.place)

    def _begun(self, step: Any, arguments: Mapping[Any, Any]) -> Future[RemoteValue] | None:
        callee = self._callee(step)
        if self._calls.must_fetch(callee, arguments):
            return None
        distant = distant_step(callee.name) if takes_place(callee) else None
        try:
            begun = self._calls.start(callee, arguments, place=None if distant is None else distant.place)
        except BaseException as error:
            if distant is not None:
                distant.end(error)
            raise
        if distant is not None:
            # Added before the one of the run, so that a step has ended when the run goes on.
            begun.add_done_callback(partial(_end, distant))
        return begun

    def _fetched(self, value: Any) -> Any:
        return self._calls.fetched(value)

    def _callee(self, step: Any) -> Definition | Method:
        """Return the function or method a step calls; a function is the same one throughout a run."""
        name = step._fn_name  # noqa: SLF001  # Lucas's contract
        if hasattr(step, "_obj"):
            return method_of(step)
        return self._definitions.get(name) or self._definitions.setdefault(name, named(name))


@contextmanager
def _recorded(callee: Definition | Method) -> Iterator[DistantStep | None]:
    distant = distant_step(callee.name) if takes_place(callee) else None
    try:
        yield distant
    except BaseException as error:
        if distant is not None:
            distant.end(error)
        raise
    if distant is not None:
        distant.end(None)


def _end(distant: DistantStep, begun: Future[RemoteValue]) -> None:
    distant.end(CancelledError() if begun.cancelled() else begun.exception())
