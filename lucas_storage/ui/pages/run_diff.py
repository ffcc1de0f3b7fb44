"""The difference of two runs, beginning with the step that explains it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lucas_storage.display.markup import LONG, escaped
from lucas_storage.lineage.differences.difference import Change, ContentDifference
from lucas_storage.lineage.node_text import shown_seconds
from lucas_storage.lineage.run_diff import RunDiff
from lucas_storage.lineage.step_diff import StepDifference
from lucas_storage.ui.elements import Html, element, facts, joined, link, note, picture, section, table

from .page import Page, Reader

_MOST: Final = 100
"""Rows of a table."""
_LINES: Final = 1000
"""Lines of a text that differs."""
_MARKS: Final = {"+": "ins", "-": "del"}
"""Elements of the lines of a unified diff, by their first letter."""


def run_diff_page(found: RunDiff, reader: Reader) -> Page:
    """Return the page of the difference of two runs."""
    words = reader.words
    body = joined(
        facts(_runs(found, reader)),
        note(words("diff.equal" if found.is_equal else "diff.steps", equal=found.equal, differing=found.differing)),
        section(words("diff.first"), *_step(found.first, found, reader)) if found.first else None,
        _changes(words("diff.runs"), found.facts, reader),
        _changes(words("diff.parameters"), found.parameters, reader),
        section(words("diff.all"), _steps(found, reader)) if found.steps else None,
        *(
            section(words("diff.result", number=number), *_content(each, reader))
            for number, each in enumerate(found.results[:_MOST], 1)
        ),
        _changes(words("diff.surroundings"), found.surroundings, reader),
    )
    return Page(title=words("diff.title", workflow=found.workflow[:200]), body=body, menu="runs")


def _runs(found: RunDiff, reader: Reader) -> dict[str, str | None]:
    return {
        reader.words("diff.before"): link(reader.links.to("run", id=found.before), found.before),
        reader.words("diff.after"): link(reader.links.to("run", id=found.after), found.after),
    }


def _step(step: StepDifference, found: RunDiff, reader: Reader) -> list[Html]:
    told = element("p", element("strong", _name(step, found, reader)), f": {reader.words(f'how.{step.how}')}")
    return [
        told,
        *_optional(_changes_table(reader.words("diff.facts"), step.facts, reader)),
        *_optional(_diff_lines(step.source, reader.words("step.source"))),
        *(part for each in step.results[:_MOST] for part in _content(each, reader)),
    ]


def _name(step: StepDifference, found: RunDiff, reader: Reader) -> Html:
    run, key = (found.before, step.before) if step.after is None else (found.after, step.after)
    return link(reader.links.to("step", run=run, step=key), step.function) if key else joined(step.function)


def _steps(found: RunDiff, reader: Reader) -> Html:
    words = reader.words
    head = [words(f"diff.{name}") for name in ("step", "how", "took_before", "took_after", "what")]
    rows = [_row(step, found, reader) for step in found.steps[:_MOST]]
    left_out = found.differing - len(rows)
    more = note(words("more", count=left_out)) if left_out > 0 else None
    return joined(table(words("diff.all"), head, rows), more)


def _row(step: StepDifference, found: RunDiff, reader: Reader) -> tuple[str, ...]:
    took = ("" if each is None else shown_seconds(each) for each in step.seconds)
    what = (f"{each.place}: {_side(each.before)} → {_side(each.after)}" for each in (*step.facts, *step.inputs)[:3])
    return (
        _name(step, found, reader),
        reader.words(f"how.{step.how}"),
        *took,
        joined(*(element("div", each) for each in what)),
    )


def _content(found: ContentDifference, reader: Reader) -> list[Html]:
    """Return how two contents differ; pictures side by side."""
    words = reader.words
    images = [
        element("figure", picture(png, words(name)), element("figcaption", words(name)))
        for name, png in zip(("diff.before", "diff.after"), found.images, strict=True)
        if png is not None
    ]
    return [
        *([note(words("preview.unread", reason=found.error))] if found.error else []),
        *(element("p", sentence) for sentence in found.summary[:_MOST]),
        *_optional(_changes_table(words("diff.content"), found.changes, reader)),
        *_optional(_diff_lines(found.lines, words("diff.content"))),
        *([element("div", *images, class_="sides")] if images else []),
        *([] if found.complete else [note(words("diff.incomplete"))]),
    ]


def _changes(title: str, found: tuple[Change, ...], reader: Reader) -> Html | None:
    shown = _changes_table(title, found, reader)
    return section(title, shown) if shown else None


def _changes_table(title: str, found: tuple[Change, ...], reader: Reader) -> Html | None:
    if not found:
        return None
    words = reader.words
    head = [words(f"diff.{name}") for name in ("place", "before", "after")]
    rows = [(each.place, _side(each.before), _side(each.after)) for each in found[:_MOST]]
    more = note(words("more", count=len(found) - _MOST)) if len(found) > _MOST else None
    return joined(table(title, head, rows), more)


def _diff_lines(lines: tuple[str, ...], label: str) -> Html | None:
    """Return the lines of a unified diff; their first letters tell what the colours do."""
    if not lines:
        return None
    return element("pre", Html("".join(_line_elements(lines[:_LINES]))), tabindex=0, role="group", aria_label=label)


def _line_elements(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        text = Html(escaped(line, LONG, keep="\t"))
        is_marked = line[:1] in _MARKS and not line.startswith(("--- ", "+++ "))
        # An inserted or deleted line is an element of its own, and a block, which ends its line.
        yield element(_MARKS[line[0]], text) if is_marked else f"{text}\n"


def _optional(part: Html | None) -> list[Html]:
    return [] if part is None else [part]


def _side(text: str | None) -> str:
    return "\u2013" if text is None else text
