"""Records of runs, by the artifacts that their steps made and took."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.records import run_history
from lucas_storage.records.index.run_index import digits_of, made_by
from lucas_storage.records.past_run import PastRun, PastStep
from lucas_storage.refs import ArtifactRef

from .trace import TracedInput, TracedStep


class IndexedRun:
    """A run whose steps are found by what they made, took and followed."""

    def __init__(self, run: PastRun) -> None:
        self.run = run
        self.by_key = {step.key: number for number, step in enumerate(run.steps) if step.key}
        self.makers = defaultdict[str, list[int]](list)
        self.takers = defaultdict[str, list[int]](list)
        self.followers = defaultdict[str, list[int]](list)
        for number, step in enumerate(run.steps):
            for ref in made_by(step):
                self.makers[digits_of(ref)].append(number)
            for digits in dict.fromkeys(map(digits_of, taken_by(step))):
                self.takers[digits].append(number)
            for key in step.after:
                self.followers[key].append(number)


@dataclass(frozen=True, slots=True)
class Place:
    """A step where it stands in its run."""

    of: IndexedRun
    number: int

    @property
    def step(self) -> PastStep:
        """The step."""
        return self.of.run.steps[self.number]

    @property
    def id(self) -> str:
        """Unique in all runs."""
        return f"{self.of.run.key}/{self.step.key or self.number}"

    def before(self) -> Iterator[Place]:
        """Yield the steps of the run that the record of this one names."""
        found = (self.of.by_key.get(key) for key in self.step.after)
        return (Place(self.of, number) for number in found if number is not None and number != self.number)

    def behind(self) -> Iterator[Place]:
        """Yield the steps of the run whose records name this one."""
        numbers = self.of.followers.get(self.step.key, ()) if self.step.key else ()
        return (Place(self.of, number) for number in numbers if number != self.number)

    def traced(self, makers: dict[str, str | None], ids: Iterable[str]) -> TracedStep:
        """Return the step as one of a trace.

        Args:
            makers: Ids of the steps that made artifacts, by their digits.
            ids: Of the steps of the trace.
        """
        inputs = tuple(
            TracedInput(name=name, mention=mention, maker=self._maker(mention.ref, makers))
            for name, mentions in self.step.inputs.items()
            for mention in mentions
        )
        named = (place.id for place in self.before() if place.id in ids)
        return TracedStep(
            id=self.id,
            run=self.of.run.key,
            workflow=self.of.run.workflow,
            step=self.step,
            inputs=inputs,
            after=tuple(dict.fromkeys((*(each.maker for each in inputs if each.maker), *named))),
        )

    def _maker(self, ref: ArtifactRef | None, makers: dict[str, str | None]) -> str | None:
        maker = None if ref is None else makers.get(digits_of(ref))
        return None if maker == self.id else maker


class IndexedRuns:
    """Records of runs, each read once. For one thread.

    Args:
        storage: Its default bucket is read.
    """

    def __init__(self, storage: ArtifactStore) -> None:
        self._storage = storage
        self._known: dict[str, IndexedRun | None] = {}

    def read(self, keys: Iterable[str]) -> None:
        """Read those of these runs that were not read yet, in few calls."""
        new = [key for key in dict.fromkeys(keys) if key not in self._known]
        self._known.update(dict.fromkeys(new))
        self._known.update((run.key, IndexedRun(run)) for run in run_history.read_all(self._storage, new))

    def __getitem__(self, key: str) -> IndexedRun | None:
        """Return a run that was read; None if it has no record any more."""
        return self._known[key]


def maker_in(of: IndexedRun, digits: str, taker: PastStep | None = None, *, reused: bool = False) -> Place | None:
    """Return the step of a run that made an artifact, of several the one that `taker` names as before it, or the first.

    Args:
        of: The run.
        digits: Of the artifact.
        taker: The step that took it, which began later; None for any.
        reused: Whether to return a step that had it from an earlier one.
    """
    until = math.inf if taker is None else taker.started
    found = [Place(of, number) for number in of.makers.get(digits, ())]
    makers = [place for place in found if place.step.reused is reused and place.step.started <= until]
    named = [place for place in makers if taker is not None and place.step.key in taker.after]
    return next(iter(named or makers), None)


def taken_by(step: PastStep) -> Iterator[ArtifactRef]:
    """Yield the stored artifacts that a step took."""
    mentions = chain.from_iterable(step.inputs.values())
    return (mention.ref for mention in mentions if mention.ref is not None and mention.ref.inline is None)
