"""Routes about where artifacts come from, who used them, and what keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from actorc.storage.server.api.routes import Request, Route
from lucas_storage.gc.keepers import Keeper
from lucas_storage.gc.policy import readable_policy
from lucas_storage.lineage.provenance.explanation import RunsOf, consequences, explain
from lucas_storage.lineage.provenance.kept_by import Keeping
from lucas_storage.lineage.provenance.named_artifact import artifact_named, parsed
from lucas_storage.lineage.provenance.trace import Trace, TracedStep
from lucas_storage.records.index.run_index import IndexEntry
from lucas_storage.records.past_run import Mention
from lucas_storage.refs import ArtifactRef

from .collection_limits import OfCollection, judging
from .request_store import OfStore, RequestStore
from .run_answers import ArtifactMention, RunStep, mention_of, moment, name_of, step


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOrigin:
    """A value that a step took."""

    name: str
    artifact: ArtifactMention
    maker: str | None
    """Id of the step of this answer that made it; null if none did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenanceStep:
    """A step of a run, and where its inputs come from."""

    id: str
    """Unique in this answer."""
    run: str
    workflow: str
    after: tuple[str, ...]
    """Ids of the steps of this answer that it follows."""
    origins: tuple[InputOrigin, ...]
    step: RunStep


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRole:
    """A step that had to do with an artifact."""

    role: str
    """made, reused or used."""
    step: str
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOfArtifact:
    """A run that had to do with an artifact."""

    run: str
    workflow: str
    started: datetime
    steps: tuple[StepRole, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsOfArtifact:
    """Runs that had one thing to do with an artifact."""

    count: int
    latest: tuple[RunOfArtifact, ...]
    """The latest first, at most 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingRecord:
    """A record that keeps an artifact from being collected."""

    kind: str
    """name, memo, checkpoint or run."""
    record: str
    label: str
    until: datetime | None
    """Null for ever."""
    through: str | None
    """Key of the artifact that refers to this one, if the record itself does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactKeeping:
    """What keeps an artifact, and when it may go."""

    records: tuple[KeepingRecord, ...]
    """Those that count longest first."""
    stored_at: datetime | None
    is_collected: bool
    """Whether collections look at it at all."""
    is_marked: bool
    removable_from: datetime | None
    """Null if it is kept for ever, or is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactUses:
    """What was made from an artifact, step by step."""

    artifact: ArtifactMention
    nearest: tuple[str, ...]
    """Ids of the steps that took it."""
    steps: tuple[ProvenanceStep, ...]
    is_complete: bool
    """Whether no step was left out because there are too many."""
    runs: RunsOfArtifact


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactOrigin:
    """Where an artifact comes from, who read it, and what keeps it."""

    artifact: ArtifactMention
    nearest: tuple[str, ...]
    """Ids of the step that made it."""
    steps: tuple[ProvenanceStep, ...]
    is_complete: bool
    """Whether no step was left out because there are too many."""
    made: RunsOfArtifact
    reused: RunsOfArtifact
    read: RunsOfArtifact
    given: RunsOfArtifact
    kept: ArtifactKeeping


NamedArtifact = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=12_000,
        description="A reference; or a published name, a digest or six digits of it at least, or a key.",
    ),
]


class OfNamed(OfStore, kw_only=True):
    """Those of the provenance of an artifact."""

    ref: NamedArtifact


class OfWhy(OfCollection, kw_only=True):
    """Those of the origin of an artifact."""

    ref: NamedArtifact


def provenance_routes() -> list[Route]:
    """Return the routes about provenance."""
    return [
        Route(
            path="/artifact/why",
            name="why",
            tag="artifacts",
            summary="Tell where an artifact comes from, who read it, and what keeps it.",
            answer=ArtifactOrigin,
            handle=_why,
            parameters=OfWhy,
        ),
        Route(
            path="/artifact/uses",
            name="uses",
            tag="artifacts",
            summary="Tell what was made from an artifact.",
            answer=ArtifactUses,
            handle=_uses,
            parameters=OfNamed,
        ),
    ]


def _named(storage: RequestStore, text: str) -> ArtifactRef:
    return parsed(text) or artifact_named(storage, text)


def _why(request: Request, parameters: OfWhy) -> ArtifactOrigin:
    storage = RequestStore(request, parameters.bucket)
    limits = judging(storage, parameters, policy_of=readable_policy)
    found = explain(storage, _named(storage, parameters.ref), limits)
    return ArtifactOrigin(
        artifact=_artifact(found.ref),
        nearest=found.trace.nearest,
        steps=_steps(found.trace),
        is_complete=found.trace.is_complete,
        made=_runs(found.made),
        reused=_runs(found.reused),
        read=_runs(found.read),
        given=_runs(found.given),
        kept=_keeping(found.keeping),
    )


def _uses(request: Request, parameters: OfNamed) -> ArtifactUses:
    storage = RequestStore(request, parameters.bucket)
    found = consequences(storage, _named(storage, parameters.ref))
    return ArtifactUses(
        artifact=_artifact(found.ref),
        nearest=found.trace.nearest,
        steps=_steps(found.trace),
        is_complete=found.trace.is_complete,
        runs=_runs(found.runs),
    )


def _artifact(ref: ArtifactRef) -> ArtifactMention:
    return mention_of(Mention(ref.format, ref.size, ref))


def _steps(trace: Trace) -> tuple[ProvenanceStep, ...]:
    return tuple(map(_step, trace.steps))


def _step(traced: TracedStep) -> ProvenanceStep:
    origins = (
        InputOrigin(name=name_of(each.name), artifact=mention_of(each.mention), maker=each.maker)
        for each in traced.inputs
    )
    return ProvenanceStep(
        id=traced.id,
        run=traced.run,
        workflow=name_of(traced.workflow),
        after=traced.after,
        origins=tuple(origins),
        step=step(traced.step),
    )


def _runs(found: RunsOf) -> RunsOfArtifact:
    return RunsOfArtifact(count=found.count, latest=tuple(map(_run, found.latest)))


def _run(entry: IndexEntry) -> RunOfArtifact:
    steps = (StepRole(role=use.role, step=name_of(use.step), function=name_of(use.function)) for use in entry.steps)
    return RunOfArtifact(
        run=entry.run, workflow=name_of(entry.workflow), started=moment(entry.started), steps=tuple(steps)
    )


def _keeping(found: Keeping) -> ArtifactKeeping:
    return ArtifactKeeping(
        records=_records(found.keepers),
        stored_at=found.stored_at,
        is_collected=found.is_collected,
        is_marked=found.is_marked,
        removable_from=None if found.removable_from is None else moment(found.removable_from),
    )


def _records(keepers: Iterable[Keeper]) -> tuple[KeepingRecord, ...]:
    return tuple(
        KeepingRecord(
            kind=keeper.kind,
            record=keeper.record,
            label=name_of(keeper.label),
            until=None if keeper.until is None else moment(keeper.until),
            through=keeper.through,
        )
        for keeper in keepers
    )
