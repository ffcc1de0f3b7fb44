"""The route about garbage collection: what it would remove, and why the rest stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from actorc.storage.server.api.json_text import shortened
from actorc.storage.server.api.routes import PageSize, Request, Route
from lucas_storage.gc.judged_records import Judging
from lucas_storage.gc.live_objects import ExpiredRecord
from lucas_storage.gc.plan import Fate, plan

from .collection_limits import OfCollection, judging
from .request_store import RequestStore


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedObject:
    """What a collection would do with an object."""

    key: str
    size: int
    stored_at: datetime
    state: str
    """kept, young, unmarked or due."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Objects in one state."""

    objects: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NameLimit:
    """How many publications of some names stay."""

    names: str
    """A glob."""
    last: int | None
    """Null for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPolicy:
    """What the plan obeys."""

    seconds: float
    """How long runs, checkpoints and results count."""
    keep_last: tuple[NameLimit, ...]
    """The first that matches a name is the name's; other names keep all publications."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionPlan:
    """What a collection would do; nothing is done."""

    totals: dict[str, Total]
    """By state."""
    policy: AppliedPolicy
    kept_by: dict[str, Total]
    """Kept objects by the kind of the record that keeps each longest: name, memo, checkpoint or run."""
    expired_records: int
    expired: dict[str, Total]
    """Records whose time is over, by kind."""
    problems: tuple[str, ...]
    """Keys that could not be read; while there are any, nothing is removed."""
    objects: tuple[PlannedObject, ...]
    """By key."""
    next_after: str
    """Pass it as `after` for the next ones; empty if there are none."""


class OfPlan(OfCollection):
    """Those of the plan of a collection."""

    state: Annotated[
        Literal["", "kept", "young", "unmarked", "due"], msgspec.Meta(description="Only objects in this state.")
    ] = ""
    page_size: PageSize = 100
    after: Annotated[str, msgspec.Meta(max_length=1024, description="Only objects with greater keys.")] = ""


def gc_routes() -> list[Route]:
    """Return the route about garbage collection."""
    return [
        Route(
            path="/gc",
            name="gc",
            tag="artifacts",
            summary="Tell what a collection would do with each artifact, and why. Reads all records of the bucket.",
            answer=CollectionPlan,
            handle=_plan,
            parameters=OfPlan,
        )
    ]


def _plan(request: Request, parameters: OfPlan) -> CollectionPlan:
    storage = RequestStore(request, parameters.bucket)
    limits = judging(storage, parameters)
    found = plan(storage, limits)
    wanted = [fate for fate in found.objects if fate.key > parameters.after and parameters.state in ("", fate.state)]
    shown = wanted[: parameters.page_size]
    return CollectionPlan(
        totals={state: _total(fates) for state, fates in found.by_state().items()},
        policy=_policy(limits),
        kept_by={kind: _total(fates) for kind, fates in found.kept_by().items()},
        expired_records=len(found.expired),
        expired={kind: _total(records) for kind, records in found.expired_by_kind().items()},
        problems=found.problems[:1000],
        objects=tuple(map(_object, shown)),
        next_after=shown[-1].key if len(shown) < len(wanted) else "",
    )


def _policy(limits: Judging) -> AppliedPolicy:
    rules = (NameLimit(names=rule.names, last=rule.last) for rule in limits.policy.keep_last)
    return AppliedPolicy(seconds=limits.seconds, keep_last=tuple(rules))


def _total(found: Sequence[Fate | ExpiredRecord]) -> Total:
    return Total(objects=len(found), size=sum(each.size for each in found))


def _object(fate: Fate) -> PlannedObject:
    reason = shortened(fate.reason, 1000)
    return PlannedObject(key=fate.key, size=fate.size, stored_at=fate.stored_at, state=fate.state, reason=reason)
