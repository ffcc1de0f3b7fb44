"""Dataflow of one run: the values so far, and the steps whose arguments are all there."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from .graph import is_step, refuse_lost_argument
from .nested_values import CONTAINERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .graph import DataNode, Step


class Dataflow:
    """The values of a run, and the steps that may start. For the thread of the run, but for `mark_plain`.

    Values are kept here and not in the graph, which genuine Lucas shares between runs.

    Args:
        dag: The graph.
    """

    def __init__(self, dag: Any) -> None:
        self.ready: deque[Step] = deque()
        """Steps that may start, in the order in which they became ready; the run removes them."""
        self._dag = dag
        self._plain: set[DataNode] = set()
        self._values: dict[DataNode, Any] = {}
        self._waiting: dict[Step | DataNode, set[DataNode]] = {}
        self._waited_for: dict[DataNode, list[Step | DataNode]] = {}
        self._unfilled: dict[DataNode, Any] = {}
        self._adopted: set[Any] = set()
        self._seen = 0
        self._lambda_type = tuple({type(node._ld) for node in dag.nodes if not is_step(node)})

    @property
    def has_new_nodes(self) -> bool:
        """Whether the graph has nodes that were not adopted yet."""
        return len(self._dag.nodes) > self._seen

    def adopt_new_nodes(self) -> None:
        """Adopt the nodes that were added to the graph."""
        new = self._dag.nodes[self._seen :]
        self._seen += len(new)
        self._adopt(new)

    def arguments(self, step: Step) -> dict[Any, Any]:
        """Return the arguments of a step by parameter."""
        return {step._ld_to_key[place._ld]: self._values[place] for place in step.get_pre_data_nodes()}

    def is_plain(self, place: DataNode) -> bool:
        """Return whether plain code made a value, of fetched ones; a function then gets it by `_passed_value`."""
        return place in self._plain

    def mark_plain(self, place: DataNode) -> None:
        """Mark a value as made by plain code; the thread of a step calls it, before its step is finished."""
        self._plain.add(place)

    def result(self, end: DataNode | None) -> Any:
        """Return the value of the end node, None without one.

        Raises:
            RuntimeError: Steps still wait for values that no step makes.
        """
        if self._waiting:
            raise RuntimeError(self._stuck())
        return None if end is None else self._values[end]

    def end(self) -> DataNode | None:
        """Return the node of the workflow's value, or None without one."""
        return next((node for node in self._dag.nodes if not is_step(node) and node._is_end_node), None)

    def take(self, place: DataNode, value: Any) -> list[DataNode]:
        """Set a value that may hold Lambdas, whose values are set later; return their nodes."""
        inner: list[DataNode] = [ld._dataNode for ld in self._lambdas_in(value)]
        self._adopt(inner, plain=place in self._plain)
        if self._wait(place, inner):
            self._unfilled[place] = value
        else:
            self.complete(place, self._filled(value))
        return inner

    def complete(self, place: DataNode, value: Any) -> None:
        """Set a value, and the values that waited only for it; steps that waited only for these become ready."""
        pending = [(place, value)]
        while pending:
            known, full = pending.pop()
            self._values[known] = full
            for node in self._released_by(known):
                if is_step(node):
                    self.ready.append(node)
                else:
                    pending.append((node, self._filled(self._unfilled.pop(node))))

    def _adopt(self, roots: Iterable[Any], *, plain: bool = False) -> None:
        new = self._reached(roots)
        for step in filter(is_step, new):
            refuse_lost_argument(step)
            if not self._wait(step, step.get_pre_data_nodes()):
                self.ready.append(step)
        for node in new:
            if not is_step(node) and node.get_pre_control_node() is None:
                self._plain |= {node} if plain else set()
                self.take(node, node._ld.value)

    def _reached(self, roots: Iterable[Any]) -> list[Any]:
        """Return the nodes that `roots` depend on and that are new, themselves included."""
        # A loop and no recursion: a chain of steps may be longer than the stack is deep.
        reached, pending = [], deque(roots)
        while pending:
            node = pending.popleft()
            if node is not None and node not in self._adopted:
                self._adopted.add(node)
                reached.append(node)
                pending.extend(node.get_pre_data_nodes() if is_step(node) else [node.get_pre_control_node()])
        return reached

    def _wait(self, node: Any, places: Iterable[DataNode]) -> bool:
        """Let `node`, a step or a value, wait for the missing ones of `places`; return whether there are any."""
        missing = {place for place in places if place not in self._values}
        if missing:
            self._waiting[node] = missing
        for place in missing:
            self._waited_for.setdefault(place, []).append(node)
        return bool(missing)

    def _released_by(self, place: DataNode) -> list[Any]:
        waiting = self._waited_for.pop(place, [])
        for node in waiting:
            self._waiting[node].discard(place)
        released = [node for node in waiting if not self._waiting[node]]
        for node in released:
            del self._waiting[node]
        return released

    def _lambdas_in(self, value: Any) -> list[Any]:
        """Return the Lambdas in `value`; one without a node is a container, as `Lambda.map` makes it."""
        found, seen, pending = [], set(), [value]
        while pending:
            item = pending.pop()
            is_lambda = isinstance(item, self._lambda_type)
            if is_lambda and item._dataNode is not None:
                found.append(item)
            elif (is_lambda or type(item) in CONTAINERS) and id(item) not in seen:
                seen.add(id(item))
                pending.extend([item.value] if is_lambda else item.values() if isinstance(item, dict) else item)
        return found

    def _filled(self, value: Any) -> Any:
        """Return `value` with its Lambdas replaced by their values; a value without Lambdas stays the same object."""
        if isinstance(value, self._lambda_type):
            return self._filled(value.value) if value._dataNode is None else self._values[value._dataNode]
        if not self._lambdas_in(value):
            return value
        if isinstance(value, dict):
            return {key: self._filled(item) for key, item in value.items()}
        return type(value)(self._filled(item) for item in value)

    def _stuck(self) -> str:
        steps: set[Any] = {node if is_step(node) else node.get_pre_control_node() for node in list[Any](self._waiting)}
        names = ", ".join(sorted(repr(step._fn_name) for step in steps if step is not None))
        return f"The workflow waits for values that no step makes. Steps that cannot start or end are {names}."
