"""The route about garbage collection: what it would remove, and why the rest stays."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from actorc.storage.server.api.json_text import shortened
from actorc.storage.server.api.routes import PageSize, Request, Route
from lucas_storage import settings
from lucas_storage.gc.plan import Fate, FateState, plan

from .request_store import OfStore, RequestStore

_DEFAULTS: Final = settings.built_in()


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
class CollectionPlan:
    """What a collection would do; nothing is done."""

    totals: dict[str, Total]
    """By state."""
    expired_records: int
    problems: tuple[str, ...]
    """Keys that could not be read; while there are any, nothing is removed."""
    objects: tuple[PlannedObject, ...]
    """By key."""
    next_after: str
    """Pass it as `after` for the next ones; empty if there are none."""


class OfPlan(OfStore):
    """Those of the plan of a collection."""

    grace: Annotated[
        int, msgspec.Meta(ge=0, le=10**10, description="Seconds since an object was stored last in which it stays.")
    ] = int(_DEFAULTS.grace.value)
    ttl: Annotated[
        int, msgspec.Meta(ge=0, le=10**10, description="Seconds for which records of runs and results count.")
    ] = int(_DEFAULTS.ttl.value)
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
    found = plan(storage, grace=parameters.grace, ttl=parameters.ttl, now=time.time())
    wanted = [fate for fate in found.objects if fate.key > parameters.after and parameters.state in ("", fate.state)]
    shown = wanted[: parameters.page_size]
    return CollectionPlan(
        totals=_totals(found.objects),
        expired_records=len(found.expired),
        problems=found.problems[:1000],
        objects=tuple(map(_object, shown)),
        next_after=shown[-1].key if len(shown) < len(wanted) else "",
    )


def _totals(fates: tuple[Fate, ...]) -> dict[str, Total]:
    totals: dict[FateState, tuple[int, int]] = {}
    for fate in fates:
        count, size = totals.get(fate.state, (0, 0))
        totals[fate.state] = count + 1, size + fate.size
    return {state: Total(objects=count, size=size) for state, (count, size) in totals.items()}


def _object(fate: Fate) -> PlannedObject:
    reason = shortened(fate.reason, 1000)
    return PlannedObject(key=fate.key, size=fate.size, stored_at=fate.stored_at, state=fate.state, reason=reason)
