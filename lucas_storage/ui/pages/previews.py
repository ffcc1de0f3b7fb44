"""Previews on pages: data that was read, never a file that the browser opens.

`lucas_storage.previews.preview_html` shows the same in a notebook, with the style in each element, which the policy of
the pages does not allow.
"""

from __future__ import annotations

from typing import Final

from actorc.storage.units import shown_size
from lucas_storage.preview_data import Column, Preview, TreeNode
from lucas_storage.previews import statistics_text
from lucas_storage.previews.preview_html import bars_of
from lucas_storage.ui.elements import Html, element, facts, joined, lines, note, picture, table

from .page import Reader

_COLUMNS: Final = 30
"""Columns of a table that are shown."""
_OPEN: Final = 2
"""Levels of JSON data that are open."""


def preview_of(found: Preview, reader: Reader) -> Html:
    """Return the beginning of an artifact; a picture is one that this process made."""
    told = {name: value for name, value in found.facts.items() if not name.startswith("column ")}
    has_more = not found.complete and bool(found.lines or found.table)
    reason = found.error if found.error not in told.values() else ""
    return joined(
        facts(told),
        _numbers(found),
        _body(found, reader),
        note(reader.words("preview.more")) if has_more else None,
        unread(reason, reader) if reason else None,
    )


def unread(reason: str, reader: Reader) -> Html:
    """Return a line in place of a preview, with the reason."""
    return note(reader.words("preview.unread", reason=reason))


def _numbers(found: Preview) -> Html | None:
    if found.numbers is None:
        return None
    bars = None if found.numbers.histogram is None else Html(bars_of(found.numbers.histogram))
    return joined(facts(statistics_text.of_numbers(found.numbers, found.sample)), bars)


def _body(found: Preview, reader: Reader) -> Html | None:
    label = reader.words("preview.title")
    shown = lines("\n".join(found.lines), label) if found.lines else None
    if found.image is not None:
        drawn = picture(found.image, found.facts.get("image", reader.words("preview.image")))
        return joined(drawn, shown) if found.kind == "array" else drawn
    if found.table:
        return _table(found, reader)
    if found.tree is not None and found.tree.kind in ("object", "array"):
        return element("div", _node(found.tree, 0, reader), class_="json")
    if found.entries:
        head = [reader.words(f"preview.{name}") for name in ("entry", "size", "note")]
        rows = [(each.name, "" if each.size is None else shown_size(each.size), each.note) for each in found.entries]
        return table(label, head, rows)
    return shown


def _table(found: Preview, reader: Reader) -> Html:
    names, *rows = (row[:_COLUMNS] for row in found.table)
    about = {column.name: column for column in found.columns}
    head = [_head(name, about.get(name)) for name in names]
    left_out = found.width - len(names)
    more = note(reader.words("preview.columns", count=left_out)) if left_out > 0 else None
    return joined(table(reader.words("preview.title"), head, rows), more, _statistics(found, reader))


def _head(name: str, column: Column | None) -> Html:
    if column is None:
        return joined(name)
    return joined(name, element("br"), element("span", column.type, class_="faint"))


def _statistics(found: Preview, reader: Reader) -> Html | None:
    """Return what is known of the columns, one in a line."""
    known = [(each, list(statistics_text.of_column(each, found.sample))) for each in found.columns[:_COLUMNS]]
    rows = [
        (each.name, "; ".join(told), Html(bars_of(each.histogram)) if each.histogram else "")
        for each, told in known
        if told
    ]
    if not rows:
        return None
    title = reader.words("preview.statistics")
    head = [reader.words(f"preview.{name}") for name in ("column", "values", "histogram")]
    return element("details", element("summary", title), table(title, head, rows))


def _node(node: TreeNode, depth: int, reader: Reader) -> Html:
    name = f"{node.name}: " if node.name else None
    if node.kind not in ("object", "array"):
        return element("div", name, node.text)
    opening, closing = "{}" if node.kind == "object" else "[]"
    count = joined(name, f"{opening}{node.size}{closing}")
    if not node.children:
        return element("div", count)
    left_out = node.size - len(node.children)
    inner = [_node(child, depth + 1, reader) for child in node.children]
    more = [note(reader.words("more", count=left_out))] if left_out > 0 else []
    return element(
        "details", element("summary", count), element("div", *inner, *more, class_="inner"), open=depth < _OPEN
    )
