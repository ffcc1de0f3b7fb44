"""The graph of a trace: its steps, the artifact that was asked about, and what came from outside. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from lucas_storage.lineage.graph import Edge, Graph, Node
from lucas_storage.records.index.run_index import digits_of
from lucas_storage.refs import ArtifactRef

from .trace import Trace, TracedStep

_ARTIFACT = "artifact:"


def graph_of_trace(trace: Trace, ref: ArtifactRef, *, is_origin: bool) -> Graph:
    """Return the graph of a trace.

    Args:
        trace: The steps.
        ref: The artifact that they lead to.
        is_origin: Whether they lead from it instead.
    """
    asked = f"{_ARTIFACT}{digits_of(ref)}"
    nodes = {asked: Node(key=asked, name=ref.filename or ref.format, state="data", size=ref.size)}
    edges: list[Edge] = []
    for step in trace.steps:
        nodes[step.id] = Node(
            key=step.id,
            name=step.step.function,
            state=step.step.state,
            note=step.workflow,
            seconds=step.step.seconds,
            size=sum(mention.size for mention in step.step.outputs),
        )
        edges += _edges(step, nodes)
    if not is_origin:
        edges += (Edge(source=each, target=asked, size=ref.size) for each in trace.nearest)
    return Graph(name=ref.format, nodes=tuple(nodes.values()), edges=tuple(edges))


def _edges(step: TracedStep, nodes: dict[str, Node]) -> Iterator[Edge]:
    sizes: dict[str, int | None] = dict.fromkeys(step.after)
    given = defaultdict[str, int](int)
    for taken in step.inputs:
        if taken.maker is not None:
            sizes[taken.maker] = (sizes.get(taken.maker) or 0) + taken.mention.size
        elif taken.mention.ref is not None:
            key = f"{_ARTIFACT}{digits_of(taken.mention.ref)}"
            name = taken.mention.ref.filename or taken.name
            nodes.setdefault(key, Node(key=key, name=name, state="data", size=taken.mention.size))
            given[key] += taken.mention.size
    yield from (Edge(source=key, target=step.id, size=size) for key, size in {**sizes, **given}.items())
