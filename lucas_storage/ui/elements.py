"""Elements of HTML for pages with a style sheet: any text in them is made harmless, since elements alone are not text.

`lucas_storage.display.markup` makes elements that stand alone in a notebook, with their style; these have classes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from lucas_storage.display.markup import escaped

_PROSE: Final = 2000
"""Characters of a sentence that are shown, such as the text of an error; of a name there are fewer."""
_LINES: Final = 20_000
"""Characters of a text of many lines, such as a source, that are shown."""
_VOID: Final = frozenset({"br", "img", "input", "link", "meta"})
_URL_MAX: Final = 16_000
"""Characters of an attribute: addresses hold whole references."""

Attribute: TypeAlias = str | int | bool | None


class Html(str):
    """Text that is HTML already. Everything else is taken for text."""

    __slots__ = ()


def element(tag: str, *children: str | None, **attributes: Attribute) -> Html:
    """Return an element. An attribute is cut at some thousands of characters, so pictures are made by `picture`.

    Args:
        tag: Its name.
        children: Elements, or any texts; None is left out.
        attributes: By name, with underscores for hyphens, and one at the end where the name is a word of Python. True
            is an attribute without a value; False and None leave it out.
    """
    head = "".join(_attributes(attributes))
    return Html(f"<{tag}{head}>" if tag in _VOID else f"<{tag}{head}>{joined(*children)}</{tag}>")


def joined(*children: str | None) -> Html:
    """Return elements and texts one after the other."""
    return Html("".join(each if isinstance(each, Html) else escaped(each) for each in children if each is not None))


def picture(png: bytes, name: str) -> Html:
    """Return a picture that the page carries itself.

    Args:
        png: A PNG file that this process made.
        name: What a reader hears who does not see it.
    """
    data = base64.b64encode(png).decode()
    return Html(f'<img alt="{escaped(name)}" src="data:image/png;base64,{data}">')


def link(address: str, *children: str, **attributes: Attribute) -> Html:
    """Return a link to a page of this program."""
    return element("a", *children, href=address, **attributes)


def section(title: str, *children: str | None, **attributes: Attribute) -> Html:
    """Return a part of a page below a heading."""
    return element("section", element("h2", title), *children, **attributes)


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    """Return a table; the first cell of a row is its name.

    Args:
        caption: Heard by readers who do not see the table.
        head: The names of the columns.
        rows: Their cells.
    """
    titles = element("tr", *(element("th", each, scope="col") for each in head))
    body = Html("".join(_row(row) for row in rows))
    whole = element(
        "table",
        element("caption", caption, class_="unseen"),
        element("thead", titles),
        element("tbody", body),
    )
    # With a tab stop, since what scrolls must do so from the keyboard.
    return element("div", whole, class_="wide", tabindex=0, role="group", aria_label=caption)


def facts(found: Mapping[str, str | None]) -> Html:
    """Return names and values side by side; values that are None or empty are left out."""
    pairs = ((name, value) for name, value in found.items() if value)
    return element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in pairs))


def lines(text: str, label: str) -> Html:
    """Return a text of many lines as it is, in letters of one width.

    Args:
        text: Any text.
        label: What it is, for readers who do not see it.
    """
    shown = Html(escaped(text, _LINES, keep="\n\t"))
    return element("pre", shown, tabindex=0, role="group", aria_label=label)


def note(text: str) -> Html:
    """Return a paragraph in faint letters."""
    return element("p", prose(text), class_="faint")


def prose(text: str) -> Html:
    """Return a text of some sentences."""
    return Html(escaped(text, _PROSE))


def problem(*children: str | None) -> Html:
    """Return a paragraph about an error, which is told at once to readers who do not see it."""
    return element("p", *children, class_="problem", role="alert")


def badge(text: str, kind: str) -> Html:
    """Return a word on a coloured ground; the word says it, and the colour shows it.

    Args:
        text: The word.
        kind: Name of a colour of the style sheet.
    """
    return element("span", text, class_=f"badge {kind}")


def _row(cells: Sequence[str]) -> Html:
    first, *rest = cells
    return element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in rest))


def _attributes(attributes: Mapping[str, Attribute]) -> Iterator[str]:
    for name, value in attributes.items():
        written = name.rstrip("_").replace("_", "-")
        if value is True:
            yield f" {written}"
        elif value is not None and value is not False:
            yield f' {written}="{escaped(str(value), _URL_MAX)}"'
