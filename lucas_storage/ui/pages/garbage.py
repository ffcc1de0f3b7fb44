"""What a collection would remove, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from actorc.storage.units import shown_size
from lucas_storage.gc.collect import Amount, Collection
from lucas_storage.gc.plan import Fate, FateState
from lucas_storage.gc.policy import NO_POLICY
from lucas_storage.lineage.node_text import shown_seconds
from lucas_storage.ui.elements import Html, element, joined, link, note, section, table

from .page import Page, Reader
from .shown import when
from .why import keeper_words

STATES: Final[tuple[FateState, ...]] = ("due", "unmarked", "young", "kept")
"""Those that go first, first."""
_OBJECTS: Final = 200
"""Objects of one list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GarbageView:
    """What a collection that removes nothing found."""

    found: Collection
    grace: float
    """Seconds for which everything stays."""
    ttl: float
    """Seconds for which records count."""
    state: FateState
    """That of the objects that are listed."""


def garbage_page(view: GarbageView, reader: Reader) -> Page:
    """Return the page about the next collection."""
    words, found = reader.words, view.found
    rows = [_row(state, view, reader) for state in STATES]
    head = [words(f"garbage.{name}") for name in ("group", "objects", "bytes", "reason")]
    problems = element("ul", *(element("li", key) for key in found.problems[:100]))
    body = joined(
        note(words("garbage.about")),
        note(words("garbage.policy", policy=str(found.policy))) if found.policy != NO_POLICY else None,
        table(words("menu.garbage"), head, rows),
        note(words("garbage.expired", count=found.expired, ttl=_long(view.ttl))),
        *(
            note(
                words(f"garbage.expired_{kind}", count=len(records), bytes=shown_size(sum(one.size for one in records)))
            )
            for kind, records in found.plan.expired_by_kind().items()
        ),
        section(words("garbage.problems"), note(words("garbage.blocked")), problems) if found.problems else None,
        section(words(f"garbage.{view.state}"), *_objects(view, reader), id="objects"),
    )
    return Page(title=words("menu.garbage"), body=body, menu="garbage")


def _row(state: FateState, view: GarbageView, reader: Reader) -> tuple[str, ...]:
    found = view.found
    amounts = {"due": found.due, "unmarked": found.marked, "young": found.young, "kept": found.reached}
    address = reader.links.to("garbage", state=state) + "#objects"
    name = link(address, reader.words(f"garbage.{state}"), aria_current="true" if state == view.state else None)
    why = reader.words(f"garbage.why_{state}", grace=_long(view.grace), ttl=_long(view.ttl))
    return (name, *_amount(amounts[state]), why)


def _objects(view: GarbageView, reader: Reader) -> list[Html]:
    words, fates = reader.words, view.found.plan.having(view.state)
    if not fates:
        return [note(words("garbage.none"))]
    head = [words(f"garbage.{name}") for name in ("object", "bytes", "stored", "reason")]
    shown = table(words(f"garbage.{view.state}"), head, [_object(fate, view, reader) for fate in fates[:_OBJECTS]])
    more = [note(words("more", count=len(fates) - _OBJECTS))] if len(fates) > _OBJECTS else []
    return [shown, *more]


def _object(fate: Fate, view: GarbageView, reader: Reader) -> tuple[str, ...]:
    why = reader.words(f"garbage.why_{fate.state}", grace=_long(view.grace), ttl=_long(view.ttl))
    reason = keeper_words(fate.keeper, reader) if fate.keeper else joined(why)
    digest = fate.key.rpartition("/")[2]
    address = reader.links.to("artifact", key=fate.key)
    return link(address, f"{digest[:16]}…"), shown_size(fate.size), when(fate.stored_at), reason


def _amount(amount: Amount) -> tuple[str, str]:
    return f"{amount.objects:,}", shown_size(amount.size)


def _long(seconds: float) -> str:
    """Return a length of time that may be days."""
    return f"{seconds / 86400:g} d" if seconds >= 2 * 86400 else shown_seconds(seconds)
