"""JSON data as a tree of bounded depth and width."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final, Literal, TypeAlias

from lucas_storage.preview_data import TreeNode, cut

_DEPTH: Final = 8
"""Levels below the top."""
_WIDTH: Final = 50
"""Values of one object or array."""
_NODES: Final = 1000
"""Values in all."""
_TEXT: Final = 200
"""Characters of a value or a name."""

_Kind: TypeAlias = Literal["object", "array", "text", "number", "boolean", "null"]
_KINDS: Final[dict[type, _Kind]] = {
    dict: "object",
    list: "array",
    str: "text",
    bool: "boolean",
    int: "number",
    float: "number",
}


def tree_of(value: Any) -> TreeNode:
    """Return the tree of data that `json.loads` made; what is deeper or wider than the bounds is counted only."""
    return _node("", value, 0, [_NODES])


def _node(name: str, value: Any, depth: int, left: list[int]) -> TreeNode:
    """Return a value with those in it.

    Args:
        name: Of the value.
        value: The data.
        depth: Levels above it.
        left: The number of values that may still be taken, counted down.
    """
    left[0] -= 1
    kind = _KINDS.get(type(value), "null")
    name = cut(name, _TEXT)
    if kind not in ("object", "array"):
        # Cut before it is written: a text of 10 MB would be copied for its first letters.
        shown = value[: _TEXT + 1] if kind == "text" else value
        return TreeNode(name=name, kind=kind, text=cut(json.dumps(shown, ensure_ascii=False), _TEXT))
    below: Iterable[tuple[str, Any]] = (
        value.items() if kind == "object" else ((str(at), e) for at, e in enumerate(value))
    )
    taken = islice(below, _WIDTH if depth < _DEPTH else 0)
    children = [_node(child, inner, depth + 1, left) for child, inner in taken if left[0] > 0]
    return TreeNode(name=name, kind=kind, size=len(value), children=tuple(children))
