"""A graph as text of Mermaid, which GitHub, GitLab and many editors draw.

Pure. Every character of a name that Mermaid or HTML could take for its own is written as an entity.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lucas_storage.display.markup import visible

from . import node_text
from .graph import Graph, Node, layers_of

_STYLES: Final = {
    "succeeded": "fill:#edf7ee,stroke:#2f7d3b,color:#1c1c1c",
    "reused": "fill:#e8f0fc,stroke:#2c62b5,color:#1c1c1c",
    "failed": "fill:#fdeaea,stroke:#b3261e,color:#1c1c1c",
    "running": "fill:#fff4dc,stroke:#9a6700,color:#1c1c1c",
    "lost": "fill:#efe9f7,stroke:#6a4a9c,color:#1c1c1c",
    "data": "fill:#f2f2f2,stroke:#6b6b6b,color:#1c1c1c",
}

_PLAIN: Final = " _.,:-\u00d7\u00b7\u2026"
"""Characters beside letters and digits that mean nothing in a label."""


def mermaid(graph: Graph) -> str:
    """Return a graph as the text of a Mermaid flowchart, with a line end behind its last line.

    Args:
        graph: Names and notes may be any text. A circle is written without the edge that closes it.
    """
    return "".join(f"{line}\n" for line in _lines(graph))


def _lines(graph: Graph) -> Iterator[str]:
    layers = layers_of(graph)
    names = {node.key: f"n{number}" for number, node in enumerate(graph.nodes)}
    yield "flowchart TD"
    for node in graph.nodes:
        opening, closing = ('(["', '"])') if node.state == "data" else ('["', '"]')
        yield f"    {names[node.key]}{opening}{_label(node)}{closing}:::{node.state}"
    for edge in graph.edges:
        if edge.source in names and edge.target in names and layers[edge.source] < layers[edge.target]:
            yield f"    {names[edge.source]} --> {names[edge.target]}"
    for state in dict.fromkeys(node.state for node in graph.nodes):
        yield f"    classDef {state} {_STYLES[state]}"


def _label(node: Node) -> str:
    facts = node_text.facts(node)
    return _quoted(node_text.title(node)) + (f"<br/>{_quoted(facts)}" if facts else "")


def _quoted(text: str) -> str:
    # By number: an entity with a name has letters that Mermaid takes for words of its own, such as `end`.
    return "".join(each if each.isalnum() or each in _PLAIN else f"#{ord(each)};" for each in visible(text))
