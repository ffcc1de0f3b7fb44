"""The graph of a past run, by its record."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from lucas_storage.records.run_history import Mention, PastRun, PastStep
from lucas_storage.refs import ArtifactRef

from .graph import Edge, Graph, Node, State

INPUT: Final = "in:"
"""With its name behind it, the key of the node of an input."""
RESULT: Final = "out:"
"""The key of the node of the result."""


def step_keys(run: PastRun) -> list[str]:
    """Return the keys of the steps of a run in its graph; records of early versions have none."""
    return [step.key or f"step:{number}" for number, step in enumerate(run.steps)]


def graph_of(run: PastRun, before: PastRun | None = None) -> Graph:
    """Return the graph of a run: its steps, and the stored inputs and results that they took and made.

    A step follows those that the record names, and of an artifact that none of these made, the first step or input
    that did. Records of early versions name none.

    Args:
        run: The run.
        before: Another run, with whose seconds those of the steps are compared.
    """
    keys = step_keys(run)
    makers = _Makers(run, keys)
    edges = list(makers.edges(run.outputs, RESULT, math.inf, run.after))
    for step, key in zip(run.steps, keys, strict=True):
        taken = chain.from_iterable(step.inputs.values())
        edges += makers.edges(taken, key, step.started, step.after)
    known = {end for edge in edges for end in (edge.source, edge.target)}
    data = (node for node in _data(run) if node.key in known)
    return Graph(
        name=run.workflow, nodes=(*data, *map(_node, run.steps, keys, _seconds_before(run, before))), edges=tuple(edges)
    )


class _Makers:
    """Which nodes of a graph made an artifact: often several steps make equal ones."""

    def __init__(self, run: PastRun, keys: list[str]) -> None:
        self._of = defaultdict[ArtifactRef, list[tuple[float, str]]](list)
        for name, mentions in run.inputs.items():
            self._add(mentions, 0.0, f"{INPUT}{name}")
        for step, key in zip(run.steps, keys, strict=True):
            self._add(step.outputs, step.started, key)

    def edges(self, taken: Iterable[Mention], target: str, began: float, after: tuple[str, ...]) -> Iterator[Edge]:
        """Yield the edges to a node: from those that the record names, and from who else made what it took.

        Args:
            taken: The artifacts that the node took.
            target: Its key.
            began: When it began; it can only take what began before.
            after: Keys of the nodes that the record names.
        """
        sizes: dict[str, int | None] = dict.fromkeys(after)
        for mention in taken:
            source = self._maker(mention, began, after)
            if source is not None and source != target:
                sizes[source] = (sizes.get(source) or 0) + mention.size
        return (Edge(source=source, target=target, size=size) for source, size in sizes.items())

    def _maker(self, mention: Mention, began: float, after: tuple[str, ...]) -> str | None:
        made = self._of.get(mention.ref, []) if mention.ref else []
        # The graph of the workflow knows; an equal artifact of another step is by chance.
        named = (key for _, key in made if key in after)
        return next(named, None) or next((key for started, key in made if started < began), None)

    def _add(self, mentions: Iterable[Mention], started: float, key: str) -> None:
        for mention in mentions:
            if mention.ref is not None:
                self._of[mention.ref].append((started, key))


def _data(run: PastRun) -> Iterator[Node]:
    for name, mentions in run.inputs.items():
        yield Node(key=f"{INPUT}{name}", name=_name(name, mentions), state="data", size=_bytes(mentions))
    yield Node(key=RESULT, name="result", state="data", size=_bytes(run.outputs))


def _name(name: str, mentions: tuple[Mention, ...]) -> str:
    """Return the name of an input, with that of its file if it is one."""
    files = [mention.ref.filename for mention in mentions if mention.ref and mention.ref.filename]
    return f"{name} ({files[0]})" if len(files) == 1 else name


def _seconds_before(run: PastRun, before: PastRun | None) -> Iterator[float | None]:
    """Yield for each step the seconds of its counterpart: the step of its function that began as the n-th, as it did.

    None where there is none, or where one of the two has not run to its end.
    """
    counterparts = defaultdict[str, list[PastStep]](list)
    for step in before.steps if before else ():
        counterparts[step.function].append(step)
    passed = Counter[str]()
    for step in run.steps:
        others = counterparts[step.function]
        other = others[passed[step.function]] if passed[step.function] < len(others) else None
        passed[step.function] += 1
        yield other.seconds if other and step.state == other.state == "succeeded" else None


def _node(step: PastStep, key: str, before: float | None) -> Node:
    size = _bytes(step.outputs) if step.outputs else None
    note = step.error or ""
    return Node(
        key=key, name=step.function, state=step.state, note=note, seconds=step.seconds, before=before, size=size
    )


def _bytes(mentions: Iterable[Mention]) -> int:
    return sum(mention.size for mention in mentions)


def counts(run: PastRun) -> Mapping[State, int]:
    """Return how many steps of a run are in each state."""
    return Counter(step.state for step in run.steps)
