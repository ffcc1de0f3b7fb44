"""Graphs on pages: the drawing that notebooks show, with links and the words of the reader."""

from __future__ import annotations

from collections.abc import Mapping

from lucas_storage.lineage.graph import Graph
from lucas_storage.lineage.graph_svg import svg
from lucas_storage.ui.elements import Html, element

from .page import Reader
from .shown import STATES


def drawing(graph: Graph, links: Mapping[str, str], label: str, reader: Reader) -> Html:
    """Return a graph in a frame that scrolls, also from the keyboard.

    Args:
        graph: The graph, folded or not.
        links: Addresses by the keys of nodes.
        label: What it shows, for readers who do not see it.
        reader: For whom.
    """
    words = {**reader.words.chosen("state", *STATES), "steps": reader.words("steps")}
    drawn = Html(svg(graph, links=links, words=words))
    return element("div", drawn, class_="graph", tabindex=0, role="group", aria_label=label)
