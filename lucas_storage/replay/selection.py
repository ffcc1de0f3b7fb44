"""Which step of a run is meant: by its key, by the name of its function, or by that and a number."""

from __future__ import annotations

from typing import Final

from actorc.storage.errors import InvalidParameterError
from lucas_storage.errors import NotFoundError
from lucas_storage.records.past_run import PastRun, PastStep

_SHOWN: Final = 5
"""Steps that an error lists."""


def step_of(run: PastRun, text: str | None) -> PastStep:
    """Return the step that a text means; None means the one that failed.

    Args:
        run: The run.
        text: The name of a function of which there is one step, ``name#2`` for the second of several in the order in
            which they began, or the beginning of a step's key.

    Raises:
        NotFoundError: There is none.
        InvalidParameterError: There are several.
    """
    if text is None:
        found = [step for step in run.steps if step.error is not None]
        return _only(run, found, "failed", "name one of the others")
    name, _, number = text.rpartition("#")
    named = [step for step in run.steps if step.function == (name or text)]
    if name and named and number.isdecimal():
        if not 1 <= int(number) <= len(named):
            raise NotFoundError(f"{name!r} has {len(named)} steps in run {run.key}, and {text!r} is none of them")
        return named[int(number) - 1]
    found = [step for step in run.steps if step.function == text]
    if not found:
        found = [step for step in run.steps if text and step.key.startswith(text.upper())]
    return _only(run, found, f"are meant by {text!r}", "'lucas-storage runs' shows those there are")


def _only(run: PastRun, found: list[PastStep], what: str, hint: str) -> PastStep:
    if not found:
        raise NotFoundError(f"no steps of run {run.key} {what}; {hint}")
    if len(found) > 1:
        names = [f"{step.function}#{_number(run, step)}" for step in found[:_SHOWN]]
        more = ", …" if len(found) > _SHOWN else ""
        raise InvalidParameterError(f"{len(found)} steps of run {run.key} {what}; name one ({', '.join(names)}{more})")
    return found[0]


def _number(run: PastRun, step: PastStep) -> int:
    return [each for each in run.steps if each.function == step.function].index(step) + 1
