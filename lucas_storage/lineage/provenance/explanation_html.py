"""Explanations as HTML: the graph of what led to an artifact, or what it led to, and the lines about it. Pure."""

from __future__ import annotations

from itertools import islice
from typing import Final

from lucas_storage.display import markup
from lucas_storage.lineage.graph import Graph
from lucas_storage.lineage.graph_svg import svg
from lucas_storage.refs import ArtifactRef

from .explanation import Consequences, Explanation
from .explanation_text import Branch, consequences_tree, explanation_tree, lines, shown_ref
from .trace_graph import graph_of_trace

_LINES: Final = 200
"""Lines that are shown."""
_HEIGHT: Final = 560
"""Pixels of a graph that are shown at a time."""


def of_explanation(found: Explanation) -> str:
    """Return a box with the origins of an artifact, its readers, and what keeps it."""
    return _box("why", found.ref, graph_of_trace(found.trace, found.ref, is_origin=False), explanation_tree(found))


def of_consequences(found: Consequences) -> str:
    """Return a box with what was made from an artifact."""
    return _box("uses of", found.ref, graph_of_trace(found.trace, found.ref, is_origin=True), consequences_tree(found))


def _box(title: str, ref: ArtifactRef, graph: Graph, tree: Branch) -> str:
    drawn = f'<div style="overflow:auto;max-height:{_HEIGHT}px;margin:6px 0">{svg(graph.folded())}</div>'
    told = list(islice(lines(tree), _LINES + 1))
    more = markup.note("and more lines") if len(told) > _LINES else ""
    return markup.box(
        markup.heading(title, shown_ref(ref)), drawn if graph.edges else "", markup.lines(told[:_LINES]), more
    )
