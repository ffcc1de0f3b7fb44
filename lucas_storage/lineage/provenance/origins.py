"""Steps that led to an artifact, over the borders of runs, by the records of runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lucas_storage import parallel
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.records.index.run_index import IndexEntry, Role, digits_of
from lucas_storage.records.index.run_indexing import RunIndex
from lucas_storage.records.untrusted_fields import step_of
from lucas_storage.refs import ArtifactRef

from .indexed_runs import IndexedRuns, Place, maker_in, taken_by
from .trace import DEPTH, MOST_STEPS, Trace, TracedStep

_MAKERS: Final = 100
"""Runs among which that is looked for which made an artifact: the latest that made equal bytes."""


def origins(storage: ArtifactStore, index: RunIndex, ref: ArtifactRef) -> Trace:
    """Return the steps that led to an artifact: the one that made it, those that made its inputs, and so on.

    Of several runs that made equal bytes, that which the reference names counts, or else the latest before the run that
    took them.

    Args:
        storage: Its default bucket holds the records.
        index: Of the same bucket.
        ref: The artifact.
    """
    return _Upward(storage, index).trace(ref)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An artifact whose maker is looked for."""

    ref: ArtifactRef
    taker: str | None
    """Id of the run that took it."""


class _Upward:
    def __init__(self, storage: ArtifactStore, index: RunIndex) -> None:
        self._index = index
        self._runs = IndexedRuns(storage)
        self._places: dict[str, Place] = {}
        self._lone: dict[str, TracedStep] = {}
        """Steps of which the index alone tells."""
        self._maker: dict[str, str | None] = {}
        """The step that made an artifact, by its digits: each artifact is looked for once."""
        self._complete = True

    def trace(self, ref: ArtifactRef) -> Trace:
        level = self._found({digits_of(ref): _Wanted(ref, None)})
        for _ in range(DEPTH):
            if not level:
                break
            level = self._before(level)
        self._complete = self._complete and not level
        first = self._maker[digits_of(ref)]
        steps = (*(place.traced(self._maker, self._places) for place in self._places.values()), *self._lone.values())
        return Trace(nearest=(first,) if first else (), steps=steps, is_complete=self._complete)

    def _before(self, level: list[Place]) -> list[Place]:
        """Return the steps that made what these took, as far as they are new."""
        new: list[Place] = []
        elsewhere: dict[str, _Wanted] = {}
        for place in level:
            new += self._new(place.before())
            for ref in taken_by(place.step):
                digits = digits_of(ref)
                if digits in self._maker or digits in elsewhere:
                    continue
                made = maker_in(place.of, digits, place.step)
                if made is None:
                    elsewhere[digits] = _Wanted(ref, place.of.run.key)
                else:
                    self._maker[digits] = made.id
                    new += self._new([made])
        return new + self._found(elsewhere)

    def _found(self, wanted: dict[str, _Wanted]) -> list[Place]:
        """Return the steps of any run that made these artifacts, as far as they are new."""
        room = MOST_STEPS - len(self._places)
        self._complete = self._complete and len(wanted) <= room
        asked = dict(list(wanted.items())[:room])
        chosen = dict(zip(asked, parallel.each(self._origin, asked.values()), strict=True))
        self._runs.read(entry.run for entry in chosen.values() if entry is not None)
        new: list[Place] = []
        for digits, entry in chosen.items():
            place = self._place_of(entry, digits) if entry is not None else None
            self._maker[digits] = place.id if place else self._of_index(entry)
            new += self._new([place] if place else [])
        return new

    def _origin(self, wanted: _Wanted) -> IndexEntry | None:
        """Return the entry of the run that made an artifact; if none is known to have, of one that reused it."""
        roles: tuple[Role, ...] = ("made", "reused")
        for role in roles:
            entries = self._index.entries(digits_of(wanted.ref), role, _MAKERS)
            named = [entry for entry in entries if entry.run == wanted.ref.run]
            before = [entry for entry in entries if wanted.taker is None or entry.run <= wanted.taker]
            if entries:
                return next(iter(named or before or entries[-1:]))
        return None

    def _place_of(self, entry: IndexEntry, digits: str) -> Place | None:
        run = self._runs[entry.run]
        return None if run is None else maker_in(run, digits) or maker_in(run, digits, reused=True)

    def _of_index(self, entry: IndexEntry | None) -> str | None:
        """Return the id of a step whose run has no record any more."""
        if entry is None or not (entry.has("made") or entry.has("reused")):
            return None
        use = entry.steps[0]
        identifier = f"{entry.run}/{use.step}"
        step = step_of({"key": use.step, "function": use.function, "started": entry.started})
        self._lone[identifier] = TracedStep(
            id=identifier, run=entry.run, workflow=entry.workflow, step=step, inputs=(), after=(), is_recorded=False
        )
        return identifier

    def _new(self, places: Iterable[Place]) -> list[Place]:
        new: list[Place] = []
        for place in places:
            if place.id in self._places:
                continue
            if len(self._places) >= MOST_STEPS:
                self._complete = False
                break
            self._places[place.id] = place
            new.append(place)
        return new
