"""Executors: the default one, which runs steps one after the other, and one that runs them on threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucas_storage.embedded.errors import listed
from lucas_storage.embedded.workflow.dag import ControlNode, DataNode
from lucas_storage.engine.scheduler import GraphExecutor

if TYPE_CHECKING:
    from lucas_storage.embedded.workflow.dag import DAG, DAGNode


class Executor:
    """Runs every step once, one after the other in the calling thread, each when its arguments are there.

    Args:
        dag: The graph of this run.
    """

    def __init__(self, dag: DAG) -> None:
        self.dag = dag

    def execute(self) -> Any:
        """Run all steps and return the workflow's value.

        Raises:
            RuntimeError: Steps wait for values that no step makes, such as their own result.
            Exception: Whatever a step raises, as it is; no further step is started.
        """
        while not self.dag.hasDone():
            # Not any(), which would stop at the first node that advances: each gets its turn in every round.
            if True not in [self._advance(node) for node in list(self.dag.get_nodes())]:
                raise RuntimeError(self._waiting())
        return next((node._ld.value for node in self._data_nodes() if node._is_end_node), None)

    def _advance(self, node: DAGNode) -> bool:
        if node._done:
            return False
        if isinstance(node, DataNode) and node.is_ready():
            node._done = True
            for step in node.get_succ_control_nodes():
                step.appargs(node._ld)
        elif isinstance(node, ControlNode) and node.can_run():
            node._done = True
            node.calculate()
        return node._done

    def _data_nodes(self) -> list[DataNode]:
        return [node for node in self.dag.get_nodes() if isinstance(node, DataNode)]

    def _waiting(self) -> str:
        steps = [node._fn_name for node in self.dag.get_nodes() if isinstance(node, ControlNode) and not node._done]
        return f"The workflow waits for values that no step makes. Steps not started are {listed(steps)}."


class MulThreadExecutor(GraphExecutor):
    """Runs every step once, as soon as its arguments are there, on threads: `@workflow(executor=MulThreadExecutor)`.

    Args:
        dag: The graph of this run.
    """
