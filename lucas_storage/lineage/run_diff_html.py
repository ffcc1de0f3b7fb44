"""The difference of two runs as HTML: for a notebook and for a page. Pure; no text of a stranger is markup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lucas_storage.display import markup

from .differences.difference import Change, ContentDifference, counted
from .node_text import shown_seconds
from .run_diff import RunDiff
from .run_diff_text import MEANINGS
from .step_diff import StepDifference

_MOST: Final = 100
"""Rows of a table."""
_COLOURS: Final = {"+": "#1a7f37", "-": "#b3261e", "@": "#6b6b6b"}
"""Of the lines of a diff by their first letter; each has a contrast beyond 3:1 on white and on black."""


def of_diff(diff: RunDiff) -> str:
    """Return a box with what differs between two runs."""
    state = "equal" if diff.is_equal else "different"
    return markup.box(markup.heading(diff.workflow, f"{diff.before} → {diff.after}: {state}"), content(diff))


def content(diff: RunDiff) -> str:
    """Return the elements that show a difference, without a box around them."""
    about = changes((*diff.facts, *(Change(f"input {c.place}", c.before, c.after) for c in diff.parameters)))
    around = "" if not diff.surroundings else _folded("machine, Python and packages", changes(diff.surroundings))
    first = "" if diff.first is None else _first(diff.first)
    results = "".join(
        f"{_title(f'result {at + 1} of the run')}{content_difference(each)}" for at, each in enumerate(diff.results)
    )
    return (
        about + around + first + _steps(diff) + results + markup.note(f"{counted(diff.equal, 'step')} the same in both")
    )


def content_difference(found: ContentDifference) -> str:
    """Return the elements that show how two contents differ; images side by side."""
    error = markup.note(f"not compared: {found.error}") if found.error else ""
    told = "".join(f"<div>{markup.escaped(sentence)}</div>" for sentence in found.summary)
    return error + told + changes(found.changes) + diff_lines(found.lines) + _images(found)


def diff_lines(lines: Iterable[str]) -> str:
    """Return the lines of a unified diff, in colours; the first letter tells the same."""
    shown = "\n".join(_line(line) for line in lines)
    return f'<pre style="overflow-x:auto;margin:4px 0">{shown}</pre>' if shown else ""


def changes(found: Iterable[Change]) -> str:
    """Return a table of places with what was there and is there."""
    rows = [(each.place, _side(each.before), _side(each.after)) for each in found]
    more = markup.note(f"and {len(rows) - _MOST} more") if len(rows) > _MOST else ""
    return markup.table(("", "before", "after"), rows[:_MOST]) + more if rows else ""


def _first(step: StepDifference) -> str:
    source = diff_lines(step.source)
    results = "".join(map(content_difference, step.results))
    return _title(f"{step.function}: {MEANINGS[step.how]}") + changes(step.facts) + source + results


def _steps(diff: RunDiff) -> str:
    if not diff.steps:
        return ""
    rows = [_row(step) for step in diff.steps[:_MOST]]
    more = markup.note(f"and {diff.differing - len(rows)} more") if diff.differing > len(rows) else ""
    table = markup.table(("step", "", "took before", "took after", "what"), rows)
    return _folded(f"{counted(diff.differing, 'step')} that differ{'s' if diff.differing == 1 else ''}", table + more)


def _row(step: StepDifference) -> tuple[str, ...]:
    took = ("" if each is None else shown_seconds(each) for each in step.seconds)
    what = (f"{each.place}: {_side(each.before)} → {_side(each.after)}" for each in (*step.facts, *step.inputs)[:3])
    return step.function, MEANINGS[step.how], *took, ", ".join(what)


def _images(found: ContentDifference) -> str:
    shown = [("before", found.images[0]), ("after", found.images[1])]
    cells = [markup.image(png, name) for name, png in shown if png is not None]
    return f'<div style="display:flex;gap:12px;flex-wrap:wrap">{"".join(cells)}</div>' if cells else ""


def _line(line: str) -> str:
    colour = _COLOURS.get(line[:1])
    text = markup.escaped(line, markup.LONG, keep="\t")
    return text if colour is None else f'<span style="color:{colour}">{text}</span>'


def _title(text: str) -> str:
    return f'<div style="margin-top:8px"><strong>{markup.escaped(text)}</strong></div>'


def _folded(name: str, inner: str) -> str:
    return f"<details><summary>{markup.escaped(name)}</summary>{inner}</details>"


def _side(text: str | None) -> str:
    return "(none)" if text is None else text
