"""Steps to which an artifact led, over the borders of runs, by the records of runs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from lucas_storage import parallel
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.records.index.run_index import digits_of, made_by
from lucas_storage.records.index.run_indexing import RunIndex
from lucas_storage.refs import ArtifactRef

from .indexed_runs import IndexedRuns, Place
from .trace import DEPTH, HOLDERS, MOST_STEPS, Trace


def descendants(storage: ArtifactStore, index: RunIndex, ref: ArtifactRef) -> Trace:
    """Return the steps to which an artifact led: those that took it, those that took what they made, and so on.

    Args:
        storage: Its default bucket holds the records.
        index: Of the same bucket.
        ref: The artifact.
    """
    return _Downward(storage, index).trace(ref)


class _Downward:
    def __init__(self, storage: ArtifactStore, index: RunIndex) -> None:
        self._index = index
        self._runs = IndexedRuns(storage)
        self._places: dict[str, Place] = {}
        self._maker: dict[str, str | None] = {}
        """The step that made an artifact, by its digits: the takers of each are looked for once."""
        self._looked: set[str] = set()
        self._complete = True

    def trace(self, ref: ArtifactRef) -> Trace:
        level = self._takers([digits_of(ref)])
        nearest = tuple(place.id for place in level)
        for _ in range(DEPTH):
            if not level:
                break
            level = self._behind(level)
        self._complete = self._complete and not level
        steps = tuple(place.traced(self._maker, self._places) for place in self._places.values())
        return Trace(nearest=nearest, steps=steps, is_complete=self._complete)

    def _behind(self, level: list[Place]) -> list[Place]:
        """Return the steps that took what these made, as far as they are new."""
        new: list[Place] = []
        made: list[str] = []
        for place in level:
            new += self._new(place.behind())
            for digits in map(digits_of, made_by(place.step)):
                if digits not in self._maker:
                    self._maker[digits] = place.id
                    made.append(digits)
        return new + self._takers(made)

    def _takers(self, artifacts: list[str]) -> list[Place]:
        """Return the steps of any run that took one of these artifacts or one that holds it, as far as they are new."""
        room = MOST_STEPS - len(self._places)
        taking: set[tuple[str, str]] = set()
        for _ in range(HOLDERS):
            self._looked.update(artifacts)
            found = parallel.each(partial(self._index.entries, most=room + 1), artifacts)
            pairs = [(digits, entry) for digits, each in zip(artifacts, found, strict=True) for entry in each]
            taking |= {(entry.run, digits) for digits, entry in pairs if entry.has("used")}
            holders = dict.fromkeys(outer for _, entry in pairs for outer in entry.within)
            artifacts = [outer for outer in holders if outer not in self._looked]
        # Those of the latest runs, if there are too many.
        chosen = sorted(taking)[-room:] if room else []
        self._complete = self._complete and len(chosen) == len(taking)
        self._runs.read(run for run, _ in chosen)
        runs = ((self._runs[key], digits) for key, digits in chosen)
        return self._new(Place(run, number) for run, digits in runs if run for number in run.takers.get(digits, ()))

    def _new(self, places: Iterable[Place]) -> list[Place]:
        new = {place.id: place for place in places if place.id not in self._places}
        room = MOST_STEPS - len(self._places)
        self._complete = self._complete and len(new) <= room
        kept = dict(list(new.items())[:room])
        self._places.update(kept)
        return list(kept.values())
