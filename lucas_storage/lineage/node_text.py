"""The words of a node: seconds, bytes and state, the same in every form of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from actorc.storage.units import shown_size

from .graph import Graph, Node, State

_STATES: Final[tuple[State, ...]] = ("succeeded", "reused", "failed", "running", "lost")
ENGLISH: Final[Mapping[str, str]] = {**{state: state for state in _STATES}, "steps": "steps"}
"""The words of a drawing: one for each state of a step, and one for steps."""
_SEEN: Final = 0.005
"""Seconds of which the shortest is not shown as nothing."""


def facts(node: Node, words: Mapping[str, str] = ENGLISH) -> str:
    """Return the second line of a node; its state is in words, for readers who do not tell the colours apart."""
    state = "" if node.state in ("succeeded", "data") else words[node.state]
    return " · ".join(part for part in (state, node.note, *_numbers(node)) if part)


def title(node: Node) -> str:
    """Return the name of a node with the number of those it stands for."""
    return f"{node.name} \u00d7 {node.count}" if node.count > 1 else node.name


def summary(graph: Graph, words: Mapping[str, str] = ENGLISH) -> str:
    """Return a sentence about a graph, for readers who do not see it."""
    steps = [node for node in graph.nodes if node.state != "data"]
    counts = {state: sum(node.count for node in steps if node.state == state) for state in _STATES}
    told = ", ".join(f"{count} {words[state]}" for state, count in counts.items() if count)
    return f"{sum(counts.values())} {words['steps']}{f' ({told})' if told else ''}"


def shown_seconds(seconds: float) -> str:
    """Return a length of time in few characters."""
    if seconds < 60:
        return f"{seconds:.2f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)}m {int(seconds % 60):02}s"
    return f"{int(seconds // 3600)}h {int(seconds % 3600 // 60):02}m"


def _numbers(node: Node) -> list[str]:
    seconds = [] if node.seconds is None else [shown_seconds(node.seconds) + _change(node.seconds, node.before)]
    return seconds + ([] if node.size is None else [shown_size(node.size)])


def _change(seconds: float, before: float | None) -> str:
    """Return by how much a node took longer than before; nothing if that is not seen in what is shown."""
    if before is None or abs(seconds - before) < _SEEN:
        return ""
    sign = "+" if seconds > before else "\u2212"
    return f" ({sign}{shown_seconds(abs(seconds - before))})"
