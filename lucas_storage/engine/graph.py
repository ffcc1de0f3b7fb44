"""What an executor knows of the graph of a Lucas workflow, genuine or embedded.

Lucas is not imported: a node is what has the attributes below, which every executor of Lucas uses.
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
_claimed: weakref.WeakSet[Any] = weakref.WeakSet()


class Step(Protocol):
    """What is used of a control node: a function waiting for arguments."""

    _fn: Callable[[dict[Any, Any]], Any]
    _fn_name: str
    _fn_type: str
    _ld_to_key: dict[Any, Any]

    def get_data_node(self) -> Place:
        """Return where the result goes."""

    def get_pre_data_nodes(self) -> list[Place]:
        """Return where the arguments come from."""


class Place(Protocol):
    """What is used of a data node: a value, or the place of one."""

    _ld: Any
    _is_end_node: bool

    def get_pre_control_node(self) -> Step | None:
        """Return the step that makes the value, or None."""

    def get_succ_control_nodes(self) -> list[Step]:
        """Return the steps that take the value."""


class Shape:
    """Which nodes a graph has, to take out again what the steps of a run add to it."""

    def __init__(self, dag: Any) -> None:
        self._dag = dag
        self._nodes = list(dag.nodes)
        self._takers = [(node, list(node.get_succ_control_nodes())) for node in dag.nodes if not is_step(node)]
        self._stragglers: list[threading.Thread] = []

    @classmethod
    def of(cls, dag: Any, patience: float) -> Shape:
        """Return the shape Lucas gave `dag`, waiting at most `patience` seconds for steps that still change it."""
        # Kept on the graph itself, so that it goes when the graph goes.
        last: Shape | None = getattr(dag, "_shape_before_failure", None)
        if last is None:
            return cls(dag)
        last._await_stragglers(patience)
        last.restore([])
        return last

    def restore(self, stragglers: list[threading.Thread]) -> None:
        """Give the graph this shape; `stragglers` may change it once more, which the next run sees to."""
        self._stragglers = stragglers
        self._dag._shape_before_failure = self if stragglers else None
        self._dag.nodes[:] = self._nodes
        for place, takers in self._takers:
            place.get_succ_control_nodes()[:] = takers

    def _await_stragglers(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        for thread in self._stragglers:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                message = f"The {thread.name!r} of an earlier run, which failed, is still running on this graph"
                raise RuntimeError(message)


@contextlib.contextmanager
def alone(dag: Any) -> Iterator[None]:
    """Refuse a second run of one graph, which would mix the two; genuine Lucas has one graph per workflow."""
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
    """Return whether `node` is a step, rather than the place of a value."""
    return hasattr(node, "_fn_type")


def refuse_lost_argument(step: Step) -> None:
    """Raise `ValueError` if Lucas lost arguments of `step`: it knows them by their Lambdas, one parameter for each."""
    places = step.get_pre_data_nodes()
    if len(step._ld_to_key) >= len(places):
        return
    kept = ", ".join(sorted({repr(step._ld_to_key[place._ld]) for place in places if places.count(place) > 1}))
    message = (
        f"The step {step._fn_name!r} is given one value for several parameters, and this Lucas delivers only {kept}."
        " Make a value of its own for each of them, as in wf.func(lambda value: value, x)."
    )
    raise ValueError(message)
