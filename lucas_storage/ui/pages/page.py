"""One page: the frame that all share, around what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lucas_storage.ui.elements import Html, element, joined, link
from lucas_storage.ui.links import Links
from lucas_storage.ui.words.vocabulary import Words

_MENU: Final = ("", "buckets", "runs", "names", "garbage", "access")
"""Pages to which every page leads."""


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom a page is made: the words, and the addresses of the other pages."""

    words: Words
    links: Links


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page without its frame."""

    title: str
    """Any text."""
    body: Html
    menu: str | None = None
    """The entry of the menu to which it belongs."""
    live: bool = False
    """Whether it is read again every few seconds, since what it shows changes."""
    status: int = 200
    """Of HTTP."""


def framed(page: Page, reader: Reader) -> str:
    """Return a page as a whole document."""
    words, links = reader.words, reader.links
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{page.title} \u00b7 lucas-storage"),
        element("link", rel="stylesheet", href=links.to("style.css")),
        element("link", rel="icon", href="data:,"),
        element("script", src=links.to("live.js"), defer=True),
    )
    body = element(
        "body",
        link("#main", words("frame.skip"), class_="skip"),
        element("header", _menu(page, reader), _status(words)),
        element(
            "main",
            element("h1", page.title),
            page.body,
            id="main",
            tabindex=-1,
            data_live=page.live,
        ),
    )
    return f"<!doctype html>{element('html', head, body, lang=words.language)}"


def _menu(page: Page, reader: Reader) -> Html:
    entries = (
        element(
            "li",
            link(
                reader.links.to(name),
                reader.words(f"menu.{name or 'overview'}"),
                aria_current="page" if name == page.menu else None,
            ),
        )
        for name in _MENU
    )
    return element("nav", element("ul", *entries), aria_label=reader.words("frame.menu"))


def _status(words: Words) -> Html:
    """Return the place where the page says that it is read again, and that it cannot be, and the way to stop it."""
    pause = element("button", words("frame.pause"), id="pause", type="button", aria_pressed="false", hidden=True)
    told = element("span", "", id="status", role="status", data_gone=words("frame.gone"))
    return element("div", joined(told, pause), class_="status")
