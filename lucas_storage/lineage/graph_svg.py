"""A graph as an SVG drawing that stands alone: in a page, in a notebook, in a file.

Pure. Boxes bring their own background, lines are grey, so it can be read on a light and on a dark page. Every box has a
title, which screen readers speak and pointers show. Nothing in it has an identifier or a class, and nothing is fetched:
several drawings may stand in one page.
"""

from __future__ import annotations

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


def svg(graph: Graph) -> str:
    """Return a drawing of a graph: a box for each node, with its name, state, seconds and bytes, and lines between.

    Args:
        graph: Names and notes may be any text. A circle is drawn without the edge that closes it. Of more than a
            thousand nodes the first are drawn, and the number of the others is told; `Graph.folded` leaves few.
    """
    layout = layout_of(graph)
    drawn = [node for node in graph.nodes if node.key in layout.boxes]
    lines = "".join(_line(graph.edges[number], points) for number, points in layout.lines)
    boxes = "".join(_box(node, *layout.boxes[node.key]) for node in drawn)
    left_out = len(graph.nodes) - len(drawn)
    label = f"{graph.name}, {node_text.summary(graph)}{f', {left_out} not drawn' if left_out else ''}"
    return f'{_head(layout, escaped(label))}<g fill="none" stroke="{_LINE}">{lines}</g>{boxes}</svg>'


def _head(layout: Layout, label: str) -> str:
    width, height = _number(layout.width), _number(layout.height)
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}"><title>{label}</title>'


def _line(edge: Edge, points: tuple[tuple[float, float], ...]) -> str:
    """Return a curve, vertical at each of its points, that ends in an arrow head."""
    x, y = points[0]
    path = [f"M{_number(x)} {_number(y)}"]
    for before, (x, y) in pairwise(points):
        middle = _number((before[1] + y) / 2)
        path.append(f"C{_number(before[0])} {middle} {_number(x)} {middle} {_number(x)} {_number(y)}")
    head = f'<path fill="{_LINE}" stroke="none" d="M{_number(x)} {_number(y)}l-4 -7h8z"/>'
    title = "" if edge.size is None else f"<title>{escaped(shown_size(edge.size))}</title>"
    return f'<g><path stroke-width="1.3" d="{"".join(path)}"/>{head}{title}</g>'


def _box(node: Node, x: float, y: float) -> str:
    fill, stroke = _COLOURS[node.state]
    facts = node_text.facts(node)
    told = escaped(f"{node_text.title(node)}: {facts}" if facts else node_text.title(node), 400)
    radius = HEIGHT // 2 if node.state == "data" else 5
    behind = _rectangle(5, 5, radius, fill, stroke) if node.count > 1 else ""
    below = cut_to(visible(facts), _FACT_COLUMNS, tail=False)
    texts = _text(_name(node), 19 if facts else 28, 13, _TEXT) + _text(below, 36, 11, _FAINT)
    shape = _rectangle(0, 0, radius, fill, stroke)
    return f'<g transform="translate({_number(x)} {_number(y)})"><title>{told}</title>{behind}{shape}{texts}</g>'


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
