"""The list of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lucas_storage.lineage.run_graph import counts
from lucas_storage.records.past_run import PastRun
from lucas_storage.ui.elements import Html, element, joined, link, note, table

from .page import Page, Reader
from .shown import run_state, took, when

_STATUSES: Final = ("running", "succeeded", "failed", "lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunList:
    """Runs, the latest first, and how they were chosen."""

    runs: list[PastRun]
    workflow: str
    """A part of the names of their workflows; empty: all."""
    status: str
    """Of all of them; empty: any."""
    looked_at: int
    """The latest runs, from which these were chosen."""
    all_seen: bool
    """Whether these were all that there are."""


def run_list_page(found: RunList, reader: Reader) -> Page:
    """Return the list of runs, with a form that chooses some."""
    words = reader.words
    shown = run_table(found.runs, reader) if found.runs else note(words("runs.none"))
    older = reader.links.to(
        "runs", workflow=found.workflow or None, status=found.status or None, count=found.looked_at * 5
    )
    more = None if found.all_seen else element("p", link(older, words("runs.older", count=found.looked_at)))
    body = joined(_form(found, reader), shown, more)
    return Page(title=words("menu.runs"), body=body, menu="runs", live=True)


def run_table(runs: Sequence[PastRun], reader: Reader) -> Html:
    """Return runs as a table."""
    words = reader.words
    names = ("workflow", "state", "started", "took", "steps", "id")
    return table(words("menu.runs"), [words(f"runs.{name}") for name in names], (_row(run, reader) for run in runs))


def _row(run: PastRun, reader: Reader) -> tuple[str, ...]:
    steps = ", ".join(f"{count} {reader.words(f'state.{name}')}" for name, count in counts(run).items())
    return (
        link(reader.links.to("run", id=run.key), run.workflow),
        run_state(reader, run),
        when(run.started),
        took(run.seconds),
        steps or "0",
        run.key,
    )


def _form(found: RunList, reader: Reader) -> Html:
    words = reader.words
    choices = [element("option", words("runs.any"), value="")]
    choices += [
        element("option", words(f"state.{each}"), value=each, selected=each == found.status) for each in _STATUSES
    ]
    return element(
        "form",
        element("label", words("runs.workflow"), element("input", name="workflow", value=found.workflow)),
        element("label", words("runs.state"), element("select", *choices, name="status")),
        element("button", words("filter"), type="submit"),
        method="get",
        action=reader.links.to("runs"),
        role="search",
    )
