"""The graph of one run; executors written for Lucas work on these classes, so their names are fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucas_storage.embedded.workflow.nodes import ActorNode, ControlNode, DAGNode, DataNode

if TYPE_CHECKING:
    from lucas_storage.embedded.workflow.roles import GraphOwner

__all__ = ["DAG", "ActorNode", "ControlNode", "DAGNode", "DataNode"]


class DAG:
    """All nodes of one workflow, in the order in which they were made.

    Args:
        workflow: The workflow of the graph.
    """

    def __init__(self, workflow: GraphOwner) -> None:
        self.workflow_ = workflow
        self.nodes: list[DAGNode] = []
        self._built: int | None = None

    def get_nodes(self) -> list[DAGNode]:
        """Return the nodes, which are the list itself: steps may add to it while it is iterated over."""
        return self.nodes

    def add_node(self, node: DAGNode) -> None:
        """Add `node` and everything linked to it, each once."""
        # A loop and no recursion: chains of steps may be longer than the stack is deep.
        pending: list[DAGNode] = [node]
        while pending:
            new = pending.pop()
            if new.belong_dag is not self:
                new.belong_dag = self
                self.nodes.append(new)
                pending.extend(new.neighbours())

    def hasDone(self) -> bool:
        """Return whether every node is done."""
        return all(node._done for node in self.nodes)

    def seal(self) -> None:
        """Make the present graph the one to which `reset` returns."""
        self._built = len(self.nodes)

    def reset(self) -> None:
        """Return to the state before the run, without the nodes that steps have added."""
        late = set(self.nodes[self._built :] if self._built is not None else [])
        self.nodes[:] = [node for node in self.nodes if node not in late]
        for node in self.nodes:
            node.reset()
            if isinstance(node, DataNode):
                node.forget(late)

    def metadata(self, fn_export: bool = False) -> list[dict[str, Any]]:
        """Describe all nodes in JSON terms, without values."""
        return [node.metadata(fn_export) for node in self.nodes]
