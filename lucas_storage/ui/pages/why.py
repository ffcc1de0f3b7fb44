"""Where an artifact comes from, who read it, what keeps it, and what was made from it."""

from __future__ import annotations

from typing import Final

from lucas_storage.gc.keepers import Keeper
from lucas_storage.lineage.provenance.explanation import Consequences, Explanation, RunsOf
from lucas_storage.lineage.provenance.kept_by import Keeping
from lucas_storage.lineage.provenance.trace import Trace
from lucas_storage.lineage.provenance.trace_graph import graph_of_trace
from lucas_storage.records.index.run_index import IndexEntry, Role
from lucas_storage.refs import ArtifactRef
from lucas_storage.ui.elements import Html, element, facts, joined, link, note, section

from .drawings import drawing
from .page import Page, Reader
from .shown import artifact_link, when

_SOME: Final = 20
"""Runs and keepers that are shown."""


def explanation(found: Explanation, reader: Reader) -> Html:
    """Return the parts of a page about the origin of an artifact."""
    words = reader.words
    readers = {
        words("why.made"): _runs(found.made, reader, "made"),
        words("why.reused"): _runs(found.reused, reader, "reused"),
        words("why.read"): _runs(found.read, reader, "used"),
        words("why.given"): _runs(found.given, reader),
    }
    further = link(reader.links.to("uses", ref=found.ref.uri), words("why.uses"))
    return joined(
        section(words("why.origin"), *_trace(found.trace, found.ref, reader, is_origin=False)),
        section(words("why.runs"), facts(readers), element("p", further)),
        section(words("why.keeping"), *_keeping(found.keeping, reader)),
    )


def uses_page(found: Consequences, reader: Reader) -> Page:
    """Return the page about what was made from an artifact."""
    words = reader.words
    body = joined(
        element("p", artifact_link(reader, found.ref)),
        *_trace(found.trace, found.ref, reader, is_origin=True),
        section(words("why.read"), _runs(found.runs, reader, "used") or note(words("why.unused"))),
    )
    return Page(title=words("why.uses"), body=body, menu="buckets")


def keeper_words(keeper: Keeper, reader: Reader) -> Html:
    """Return the words for a record that keeps an artifact."""
    told = reader.words(f"keeper.{keeper.kind}", label=keeper.label[:200])
    run = keeper.record.split("/")[1] if keeper.kind == "run" else None
    shown = joined(told) if run is None else link(reader.links.to("run", id=run), told)
    through = reader.words("keeper.through", key=keeper.through[-20:]) if keeper.through else None
    until = None if keeper.until is None else joined(", ", reader.words("keeper.until"), " ", when(keeper.until))
    last = None if keeper.last is None else joined(reader.words("keeper.last", count=keeper.last))
    return joined(shown, last, through, until)


def _trace(trace: Trace, ref: ArtifactRef, reader: Reader, *, is_origin: bool) -> list[Html]:
    words = reader.words
    if not trace.steps:
        return [note(words("why.unused" if is_origin else "why.unrecorded"))]
    graph = graph_of_trace(trace, ref, is_origin=is_origin).folded()
    links = {
        step.id: reader.links.to("step", run=step.run, step=step.step.key) for step in trace.steps if step.step.key
    }
    more = [] if trace.is_complete else [note(words("why.more", count=len(trace.steps)))]
    label = words("why.uses" if is_origin else "why.origin")
    return [drawing(graph, links, label, reader), *more]


def _runs(found: RunsOf, reader: Reader, role: Role | None = None) -> Html | None:
    """Return runs, each with the functions that had a role in it."""
    if not found.count:
        return None
    shown = [element("div", _entry(entry, role, reader)) for entry in found.latest[:_SOME]]
    left_out = found.count - len(shown)
    more = [element("div", reader.words("more", count=left_out))] if left_out else []
    return joined(*shown, *more)


def _entry(entry: IndexEntry, role: Role | None, reader: Reader) -> Html:
    names = ", ".join(dict.fromkeys(use.function for use in entry.steps if use.role == role))
    address = reader.links.to("run", id=entry.run)
    return joined(link(address, f"{entry.workflow} {entry.run}"), f" {names} ", when(entry.started))


def _keeping(found: Keeping, reader: Reader) -> list[Html]:
    words = reader.words
    if found.stored_at is None:
        return [note(words("why.gone"))]
    if not found.is_collected:
        return [note(words("why.not_collected"))]
    if found.keepers:
        return [element("ul", *(element("li", keeper_words(each, reader)) for each in found.keepers[:_SOME]))]
    told = words("why.marked" if found.is_marked else "why.unkept")
    until = () if found.removable_from is None else (" ", when(found.removable_from))
    return [element("p", told, *until)]
