"""A preview as HTML: for a notebook and for a page. Pure; whatever strangers wrote is shown as text.

No scripts, classes or identifiers, and nothing is fetched.
"""

from __future__ import annotations

from typing import Final

from actorc.storage.units import shown_size
from lucas_storage.display import markup
from lucas_storage.preview_data import Column, Histogram, Preview, TreeNode

from . import statistics_text

_COLUMNS: Final = 12
"""Columns of a table that are shown."""
_BAR: Final = 4
"""Pixels of the width of a bar of a histogram."""
_HEIGHT: Final = 18
"""Pixels of the highest one."""
_TREE: Final = 360
"""Pixels of JSON data that are shown at a time."""
_OPEN: Final = 2
"""Levels of JSON data that are open."""


def content(found: Preview) -> str:
    """Return the elements that show a preview, without a box around them."""
    facts = {name: value for name, value in found.facts.items() if not name.startswith("column ")}
    more = "" if found.complete or not (found.lines or found.table) else markup.note("…")
    error = markup.note(f"not shown: {found.error}") if found.error and found.error not in facts.values() else ""
    return markup.facts(facts) + _numbers(found) + _body(found) + more + error


def _body(found: Preview) -> str:
    if found.kind == "array":
        picture = "" if found.image is None else markup.image(found.image, "the array as a picture")
        return picture + (markup.lines(found.lines) if found.lines else "")
    if found.image is not None:
        return markup.image(found.image, found.facts.get("image", "image"))
    if found.table:
        return _table(found)
    if found.tree is not None and found.tree.kind in ("object", "array"):
        style = f"font-family:monospace;max-height:{_TREE}px;overflow:auto"
        return f'<div style="{style}">{_node(found.tree, 0)}</div>'
    if found.entries:
        rows = [(e.name, "" if e.size is None else shown_size(e.size), e.note) for e in found.entries]
        return markup.table(("name", "size", ""), rows)
    return markup.lines(found.lines) if found.lines else ""


def _table(found: Preview) -> str:
    names, *rows = (row[:_COLUMNS] for row in found.table)
    about = {column.name: column for column in found.columns}
    head = [_head(name, about.get(name), found.sample) for name in names]
    left_out = found.width - len(names)
    note = markup.note(f"and {left_out} columns more") if left_out > 0 else ""
    return markup.table_of_cells(head, (map(markup.escaped, row) for row in rows)) + note


def _head(name: str, column: Column | None, sample: str) -> str:
    if column is None:
        return markup.escaped(name)
    told = "; ".join(statistics_text.of_column(column, sample))
    bars = "" if column.histogram is None else f"<br/>{bars_of(column.histogram)}"
    title = f'<span title="{markup.escaped(told, 1000)}">{markup.escaped(name)}</span>'
    return f"{title}<br/>{_faint(column.type)}{bars}"


def _numbers(found: Preview) -> str:
    if found.numbers is None:
        return ""
    bars = "" if found.numbers.histogram is None else bars_of(found.numbers.histogram)
    return markup.facts(statistics_text.of_numbers(found.numbers, found.sample)) + f"<div>{bars}</div>"


def bars_of(histogram: Histogram) -> str:
    """Return a histogram as an SVG drawing, in the colour of the text around it."""
    most = max(histogram.counts, default=0) or 1
    told = markup.escaped(f"histogram from {histogram.low:.6g} to {histogram.high:.6g}")
    bars = "".join(_bar(at, count / most) for at, count in enumerate(histogram.counts) if count)
    size = f'width="{_BAR * len(histogram.counts)}" height="{_HEIGHT}"'
    svg = 'xmlns="http://www.w3.org/2000/svg" role="img"'
    return f'<svg {svg} {size} aria-label="{told}"><title>{told}</title><g fill="currentColor">{bars}</g></svg>'


def _bar(at: int, share: float) -> str:
    height = max(1, round(_HEIGHT * share))
    return f'<rect x="{_BAR * at}" y="{_HEIGHT - height}" width="{_BAR - 1}" height="{height}"/>'


def _node(node: TreeNode, depth: int) -> str:
    name = f"{markup.escaped(node.name)}: " if node.name else ""
    if node.kind not in ("object", "array"):
        return f"<div>{name}{markup.escaped(node.text)}</div>"
    marks = "{}" if node.kind == "object" else "[]"
    count = f"{name}{marks[0]}{node.size}{marks[1]}"
    if not node.children:
        return f"<div>{count}</div>"
    rest = markup.note(f"and {node.size - len(node.children)} more") if node.size > len(node.children) else ""
    inner = "".join(_node(child, depth + 1) for child in node.children) + rest
    state = ' open="open"' if depth < _OPEN else ""
    return f'<details{state}><summary>{count}</summary><div style="margin-left:1.5em">{inner}</div></details>'


def _faint(text: str) -> str:
    return f'<span style="opacity:.7;font-weight:normal">{markup.escaped(text)}</span>'
