"""A graph of steps and data for drawings, and the same with many alike nodes as one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

State: TypeAlias = Literal["succeeded", "reused", "failed", "running", "lost", "data"]

FOLDED_FROM: Final = 6
"""Alike nodes that become one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A step, or data that no step of the graph made; or several that are alike."""

    key: str
    """Unique in its graph; not shown."""
    name: str
    """Any text."""
    state: State = "succeeded"
    note: str = ""
    """A few words about it, such as the class of an error; any text."""
    seconds: float | None = None
    """Those of all its steps together."""
    before: float | None = None
    """Seconds of the same steps in another run, to which this one is compared."""
    size: int | None = None
    """Bytes of the data, or of the results; of all together."""
    count: int = 1
    """Nodes that it stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Data on its way from one node to another."""

    source: str
    target: str
    size: int | None = None
    """Bytes, if they are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes and the data between them. Edges that name no node, or close a circle, are left out where it is drawn."""

    name: str
    """Any text."""
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def folded(self) -> Graph:
        """Return the graph with alike nodes as one: of a layer, and of a chain, of the same name and state."""
        chained = _merged(self, _chains(self))
        return _merged(chained, _fans(chained))


def layers_of(graph: Graph) -> dict[str, int]:
    """Return the layer of each node: below those of all nodes that it depends on, the first one 0.

    In linear time, whatever the edges are. Of nodes in a circle some get a layer as if an edge were missing.
    """
    keys = [node.key for node in graph.nodes]
    after: dict[str, list[str]] = {key: [] for key in keys}
    waiting = dict.fromkeys(keys, 0)
    for edge in {(edge.source, edge.target) for edge in graph.edges}:
        source, target = edge
        if source in after and target in after and source != target:
            after[source].append(target)
            waiting[target] += 1
    layers = dict.fromkeys(keys, 0)
    ready = [key for key in keys if not waiting[key]]
    rest = iter(keys)
    done: set[str] = set()
    while ready or (ready := _first_left(rest, done)):
        key = ready.pop()
        done.add(key)
        for target in after[key]:
            if target in done:
                continue
            layers[target] = max(layers[target], layers[key] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return layers


def _first_left(rest: Iterable[str], done: set[str]) -> list[str]:
    """Return a node that waits for others in a circle, as a list; empty if no node is left."""
    return next(([key] for key in rest if key not in done), [])


def _chains(graph: Graph) -> Mapping[str, Hashable]:
    """Return the grouping of nodes of one name and state that follow each other, with nothing beside them."""
    before, after = _neighbours(graph)
    nodes = {node.key: node for node in graph.nodes}
    heads: dict[str, str] = {}
    layers = layers_of(graph)
    for key in sorted(nodes, key=layers.__getitem__):
        (single, *more) = before[key] or [""]
        alike = single in nodes and (nodes[single].name, nodes[single].state) == (nodes[key].name, nodes[key].state)
        is_next = not more and alike and len(after[single]) == 1 and single in heads
        heads[key] = heads[single] if is_next else key
    return heads


def _fans(graph: Graph) -> Mapping[str, Hashable]:
    """Return the grouping of nodes of one name and state in one layer."""
    layers = layers_of(graph)
    return {node.key: (layers[node.key], node.name, node.state) for node in graph.nodes}


def _neighbours(graph: Graph) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    before, after = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for source, target in dict.fromkeys((edge.source, edge.target) for edge in graph.edges):
        after[source].append(target)
        before[target].append(source)
    return before, after


def _merged(graph: Graph, groups: Mapping[str, Hashable]) -> Graph:
    """Return the graph with each group of `FOLDED_FROM` nodes or more as one, under the key of the first.

    Args:
        graph: The graph.
        groups: The group of each node, by its key.
    """
    members = defaultdict[Hashable, list[Node]](list)
    for node in graph.nodes:
        members[groups[node.key]].append(node)
    nodes: list[Node] = []
    keys: dict[str, str] = {}
    for group in members.values():
        together = [_one(group)] if len(group) >= FOLDED_FROM else group
        nodes += together
        keys |= {node.key: together[0].key if len(group) >= FOLDED_FROM else node.key for node in group}
    return replace(graph, nodes=tuple(nodes), edges=_joined(graph.edges, keys))


def _one(group: list[Node]) -> Node:
    notes = dict.fromkeys(node.note for node in group if node.note)
    return replace(
        group[0],
        count=sum(node.count for node in group),
        seconds=_total(node.seconds for node in group),
        # Of some of them it would be less than the seconds of all for no other reason.
        before=None if any(node.before is None for node in group) else _total(node.before for node in group),
        size=_total(node.size for node in group),
        note=", ".join(notes),
    )


def _joined(edges: Iterable[Edge], keys: Mapping[str, str]) -> tuple[Edge, ...]:
    sizes: dict[tuple[str, str], list[int | None]] = {}
    for edge in edges:
        ends = keys.get(edge.source, edge.source), keys.get(edge.target, edge.target)
        if ends[0] != ends[1]:
            sizes.setdefault(ends, []).append(edge.size)
    return tuple(Edge(source=ends[0], target=ends[1], size=_total(found)) for ends, found in sizes.items())


def _total(numbers: Iterable[float | int | None]) -> Any:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
