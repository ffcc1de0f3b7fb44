"""What a collection would remove, and why."""

from __future__ import annotations

from actorc.storage.units import shown_size
from lucas_storage.gc.collect import Amount, Collection
from lucas_storage.lineage.node_text import shown_seconds
from lucas_storage.ui.elements import element, joined, note, section, table

from .page import Page, Reader


def garbage_page(found: Collection, grace: float, ttl: float, reader: Reader) -> Page:
    """Return the page about the next collection.

    Args:
        found: What a collection that removes nothing found.
        grace: Seconds for which everything stays.
        ttl: Seconds for which records count.
        reader: For whom.
    """
    words = reader.words
    rows = [
        (words(f"garbage.{name}"), *_amount(amount), words(f"garbage.why_{name}", grace=_long(grace), ttl=_long(ttl)))
        for name, amount in (
            ("reached", found.reached),
            ("young", found.young),
            ("marked", found.marked),
            ("due", found.due),
        )
    ]
    head = [words(f"garbage.{name}") for name in ("group", "objects", "bytes", "reason")]
    problems = element("ul", *(element("li", key) for key in found.problems[:100]))
    body = joined(
        note(words("garbage.about")),
        table(words("menu.garbage"), head, rows),
        note(words("garbage.expired", count=found.expired, ttl=_long(ttl))),
        section(words("garbage.problems"), note(words("garbage.blocked")), problems) if found.problems else None,
    )
    return Page(title=words("menu.garbage"), body=body, menu="garbage")


def _amount(amount: Amount) -> tuple[str, str]:
    return f"{amount.objects:,}", shown_size(amount.size)


def _long(seconds: float) -> str:
    """Return a length of time that may be days."""
    return f"{seconds / 86400:g} d" if seconds >= 2 * 86400 else shown_seconds(seconds)
