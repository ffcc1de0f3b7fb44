"""Elements of HTML and SVG from texts that strangers may have chosen.

Every text is cut to a length, and characters that cannot be seen, or that change the order of others, are shown as
escapes; then the characters that mean something in HTML and XML are. So no text becomes a tag, moves what stands beside
it, or breaks an XML parser. There are no classes, scripts and identifiers: a page that takes such an element in keeps
its own.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

SHORT: Final = 200
"""Characters of a name, a fact or a cell that are shown."""
LONG: Final = 4000
"""Characters of a text that are shown."""
_BORDER: Final = "1px solid rgba(128,128,128,.35)"
"""Grey that is half transparent shows on a light and on a dark page."""


def visible(text: str, limit: int = SHORT, *, keep: str = "") -> str:
    """Return a text of at most `limit` characters, its invisible ones as escapes as Python writes them.

    Args:
        text: Any text; a longer one is cut before anything else is done with it.
        limit: Characters of `text`.
        keep: Unprintable characters that stay as they are, such as a line end.
    """
    cut = text[:limit]
    if not cut.isprintable():
        cut = "".join(each if each.isprintable() or each in keep else _escaped(each) for each in cut)
    return cut if len(text) <= limit else f"{cut}…"


def escaped(text: str, limit: int = SHORT, *, keep: str = "") -> str:
    """Return a text as `visible` does, for the content and for quoted attributes of HTML and XML."""
    return html.escape(visible(text, limit, keep=keep), quote=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of texts, which may be any; the markup of its cells is left to `table_of_cells`."""
    return table_of_cells(map(escaped, head), (map(escaped, row) for row in rows))


def table_of_cells(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of cells that are HTML already."""
    body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    titles = _cells("th", head)
    first = f"<thead><tr>{titles}</tr></thead>" if titles else ""
    return f'<div style="overflow-x:auto"><table>{first}<tbody>{body}</tbody></table></div>'


def facts(found: dict[str, str]) -> str:
    """Return a line of facts, each with its name, all of which may be any text."""
    items = (f'<span style="opacity:.7">{escaped(name)}</span>&#160;{escaped(value)}' for name, value in found.items())
    return f"<div>{' &#160; '.join(items)}</div>" if found else ""


def note(text: str) -> str:
    """Return a line in faint letters."""
    return f'<div style="opacity:.7">{escaped(text, 1000)}</div>'


def heading(name: str, rest: str = "") -> str:
    """Return the first line of a box: a name, and what follows it."""
    return f"<div><strong>{escaped(name)}</strong> {escaped(rest)}</div>"


def lines(found: Iterable[str]) -> str:
    """Return lines of text as they are, in letters of one width."""
    shown = "\n".join(escaped(line, SHORT, keep="\t") for line in found)
    return f'<pre style="overflow-x:auto;margin:4px 0">{shown}</pre>'


def image(png: bytes, name: str) -> str:
    """Return a picture that the page carries itself.

    Args:
        png: A PNG file that this process made.
        name: What a reader hears who does not see it.
    """
    import base64  # noqa: PLC0415  # of use to pictures only

    data = base64.b64encode(png).decode()
    return f'<img alt="{escaped(name)}" style="max-width:100%" src="data:image/png;base64,{data}"/>'


def box(*parts: str) -> str:
    """Return a frame around elements."""
    style = f"border:{_BORDER};border-radius:4px;padding:6px 10px;display:inline-block;max-width:100%"
    return f'<div style="{style}">{"".join(parts)}</div>'


def columns_of(text: str) -> float:
    """Return the width of a text in letters, of which those of East Asian scripts are nearly twice as wide."""
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
    return len(text) + 0.8 * wide


def cut_to(text: str, columns: float, *, tail: bool = True) -> str:
    """Return a text that is no wider than so many letters: of a longer one the beginning and, with `tail`, the end."""
    if columns_of(text) <= columns:
        return text
    if not tail:
        return f"{_taken(text, columns - 1)}…"
    # The end too, since names that programs make differ there.
    head = _taken(text, (columns - 1) * 0.6)
    return f"{head}…{_taken(text[::-1], columns - 1 - columns_of(head))[::-1]}"


def _cells(tag: str, cells: Iterable[str]) -> str:
    return "".join(f'<{tag} style="text-align:left">{cell}</{tag}>' for cell in cells)


def _taken(text: str, columns: float) -> str:
    used = 0.0
    for number, each in enumerate(text):
        used += columns_of(each)
        if used > columns:
            return text[:number]
    return text


def _escaped(each: str) -> str:
    return each.encode("unicode_escape").decode()
