"""The difference of two runs: the first step whose inputs are equal and whose result is not, and what differs then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.preview_data import cut
from lucas_storage.records.past_run import PastRun

from .changed_values import argument_changes, content_differences
from .differences.difference import Change, ContentDifference, plain_of
from .step_diff import How, StepDifference, explained, of_pair, silent_origins
from .step_matching import matched

STEPS: Final = 1000
"""Steps that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDiff:
    """The difference of two runs. Immutable."""

    before: str
    """The id of the former run."""
    after: str
    workflow: str
    facts: tuple[Change, ...]
    """Workflow and status of the runs, as far as they differ."""
    parameters: tuple[Change, ...]
    """Inputs of the workflow that differ."""
    surroundings: tuple[Change, ...]
    """Machine, Python and packages that differ."""
    first: StepDifference | None
    """The first step that explains the difference: its inputs are equal, and its result is not; or else its code, or
    its state. None if no step does."""
    steps: tuple[StepDifference, ...]
    """All steps that differ, in the order of the latter run, up to `STEPS`."""
    differing: int
    """The number of all of these."""
    equal: int
    """Steps that are the same in both."""
    results: tuple[ContentDifference, ...]
    """How the contents of the results of the workflow differ."""

    @property
    def is_equal(self) -> bool:
        """Whether both runs did the same; the machine, its packages, times and reuse of results do not count."""
        return not (self.facts or self.parameters or self.differing or self.results)

    def to_json(self) -> dict[str, Any]:
        """Return the difference as JSON data of bounded size."""
        return {"equal_runs": self.is_equal, **plain_of(self)}


def run_diff(storage: ArtifactStore, before: PastRun, after: PastRun) -> RunDiff:
    """Return how two runs differ. Artifacts that are gone or damaged are told in place of their contents.

    Args:
        storage: Any handle; references name their stores.
        before: The former run.
        after: The latter one.

    Raises:
        StorageError: A store cannot be reached, or does not allow it.
    """
    pairs = matched(before, after)
    parameters = tuple(argument_changes(before.parameters, after.parameters, before.inputs, after.inputs))
    silent = silent_origins(pairs) if not parameters else set[int]()
    found = [(at, of_pair(*pair, is_origin=at in silent)) for at, pair in enumerate(pairs)]
    steps = [(at, step) for at, step in found if step is not None]
    first = _first(steps)
    return RunDiff(
        before=before.key,
        after=after.key,
        workflow=cut(after.workflow),
        facts=tuple(_facts_of_runs(before, after)),
        parameters=parameters,
        surroundings=tuple(_surroundings(before, after)),
        first=None if first is None else explained(storage, first[1], *pairs[first[0]]),
        steps=tuple(step for _, step in steps[:STEPS]),
        differing=len(steps),
        equal=len(pairs) - len(steps),
        results=tuple(content_differences(storage, before.outputs, after.outputs)),
    )


def _first(steps: list[tuple[int, StepDifference]]) -> tuple[int, StepDifference] | None:
    # A result that differs explains more than code that does: the latter may be the same in another form.
    kinds: tuple[tuple[How, ...], ...] = (("result", "state"), ("version",))
    return next((each for hows in kinds for each in steps if each[1].how in hows), None)


def _facts_of_runs(before: PastRun, after: PastRun) -> Iterator[Change]:
    for name in ("workflow", "status", "error", "message"):
        pair = getattr(before, name), getattr(after, name)
        if pair[0] != pair[1]:
            yield Change.of(name, *pair)


def _surroundings(before: PastRun, after: PastRun) -> Iterator[Change]:
    for name in ("machine", "python"):
        pair = getattr(before, name), getattr(after, name)
        # Records of early versions have neither.
        if None not in pair and pair[0] != pair[1]:
            yield Change.of(name, *pair)
    if before.packages and after.packages:
        for name in _sorted({**before.packages, **after.packages}):
            versions = before.packages.get(name), after.packages.get(name)
            if versions[0] != versions[1]:
                yield Change.of(f"package {name}", *versions)


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted(names, key=str.lower)[:STEPS]
