"""Garbage collection: removes artifacts to which nothing refers, if they are old enough and were found so twice.

It runs beside workflows without stopping them. An artifact that is about to be referred to is protected by its age: a
writer that finds its bytes stored already stores them again if they are older than half the grace period, and an object
that was stored again since it was marked is not removed.

Between a look at an object and its removal it can be stored again, and only a condition on the removal detects that. If
the store has none, nothing is removed unless the caller guarantees that no process stores anything meanwhile.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from actorc.storage.errors import NotFoundError, PreconditionFailedError, UnsupportedError
from actorc.storage.models import ObjectHead
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.records import record_store

from .live_objects import live_objects

_CONDITION: Final = "delete-if-match"
"""Capability of a store whose removals can be bound to the etag of the object that was looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Number and bytes of some objects."""

    objects: int = 0
    size: int = 0
    """Bytes."""

    @classmethod
    def of(cls, heads: list[ObjectHead]) -> Amount:
        """Return number and bytes of these objects."""
        return cls(objects=len(heads), size=sum(head["size"] for head in heads))


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


def collect(
    storage: ArtifactStore, *, grace: float, ttl: float, now: float, delete: bool = False, quiescent: bool = False
) -> Collection:
    """Find unreferenced artifacts in the default bucket and, with `delete`, mark or remove them.

    An artifact is marked first, and removed by the next collection if nothing refers to it then. Without `delete`
    nothing is changed, not even marks.

    Args:
        storage: Its default bucket is collected.
        grace: Seconds since an object was last stored during which it is not removed. No less than the writers'
            ``LUCAS_STORAGE_GRACE``, and longer than the longest step.
        ttl: Seconds for which records of runs, checkpoints and cached results count.
        now: Seconds since 1970.
        delete: Whether to remove and to mark.
        quiescent: Whether no process stores anything until this returns.

    Raises:
        UnsupportedError: `delete` without `quiescent`, and the store has no conditional removal.
        StorageError: The store failed; the next collection continues.
    """
    # Asked of the server, not assumed by its kind: a gateway has only the conditions of the store behind it.
    conditional = _CONDITION in storage.server_info()["capabilities"]
    if delete and not (conditional or quiescent):
        raise UnsupportedError(
            "whoever stored an artifact again while it is removed would lose it, since this store removes without a "
            "condition only; run 'lucas-storage gc --delete --quiescent' while no workflow runs"
        )
    # Blobs before records: a reference that is recorded in between is found. The other way round, a blob stored and
    # referred to in between would be listed as unreferenced.
    blobs = _blobs(storage)
    live = live_objects(storage, ttl=ttl, now=now)
    unreferenced = [head for head in blobs if head["key"] not in live.keys]
    old = [head for head in unreferenced if now - head["last_modified"].timestamp() > grace]
    marks = _marks(storage)
    # By etag: an object that was stored again since its mark is in use again, or soon will be.
    due = [head for head in old if marks.get(head["key"]) == head["etag"]]
    marked = [head for head in old if marks.get(head["key"]) != head["etag"]]
    removed: list[ObjectHead] = []
    # A record or an artifact that cannot be read may refer to anything.
    if delete and not live.problems:
        removed = _delete(storage, due, live.expired, _remove if conditional else _remove_without_condition)
        _mark(storage, marked, now)
    return Collection(
        reached=Amount.of([head for head in blobs if head["key"] in live.keys]),
        young=Amount.of([head for head in unreferenced if now - head["last_modified"].timestamp() <= grace]),
        marked=Amount.of(marked),
        due=Amount.of(due),
        removed=Amount.of(removed),
        expired=len(live.expired),
        problems=tuple(live.problems),
        deleting=delete,
    )


def _delete(
    storage: ArtifactStore,
    due: list[ObjectHead],
    expired: list[tuple[str, str]],
    remove: Callable[[ArtifactStore, str, str], bool],
) -> list[ObjectHead]:
    """Remove objects and expired records, and return the objects that were removed."""
    # Before the new marks replace the old ones: a collection that is killed here continues next time.
    removed = [head for head in due if remove(storage, head["key"], head["etag"])]
    for key, etag in expired:
        remove(storage, key, etag)
    return removed


def _blobs(storage: ArtifactStore) -> list[ObjectHead]:
    """Return the blobs that the plugin stored; other objects in the bucket are not its own, and are never removed."""
    start = f"{storage.prefix}/sha256/"
    ours = re.compile(re.escape(start) + r"[0-9a-f]{2}/[0-9a-f]{64}")
    return [head for head in record_store.heads(storage, start) if ours.fullmatch(head["key"])]


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


def _marks(storage: ArtifactStore) -> dict[str, Any]:
    record = record_store.read(storage, record_store.MARKED)
    objects = (record.content or {}).get("objects") if record else None
    return objects if isinstance(objects, dict) else {}


def _mark(storage: ArtifactStore, heads: list[ObjectHead], now: float) -> None:
    if heads:
        marks = {head["key"]: head["etag"] for head in heads}
        record_store.write(storage, record_store.MARKED, {"marked": 1, "at": now, "objects": marks})
        return
    with contextlib.suppress(NotFoundError):
        storage.delete_object(storage.bucket, record_store.MARKED)
