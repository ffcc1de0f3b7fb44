"""`StorageExecutor`: the executor that `run` uses, and that users name in ``@workflow(executor=…)``."""

from __future__ import annotations

from typing import Any

from ._tracebacks import shortened
from .engine import adapter
from .engine.scheduler import GraphExecutor
from .values import recent_data
from .values.annotations.annotation import ANY
from .values.loading import incoming
from .values.storing import outgoing
from .values.storing.policy import ByOptions


class StorageExecutor(GraphExecutor):
    """Runs a workflow whose values are references: steps in parallel, runs repeatable, values never printed.

    Every step runs once, as soon as its arguments are there; independent ones run at the same time, at most
    `max_workers` of them. None is a value. A run leaves the graph as it was, so that the next one is right, whether it
    succeeded or not. When a step raises, no other is started, and the error is raised at once with a note that names
    the step. Plain code, in ``wf.func``, ``[k]``, ``+`` and ``map``, sees the values of references.

    Use it as ``@workflow(executor=StorageExecutor)``, on the embedded engine and on genuine Lucas. The function that
    ``export()`` returns then returns the workflow's value with every reference in it replaced, as `run` does. Where a
    platform sends that value to another process, as knative does, references stay references.

    Args:
        dag: The graph of a Lucas workflow, its inputs set.

    Attributes:
        keeps_references: Whether `execute` always leaves references in the value.
    """

    keeps_references = False

    def execute(self) -> Any:
        """Run the graph and return the workflow's value; raises as `GraphExecutor.execute` does.

        Raises:
            ArtifactError: A reference in the value cannot be resolved.
        """
        with recent_data.kept():
            value = super().execute()
            if self.keeps_references or adapter.is_sent_on(self.dag):
                return value
            with shortened:
                return incoming.value_of(value)

    def _local_value(self, value: Any) -> Any:
        return incoming.value_of(value)

    def _passed_value(self, value: Any) -> Any:
        # Functions get references again, so that a value that plain code made is stored once and not pickled for each.
        return outgoing.offload(value, ANY, ByOptions())
