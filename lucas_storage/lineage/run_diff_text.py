"""The difference of two runs as lines of text. Pure; a line may hold any characters but line ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from .differences.difference import Change, ContentDifference, counted
from .run_diff import RunDiff
from .step_diff import StepDifference

_CHANGES: Final = 10
"""Changes of one thing that are told."""
_STEPS: Final = 20
"""Steps beside the first that are told."""
MEANINGS: Final = {
    "result": "its inputs are equal, and its result is not",
    "state": "its inputs are equal, and it ended otherwise",
    "version": "its inputs are equal, and its code is not",
    "inputs": "it was given other inputs",
    "name": "it has another name",
    "added": "it is in the latter run only",
    "removed": "it is in the former run only",
}
"""What `StepDifference.how` means."""


def lines(diff: RunDiff) -> Iterator[str]:
    """Yield the difference in lines, the first step that differs with all that is known of it."""
    yield f"{diff.workflow}  {diff.before} → {diff.after}  {'equal' if diff.is_equal else 'different'}"
    yield from _changes(diff.facts, "  ")
    yield from _changes(diff.parameters, "  input ")
    yield from _changes(diff.surroundings, "  ")
    if diff.first is not None:
        yield ""
        yield from _first(diff.first)
    # In the list, the first one has no more than the others.
    first = None if diff.first is None else replace(diff.first, source=(), results=())
    others = [step for step in diff.steps if step != first]
    if others:
        yield ""
        yield from _others(others, diff.differing - (diff.first is not None))
    for number, result in enumerate(diff.results):
        yield ""
        yield f"result {number + 1} of the run"
        yield from content_lines(result, "  ")
    yield ""
    yield f"{counted(diff.equal, 'step')} {'is' if diff.equal == 1 else 'are'} the same in both"


def _first(step: StepDifference) -> Iterator[str]:
    yield f"{step.function}: {MEANINGS[step.how]}"
    yield from _changes(step.facts, "  ")
    if step.source:
        yield "  source"
        yield from (f"    {line}" for line in step.source)
    elif any(fact.place == "version" for fact in step.facts):
        yield "  its own source is the same or not recorded; code that it calls has changed"
    for number, result in enumerate(step.results):
        yield f"  result {number + 1}"
        yield from content_lines(result, "    ")
    if step.how == "result" and not any(fact.place == "version" for fact in step.facts):
        yield "  its code is the same: it takes time, chance, files, or a package that changed"


def _others(steps: list[StepDifference], total: int) -> Iterator[str]:
    yield f"{counted(total, 'other step')} {'differs' if total == 1 else 'differ'}"
    alike = Counter((step.function, step.how) for step in steps)
    shown = {(step.function, step.how): step for step in reversed(steps)}
    for (function, how), count in islice(alike.items(), _STEPS):
        step = shown[function, how]
        times = f" \u00d7 {count}" if count > 1 else ""
        yield f"  {function}{times}: {MEANINGS[step.how]}"
        if count == 1:
            yield from _changes((*step.facts, *step.inputs), "    ")
    if len(alike) > _STEPS:
        yield f"  and {len(alike) - _STEPS} more"


def content_lines(found: ContentDifference, indent: str) -> Iterator[str]:
    """Yield the difference of two artifacts in lines."""
    if found.error:
        yield f"{indent}not compared: {found.error}"
    yield from (f"{indent}{sentence}" for sentence in found.summary)
    yield from _changes(found.changes, indent)
    yield from (f"{indent}{line}" for line in found.lines)


def _changes(changes: Iterable[Change], indent: str) -> Iterator[str]:
    found = tuple(changes)
    for change in found[:_CHANGES]:
        yield f"{indent}{_one_line(change.place)}: {_side(change.before)} → {_side(change.after)}"
    if len(found) > _CHANGES:
        yield f"{indent}and {len(found) - _CHANGES} more"


def _side(text: str | None) -> str:
    return "(none)" if text is None else _one_line(text)


def _one_line(text: str) -> str:
    return " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
