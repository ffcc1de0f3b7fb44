"""Which recorded steps a value of a run comes from, by the edges of the graph.

References alone do not tell it: small values travel without one, and two steps may make equal values.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .graph import DataNode, Step

_place: ContextVar[GraphPlace | None] = ContextVar("lucas_storage_graph_place", default=None)
_makers_of_result: ContextVar[list[str] | None] = ContextVar("lucas_storage_makers_of_result", default=None)


@dataclass(slots=True)
class GraphPlace:
    """The place of a step in the graph of its workflow."""

    after: tuple[str, ...] = ()
    """Keys of the recorded steps whose results it takes."""
    recorded: list[str] = field(default_factory=list)
    """Keys of the records of it; the last one is that of the attempt that counts."""


def current_place() -> GraphPlace | None:
    """Return the place of the step that the scheduler called last around this point, or None."""
    return _place.get()


def put_at(context: Context, place: GraphPlace) -> None:
    """Set the place of the step that will run in a context of its own."""
    context.run(_place.set, place)


@contextmanager
def makers_of_result() -> Iterator[list[str]]:
    """Yield a list that holds the keys of the recorded steps that made the result of the last graph that the body ran.

    A graph that a step of another one runs ends before that one.
    """
    makers: list[str] = []
    token = _makers_of_result.set(makers)
    try:
        yield makers
    finally:
        _makers_of_result.reset(token)


class Provenance:
    """The places of the steps of one run. For the thread of the run."""

    def __init__(self) -> None:
        self._places: dict[Step, GraphPlace] = {}
        self._held: dict[Step, list[DataNode]] = {}

    def place_of(self, step: Step) -> GraphPlace:
        """Return the place of a step that begins now, behind those that made its arguments."""
        place = self._places[step] = GraphPlace(tuple(self._makers(step.get_pre_data_nodes())))
        return place

    def ends_with(self, value: DataNode) -> None:
        """Note that the graph has run, and a value is its result."""
        noted = _makers_of_result.get()
        if noted is not None:
            noted[:] = self._makers([value])

    def holds(self, step: Step, values: list[DataNode]) -> None:
        """Note that the result of plain code holds values of other steps."""
        if values:
            self._held[step] = values

    def _makers(self, values: Iterable[DataNode]) -> Iterable[str]:
        makers: dict[str, None] = {}
        seen: set[Step] = set()
        # A loop and no recursion: plain code may pass on the result of plain code, for ever so long.
        pending = list(values)
        while pending:
            step = pending.pop().get_pre_control_node()
            if step is None or step in seen:
                continue
            seen.add(step)
            place = self._places.get(step)
            if place is not None:
                # A step without a record, such as plain code between two functions, passes on where its arguments
                # came from.
                makers |= dict.fromkeys(place.recorded[-1:] or place.after)
            pending += self._held.get(step, ())
        return makers
