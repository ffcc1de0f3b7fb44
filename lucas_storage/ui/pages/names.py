"""Published names, with their aliases and versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lucas_storage.records.name_listing import NAMES_MAX, Publication, PublishedName
from lucas_storage.ui.elements import Html, element, joined, note, table

from .page import Page, Reader
from .shown import artifact_link, when


def names_page(found: Sequence[PublishedName], reader: Reader) -> Page:
    """Return the list of names."""
    words = reader.words
    names = ("name", "latest", "published", "aliases", "versions", "count")
    shown = table(
        words("menu.names"), [words(f"names.{name}") for name in names], (_row(each, reader) for each in found)
    )
    more = note(words("names.first", count=NAMES_MAX)) if len(found) == NAMES_MAX else None
    body = joined(shown, more) if found else note(words("names.none"))
    return Page(title=words("menu.names"), body=body, menu="names")


def _row(found: PublishedName, reader: Reader) -> tuple[str, ...]:
    latest = found.latest
    return (
        found.name,
        artifact_link(reader, latest.ref) if latest and latest.ref else "\u2013",
        when(latest.at) if latest else "\u2013",
        _named(found.aliases, reader),
        _named(found.versions, reader),
        str(found.count),
    )


def _named(found: Mapping[str, Publication], reader: Reader) -> Html:
    entries = (
        element("div", f"{name}: ", artifact_link(reader, each.ref) if each.ref else "\u2013")
        for name, each in list(found.items())[:20]
    )
    return joined(*entries)
