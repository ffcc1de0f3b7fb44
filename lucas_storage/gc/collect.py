"""Garbage collection: removes artifacts to which nothing refers, if they are old enough and were found so twice.

It runs beside workflows without stopping them. An artifact that is about to be referred to is protected by its age: a
writer that finds its bytes stored already stores them again if they are older than half the grace period, and an object
that was stored again since it was marked is not removed.

Between a look at an object and its removal it can be stored again, and only a condition on the removal detects that. If
the store has none, nothing is removed unless the caller guarantees that no process stores anything meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from actorc.storage.errors import NotFoundError, PreconditionFailedError, UnsupportedError
from lucas_storage.artifacts.blobs import CONDITIONAL_REMOVAL
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.records import record_store

from .judged_records import Judging
from .live_objects import ExpiredRecord
from .plan import Fate, Plan, plan
from .policy import NO_POLICY, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Number and bytes of some objects."""

    objects: int = 0
    size: int = 0
    """Bytes."""

    @classmethod
    def of(cls, found: Sequence[Fate | ExpiredRecord]) -> Amount:
        """Return number and bytes of these objects."""
        return cls(objects=len(found), size=sum(each.size for each in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """The result of one collection."""

    reached: Amount
    """Artifacts and parts of them that something refers to."""
    young: Amount
    """Unreferenced objects within the grace period."""
    marked: Amount
    """Unreferenced objects found so for the first time: the next collection may remove them."""
    due: Amount
    """Objects that were marked before and still are unreferenced."""
    removed: Amount
    """Removed objects; fewer than `due` if a writer stored some of them again meanwhile."""
    expired: int
    """Records that have expired."""
    problems: tuple[str, ...]
    """Keys of records and artifacts that could not be read; while there are any, nothing is removed."""
    deleting: bool
    """Whether the collection was asked to mark and remove."""
    policy: Policy
    """The policy that it obeyed."""
    plan: Plan = field(repr=False)
    """What was found of each object, before anything was changed."""


def collect(
    storage: ArtifactStore,
    *,
    grace: float,
    ttl: float,
    now: float | None = None,
    policy: Policy = NO_POLICY,
    delete: bool = False,
    quiescent: bool = False,
) -> Collection:
    """Find unreferenced artifacts in the default bucket and, with `delete`, mark or remove them.

    An artifact is marked first, and removed by the next collection if nothing refers to it then. Without `delete`
    nothing is changed, not even marks.

    Args:
        storage: Its default bucket is collected.
        grace: Seconds since an object was last stored during which it is not removed. No less than the writers'
            ``LUCAS_STORAGE_GRACE``, and longer than the longest step.
        ttl: Seconds for which records of runs, checkpoints and cached results count, unless the policy says so.
        now: Seconds since 1970; by default the time of the server, whose clock wrote down when objects were stored.
        policy: Says how long runs and publications count.
        delete: Whether to remove and to mark.
        quiescent: Whether no process stores anything until this returns.

    Raises:
        UnsupportedError: `delete` without `quiescent`, and the store has no conditional removal.
        StorageError: The store failed; the next collection continues.
    """
    # Asked of the server, not assumed by its kind: a gateway has only the conditions of the store behind it.
    server = storage.server_info()
    conditional = CONDITIONAL_REMOVAL in server["capabilities"]
    if delete and not (conditional or quiescent):
        raise UnsupportedError(
            "whoever stored an artifact again while it is removed would lose it, since this store removes without a "
            "condition only; run 'lucas-storage gc --delete --quiescent' while no workflow runs"
        )
    # Not by the clock of this machine: if it ran ahead, what is young would be removed.
    now = server["time"].timestamp() if now is None else now
    judging = Judging(policy=policy, ttl=ttl, grace=grace, now=now)
    found = plan(storage, judging, is_for_removal=delete)
    removed: list[Fate] = []
    # A record or an artifact that cannot be read may refer to anything.
    if delete and not found.problems:
        removed = _delete(storage, found, _remove if conditional else _remove_without_condition)
        _mark(storage, found.having("unmarked"), now)
    return Collection(
        reached=Amount.of(found.having("kept")),
        young=Amount.of(found.having("young")),
        marked=Amount.of(found.having("unmarked")),
        due=Amount.of(found.having("due")),
        removed=Amount.of(removed),
        expired=len(found.expired),
        problems=found.problems,
        deleting=delete,
        policy=policy,
        plan=found,
    )


def _delete(storage: ArtifactStore, found: Plan, remove: Callable[[ArtifactStore, str, str], bool]) -> list[Fate]:
    """Remove objects and expired records, and return the objects that were removed."""
    # Before the new marks replace the old ones: a collection that is killed here continues next time.
    removed = [fate for fate in found.having("due") if remove(storage, fate.key, fate.etag)]
    _forget(storage, found.expired, remove)
    # Without a condition: the run of such an entry is gone, and nobody writes it again.
    storage.delete_objects(storage.bucket, found.stale)
    return removed


def _forget(
    storage: ArtifactStore, expired: Iterable[ExpiredRecord], remove: Callable[[ArtifactStore, str, str], bool]
) -> None:
    """Remove expired records, but none of a run that was heard of again meanwhile."""
    heard: set[str] = set()
    for each in expired:
        key = each.keeper.record
        run, _, rest = key.removeprefix(record_store.RUNS).partition("/")
        if each.keeper.kind == "run" and run in heard:
            continue
        # The record of the run comes first: as long as it cannot be removed, its steps belong to it.
        if not remove(storage, key, each.etag) and rest == "run.json" and storage.object_exists(storage.bucket, key):
            heard.add(run)


def _remove(storage: ArtifactStore, key: str, etag: str) -> bool:
    """Remove an object unless it was written since, and return whether it was removed."""
    try:
        storage.delete_object(storage.bucket, key, if_match=etag)
    except (NotFoundError, PreconditionFailedError):
        return False
    return True


def _remove_without_condition(storage: ArtifactStore, key: str, etag: str) -> bool:
    """Do the same on a store without conditional removal, while no process writes."""
    try:
        if storage.head_object(storage.bucket, key)["etag"] != etag:
            return False
    except NotFoundError:
        return False
    storage.delete_object(storage.bucket, key)
    return True


def _mark(storage: ArtifactStore, fates: list[Fate], now: float) -> None:
    if fates:
        marks = {fate.key: fate.etag for fate in fates}
        record_store.write(storage, record_store.MARKED, {"marked": 1, "at": now, "objects": marks})
        return
    # Nothing was marked before, either.
    with contextlib.suppress(NotFoundError):
        storage.delete_object(storage.bucket, record_store.MARKED)
