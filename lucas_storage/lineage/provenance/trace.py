"""Steps that led to an artifact, or that it led to, over the borders of runs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lucas_storage.records.past_run import Mention, PastStep

MOST_STEPS: Final = 500
"""Steps of one answer."""
DEPTH: Final = 100
"""Steps between an artifact and the last one of its trace."""

HOLDERS: Final = 3
"""Artifacts within each other that are looked at, from the innermost one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedInput:
    """A value that a step took."""

    name: str
    """The parameter; any text."""
    mention: Mention
    maker: str | None
    """Id of the step that made it; None if no step of the trace did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedStep:
    """A step of a run, and where in the trace its inputs come from."""

    id: str
    """Unique in its trace: of the run and the step."""
    run: str
    workflow: str
    step: PastStep
    """Without inputs and outputs unless it is recorded."""
    inputs: tuple[TracedInput, ...]
    after: tuple[str, ...]
    """Ids of the steps of the trace that it follows: those that made its inputs, also those within the call."""
    is_recorded: bool = True
    """Whether its run has a record; the index tells of those that have none any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Steps, the nearest to the artifact first."""

    nearest: tuple[str, ...]
    """Ids of the step that made the artifact, or of those that took it."""
    steps: tuple[TracedStep, ...]
    is_complete: bool
    """Whether no step was left out because there are too many."""

    def step(self, identifier: str) -> TracedStep | None:
        """Return the step with an id."""
        return next((each for each in self.steps if each.id == identifier), None)
