"""Places for the nodes and edges of a graph: layer below layer, with few crossings.

The method of Sugiyama, Tagawa and Toda (1981): a node below all that it depends on, long edges as chains of points, the
order within a layer by the mean of the neighbours' places, in a few sweeps. Pure, and a stranger's graph takes bounded
time and space.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from .graph import Graph, Node, layers_of

WIDTH: Final = 196
HEIGHT: Final = 46
_ACROSS: Final = 22
"""Between two boxes side by side."""
_DOWN: Final = 40
"""Between a layer and the next."""
_POINT: Final = 10
"""Width that an edge takes in a layer that it passes."""
_MARGIN: Final = 8
_IN_A_ROW: Final = 5
"""Boxes side by side; five are as wide as a page."""
_SWEEPS: Final = 4
_POINTS_MAX: Final = 3000
"""Points of long edges; of what is beyond it, edges are drawn straight."""
NODES_MAX: Final = 1000
"""Nodes that are drawn."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Places in pixels."""

    width: float
    height: float
    boxes: dict[str, tuple[float, float]]
    """The upper left corner of each node, by key."""
    lines: tuple[tuple[int, tuple[tuple[float, float], ...]], ...]
    """Of each edge that is drawn, its number in the graph, and its points from the lower edge of a box to the upper of
    another."""


@dataclass(slots=True)
class _Item:
    """A node, or a point at which a long edge passes a layer."""

    layer: int
    width: float
    x: float = 0.0
    """Of its centre."""


def layout_of(graph: Graph) -> Layout:
    """Return the layout of a graph, or of its first `NODES_MAX` nodes."""
    drawn = Graph(name=graph.name, nodes=graph.nodes[:NODES_MAX], edges=graph.edges)
    return _Placing(drawn).layout()


class _Placing:
    """The items of a graph on their way to their places."""

    def __init__(self, graph: Graph) -> None:
        self._layers = _rows(graph)
        self._items = {node.key: _Item(self._layers[node.key], WIDTH) for node in graph.nodes}
        self._chains: dict[int, list[str]] = {}
        self._up, self._down = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
        self._add_edges(graph)
        self._ordered = self._initial()

    def layout(self) -> Layout:
        for _ in range(_SWEEPS):
            for row in self._ordered[1:]:
                self._sort(row, self._up)
            for row in self._ordered[-2::-1]:
                self._sort(row, self._down)
        for _ in range(_SWEEPS):
            for row in self._ordered:
                self._pull(row, self._up)
            for row in reversed(self._ordered):
                self._pull(row, self._down)
        return self._finished()

    def _add_edges(self, graph: Graph) -> None:
        points = 0
        for number, edge in enumerate(graph.edges):
            if not (edge.source in self._layers and edge.target in self._layers):
                continue
            first, last = self._layers[edge.source], self._layers[edge.target]
            # None of a circle, which a record of a stranger may have.
            if first >= last:
                continue
            between = range(first + 1, last) if points + last - first <= _POINTS_MAX else ()
            points += len(between)
            chain = [edge.source, *(f"\0{number}:{layer}" for layer in between), edge.target]
            self._items |= {key: _Item(layer, _POINT) for key, layer in zip(chain[1:-1], between, strict=True)}
            self._chains[number] = chain
            for upper, lower in pairwise(chain):
                self._down[upper].append(lower)
                self._up[lower].append(upper)

    def _initial(self) -> list[list[str]]:
        rows = defaultdict[int, list[str]](list)
        for key, item in self._items.items():
            rows[item.layer].append(key)
        ordered = [rows[layer] for layer in range(max(rows, default=-1) + 1)]
        for row in ordered:
            self._spread(row, [0.0] * len(row))
        return ordered

    def _sort(self, row: list[str], neighbours: dict[str, list[str]]) -> None:
        wished = {key: self._wished(key, neighbours) for key in row}
        row.sort(key=wished.__getitem__)
        self._spread(row, [wished[key] for key in row])

    def _pull(self, row: list[str], neighbours: dict[str, list[str]]) -> None:
        self._spread(row, [self._wished(key, neighbours) for key in row])

    def _wished(self, key: str, neighbours: dict[str, list[str]]) -> float:
        near = neighbours.get(key)
        return sum(self._items[each].x for each in near) / len(near) if near else self._items[key].x

    def _spread(self, row: list[str], wished: list[float]) -> None:
        """Place a row in its order, each item as near to its wish as the others allow."""
        # Items that would overlap become a block, at the mean of their wishes; blocks that then overlap, one block.
        blocks: list[tuple[float, float, list[str]]] = []
        for key, wish in zip(row, wished, strict=True):
            width = self._items[key].width + _ACROSS
            block = (wish, width, [key])
            while blocks and blocks[-1][0] + blocks[-1][1] / 2 > block[0] - block[1] / 2:
                block = _together(blocks.pop(), block)
            blocks.append(block)
        for centre, width, keys in blocks:
            left = centre - width / 2
            for key in keys:
                item = self._items[key]
                item.x = left + (item.width + _ACROSS) / 2
                left += item.width + _ACROSS

    def _finished(self) -> Layout:
        lefts = [item.x - item.width / 2 for item in self._items.values()]
        rights = [item.x + item.width / 2 for item in self._items.values()]
        shift = _MARGIN - min(lefts, default=0.0)
        for item in self._items.values():
            item.x += shift
        boxes = {key: (self._items[key].x - WIDTH / 2, _top(self._items[key].layer)) for key in self._layers}
        bottom = _top(len(self._ordered) - 1) + HEIGHT if self._ordered else 0.0
        width = max(rights, default=0.0) + shift + _MARGIN
        return Layout(width, bottom + _MARGIN, boxes, tuple((n, self._line(c)) for n, c in self._chains.items()))

    def _line(self, chain: list[str]) -> tuple[tuple[float, float], ...]:
        first, *between, last = (self._items[key] for key in chain)
        points = [(first.x, _top(first.layer) + HEIGHT)]
        for item in between:
            # Straight down through a layer that it passes, and between its boxes.
            points += [(item.x, _top(item.layer)), (item.x, _top(item.layer) + HEIGHT)]
        return (*points, (last.x, _top(last.layer)))


def _rows(graph: Graph) -> dict[str, int]:
    """Return the row of each node: layers with many boxes take several."""
    layers = layers_of(graph)
    members = defaultdict[int, list[Node]](list)
    for node in graph.nodes:
        members[layers[node.key]].append(node)
    rows, first = {}, 0
    for layer in sorted(members):
        for number, node in enumerate(members[layer]):
            rows[node.key] = first + number // _IN_A_ROW
        first += -(-len(members[layer]) // _IN_A_ROW)
    return rows


def _together(
    left: tuple[float, float, list[str]], right: tuple[float, float, list[str]]
) -> tuple[float, float, list[str]]:
    weights = len(left[2]), len(right[2])
    # Side by side, each is half the other's width off the common centre.
    centre_left = left[0] + right[1] / 2
    centre_right = right[0] - left[1] / 2
    centre = (centre_left * weights[0] + centre_right * weights[1]) / sum(weights)
    return centre, left[1] + right[1], left[2] + right[2]


def _top(row: int) -> float:
    return _MARGIN + row * (HEIGHT + _DOWN)
