"""The graph of a Lucas workflow, genuine or embedded, as executors see it.

Lucas is not imported: a node is any object with the attributes below, which every executor of Lucas uses.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_claims = threading.Lock()
"""Guards the set of graphs that are being run."""
_claimed: weakref.WeakSet[Any] = weakref.WeakSet()


class Step(Protocol):
    """The attributes used of a control node: a function waiting for arguments."""

    _fn: Callable[[dict[Any, Any]], Any]
    _fn_name: str
    _fn_type: str
    _ld_to_key: dict[Any, Any]

    def get_data_node(self) -> DataNode:
        """Return the node of the result."""

    def get_pre_data_nodes(self) -> list[DataNode]:
        """Return the nodes of the arguments."""


class DataNode(Protocol):
    """The attributes used of a data node: a value, or the slot of one."""

    _ld: Any
    _is_end_node: bool

    def get_pre_control_node(self) -> Step | None:
        """Return the step that makes the value, or None."""

    def get_succ_control_nodes(self) -> list[Step]:
        """Return the steps that take the value."""


class GraphSnapshot:
    """The nodes of a graph before a run, to remove again those that its steps add. For the thread of the run."""

    def __init__(self, dag: Any) -> None:
        # Copies of the lists, which the steps of a run change in place.
        self._dag = dag
        self._nodes = list(dag.nodes)
        self._takers = [(node, list(node.get_succ_control_nodes())) for node in dag.nodes if not is_step(node)]
        self._stragglers: list[threading.Thread] = []

    @classmethod
    def of(cls, dag: Any, patience: float) -> GraphSnapshot:
        """Return the snapshot of `dag` as Lucas made it; waits `patience` seconds for steps that still change it."""
        # An attribute of the graph itself, so that it is freed with the graph.
        last: GraphSnapshot | None = getattr(dag, "_snapshot_before_failure", None)
        if last is None:
            return cls(dag)
        last._await_stragglers(patience)
        last.restore([])
        return last

    def restore(self, stragglers: list[threading.Thread]) -> None:
        """Restore the graph; `stragglers` may change it once more, and the next run restores it again."""
        self._stragglers = stragglers
        self._dag._snapshot_before_failure = self if stragglers else None
        self._dag.nodes[:] = self._nodes
        for node, takers in self._takers:
            node.get_succ_control_nodes()[:] = takers

    def _await_stragglers(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        for thread in self._stragglers:
            # One deadline for all threads together, not one for each.
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                message = f"The {thread.name!r} of an earlier run, which failed, is still running on this graph"
                raise RuntimeError(message)


@contextlib.contextmanager
def exclusive(dag: Any) -> Iterator[None]:
    """Raise `RuntimeError` for a second run of one graph, which would mix their values; genuine Lucas has only one."""
    with _claims:
        if dag in _claimed:
            message = f"The workflow {dag.workflow_.name!r} is being run on this graph, so let one run follow the other"
            raise RuntimeError(message)
        _claimed.add(dag)
    try:
        yield
    finally:
        with _claims:
            _claimed.discard(dag)


def is_step(node: Any) -> bool:
    """Return whether `node` is a step, rather than a value."""
    return hasattr(node, "_fn_type")


def refuse_lost_argument(step: Step) -> None:
    """Raise `ValueError` if Lucas lost arguments of `step`: it keeps one parameter for each Lambda."""
    nodes = step.get_pre_data_nodes()
    if len(step._ld_to_key) >= len(nodes):
        return
    kept = ", ".join(sorted({repr(step._ld_to_key[node._ld]) for node in nodes if nodes.count(node) > 1}))
    message = (
        f"The step {step._fn_name!r} is given one value for several parameters, and this Lucas delivers only {kept}."
        " Make a value of its own for each of them, as in wf.func(lambda value: value, x)."
    )
    raise ValueError(message)
