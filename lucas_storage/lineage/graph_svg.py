"""A graph as an SVG drawing that stands alone: in a page, in a notebook, in a file.

Pure. Boxes bring their own background, lines are grey, so it can be read on a light and on a dark page. Every box has a
title, which screen readers speak and pointers show, and may lead to an address. Nothing in it has an identifier or a
class, and nothing is fetched: several drawings may stand in one page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from actorc.storage.units import shown_size
from lucas_storage.display.markup import cut_to, escaped, visible

from . import node_text
from .graph import Edge, Graph, Node
from .layout import HEIGHT, WIDTH, Layout, layout_of

_COLOURS: Final = {
    "succeeded": ("#edf7ee", "#2f7d3b"),
    "reused": ("#e8f0fc", "#2c62b5"),
    "failed": ("#fdeaea", "#b3261e"),
    "running": ("#fff4dc", "#9a6700"),
    "lost": ("#efe9f7", "#6a4a9c"),
    "data": ("#f2f2f2", "#6b6b6b"),
}
"""Background and border of a box. Text on each of the backgrounds has a contrast beyond 7:1."""
_TEXT: Final = "#1c1c1c"
_FAINT: Final = "#454545"
_LINE: Final = "#808080"
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'Noto Sans CJK SC', sans-serif"
_NAME_COLUMNS: Final = 23
"""Letters of a name that fit into a box, at 13 pixels."""
_FACT_COLUMNS: Final = 32
"""The same of facts, at 11 pixels."""
_LABELS_MAX: Final = 150
"""Edges of a drawing up to which their bytes stand beside them; of more, labels would hide the lines."""


def svg(graph: Graph, *, links: Mapping[str, str] | None = None, words: Mapping[str, str] = node_text.ENGLISH) -> str:
    """Return a drawing of a graph: a box for each node, with its name, state, seconds and bytes, and lines between.

    The bytes of an edge stand beside it, and are its title.

    Args:
        graph: Names and notes may be any text. A circle is drawn without the edge that closes it. Of more than a
            thousand nodes the first are drawn, and the number of the others is told; `Graph.folded` leaves few.
        links: Addresses to which boxes lead, by the keys of their nodes.
        words: Those of `node_text.ENGLISH` in the language of the reader.
    """
    layout = layout_of(graph)
    drawn = [node for node in graph.nodes if node.key in layout.boxes]
    ends = _Ends(graph) if len(layout.lines) <= _LABELS_MAX else None
    lines = "".join(_line(graph.edges[number], points, ends) for number, points in layout.lines)
    boxes = "".join(_linked(node, _box(node, *layout.boxes[node.key], words), links or {}, words) for node in drawn)
    left_out = len(graph.nodes) - len(drawn)
    label = f"{graph.name}, {node_text.summary(graph, words)}{f', {left_out} not drawn' if left_out else ''}"
    # Of an image, readers who do not see it would be told the label and none of the links.
    role = "group" if links else "img"
    return f'{_head(layout, escaped(label), role)}<g fill="none" stroke="{_LINE}">{lines}</g>{boxes}</svg>'


class _Ends:
    """How many edges begin and end at each node, which decides where the label of an edge has room."""

    def __init__(self, graph: Graph) -> None:
        self._leaving = Counter(edge.source for edge in graph.edges)
        self._entering = Counter(edge.target for edge in graph.edges)

    def place(self, edge: Edge) -> float:
        """Return the part of the way from the source at which edges that share an end are apart."""
        fans_out, fans_in = self._leaving[edge.source] > 1, self._entering[edge.target] > 1
        return 0.5 if fans_out == fans_in else 0.68 if fans_out else 0.28


def _head(layout: Layout, label: str, role: str) -> str:
    width, height = _number(layout.width), _number(layout.height)
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="{role}" aria-label="{label}"><title>{label}</title>'


def _line(edge: Edge, points: tuple[tuple[float, float], ...], ends: _Ends | None) -> str:
    """Return a curve, vertical at each of its points, that ends in an arrow head; with its bytes, if there is room."""
    x, y = points[0]
    path = [f"M{_number(x)} {_number(y)}"]
    for before, (x, y) in pairwise(points):
        middle = _number((before[1] + y) / 2)
        path.append(f"C{_number(before[0])} {middle} {_number(x)} {middle} {_number(x)} {_number(y)}")
    head = f'<path fill="{_LINE}" stroke="none" d="M{_number(x)} {_number(y)}l-4 -7h8z"/>'
    title = "" if edge.size is None else f"<title>{escaped(shown_size(edge.size))}</title>"
    label = "" if edge.size is None or ends is None else _label(edge, points, ends.place(edge))
    return f'<g><path stroke-width="1.3" d="{"".join(path)}"/>{head}{label}{title}</g>'


def _label(edge: Edge, points: tuple[tuple[float, float], ...], place: float) -> str:
    """Return the bytes of an edge on a background of their own, on the first or the last curve of its line."""
    first, last = points[:2] if place < 0.6 else points[-2:]
    x = first[0] + (last[0] - first[0]) * _bent(place)
    y = first[1] + (last[1] - first[1]) * place
    text = shown_size(edge.size or 0)
    width = 6 * len(text) + 6
    fill, _ = _COLOURS["data"]
    box = f'<rect x="{_number(x - width / 2)}" y="{_number(y - 7)}" width="{width}" height="13" rx="3" fill="{fill}"'
    at = f'x="{_number(x)}" y="{_number(y + 3)}" text-anchor="middle" stroke="none"'
    return (
        f'{box} stroke="none"/><text {at} font-family="{_FONT}" font-size="10" fill="{_FAINT}">{escaped(text)}</text>'
    )


def _bent(place: float) -> float:
    """Return the part of the way across at which a curve is that has gone a part of the way down.

    The curve is vertical at both ends; its points are those of Bézier's with the control points halfway down.
    """
    low, high = 0.0, 1.0
    for _ in range(12):
        at = (low + high) / 2
        down = 1.5 * at * (1 - at) ** 2 + 1.5 * at**2 * (1 - at) + at**3
        low, high = (at, high) if down < place else (low, at)
    return 3 * low**2 * (1 - low) + low**3


def _linked(node: Node, box: str, links: Mapping[str, str], words: Mapping[str, str]) -> str:
    if node.key not in links:
        return box
    return f'<a href="{escaped(links[node.key], 4000)}" aria-label="{_told(node, words)}">{box}</a>'


def _told(node: Node, words: Mapping[str, str]) -> str:
    facts = node_text.facts(node, words)
    return escaped(f"{node_text.title(node)}: {facts}" if facts else node_text.title(node), 400)


def _box(node: Node, x: float, y: float, words: Mapping[str, str]) -> str:
    fill, stroke = _COLOURS[node.state]
    facts = node_text.facts(node, words)
    radius = HEIGHT // 2 if node.state == "data" else 5
    behind = _rectangle(5, 5, radius, fill, stroke) if node.count > 1 else ""
    below = cut_to(visible(facts), _FACT_COLUMNS, tail=False)
    texts = _text(_name(node), 19 if facts else 28, 13, _TEXT) + _text(below, 36, 11, _FAINT)
    shape = _rectangle(0, 0, radius, fill, stroke)
    title = f"<title>{_told(node, words)}</title>"
    return f'<g transform="translate({_number(x)} {_number(y)})">{title}{behind}{shape}{texts}</g>'


def _name(node: Node) -> str:
    """Return the name as it fits into the box; the number of nodes is never cut."""
    more = node_text.title(node).removeprefix(node.name)
    return cut_to(visible(node.name), _NAME_COLUMNS - len(more)) + more


def _rectangle(x: int, y: int, radius: int, fill: str, stroke: str) -> str:
    size = f'x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="{radius}"'
    return f'<rect {size} fill="{fill}" stroke="{stroke}" stroke-width="1.3"/>'


def _text(text: str, y: int, size: int, colour: str) -> str:
    if not text:
        return ""
    place = f'x="{WIDTH // 2}" y="{y}" text-anchor="middle"'
    return f'<text {place} font-family="{_FONT}" font-size="{size}" fill="{colour}">{escaped(text)}</text>'


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
