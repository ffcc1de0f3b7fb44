"""Past runs as HTML: one with its graph, several as a table. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from actorc.storage.units import shown_size
from lucas_storage.display import markup
from lucas_storage.records.past_run import shown_status
from lucas_storage.records.run_history import PastRun, PastStep

from .graph_svg import svg
from .node_text import shown_seconds
from .run_graph import counts, graph_of

_MOST: Final = 100
"""Steps, or runs, that are shown in a table."""
_MESSAGE: Final = 200
"""Columns of the message of an error that are shown."""
_HEIGHT: Final = 560
"""Pixels of a graph that are shown at a time."""


def of_run(run: PastRun) -> str:
    """Return a box with the facts of a run, its graph, and its steps as a table."""
    frame = f'<div style="overflow:auto;max-height:{_HEIGHT}px;margin:6px 0">{svg(graph_of(run).folded())}</div>'
    return markup.box(
        markup.heading(run.workflow, f"run {run.key}"),
        markup.facts({**_facts(run), **_place(run)}),
        frame if run.steps else markup.note("no step has ended"),
        _steps(run.steps) if run.steps else "",
    )


def of_runs(found: Iterable[PastRun]) -> str:
    """Return a table of runs."""
    rows = [(run.key, run.workflow, *_facts(run).values()) for run in found]
    more = markup.note(f"and {len(rows) - _MOST} more") if len(rows) > _MOST else ""
    return markup.box(markup.table(("run", "workflow", "status", "started", "took", "steps"), rows[:_MOST]), more)


def _facts(run: PastRun) -> dict[str, str]:
    steps = ", ".join(f"{count} {state}" for state, count in counts(run).items())
    return {
        "status": shown_status(run),
        "started": f"{datetime.fromtimestamp(run.started, UTC):%Y-%m-%d %H:%M:%S} UTC",
        "took": "" if run.seconds is None else shown_seconds(run.seconds),
        "steps": steps or "none",
    }


def _place(run: PastRun) -> dict[str, str]:
    found = {"error": run.message, "machine": run.machine, "Python": run.python}
    return {name: markup.cut_to(text, _MESSAGE) for name, text in found.items() if text}


def _steps(steps: tuple[PastStep, ...]) -> str:
    rows = [_row(step) for step in steps[:_MOST]]
    table = markup.table(("step", "state", "took", "bytes in", "bytes out"), rows)
    more = markup.note(f"and {len(steps) - _MOST} more") if len(steps) > _MOST else ""
    return f"<details><summary>{len(steps)} steps</summary>{table}{more}</details>"


def _row(step: PastStep) -> tuple[str, ...]:
    state = f"{step.state} ({step.error})" if step.error else step.state
    state += f": {markup.cut_to(step.message, _MESSAGE)}" if step.message else ""
    taken = sum(mention.size for mentions in step.inputs.values() for mention in mentions)
    made = sum(mention.size for mention in step.outputs)
    return step.function, state, shown_seconds(step.seconds), shown_size(taken), shown_size(made)
