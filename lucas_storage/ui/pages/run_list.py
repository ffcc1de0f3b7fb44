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
    is_first: bool
    """Whether no later runs were left out."""
    until: str | None
    """The id of the last run that was looked at; None if there are none before it."""


def run_list_page(found: RunList, reader: Reader) -> Page:
    """Return the list of runs, with a form that chooses some."""
    words = reader.words
    shown = run_table(found.runs, reader) if found.runs else note(words("runs.none"))
    body = joined(_form(found, reader), shown, _pages(found, reader))
    return Page(title=words("menu.runs"), body=body, menu="runs", live=found.is_first)


def run_table(runs: Sequence[PastRun], reader: Reader) -> Html:
    """Return runs as a table."""
    words = reader.words
    names = ("workflow", "state", "started", "took", "steps", "id")
    return table(words("menu.runs"), [words(f"runs.{name}") for name in names], (_row(run, reader) for run in runs))


def _pages(found: RunList, reader: Reader) -> Html:
    here = {"workflow": found.workflow or None, "status": found.status or None}
    links = []
    if not found.is_first:
        links.append(link(reader.links.to("runs", **here), reader.words("runs.latest")))
    if found.until is not None:
        links.append(link(reader.links.to("runs", **here, until=found.until), reader.words("runs.older")))
    return element("p", *(joined(each, " ") for each in links))


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
