"""Garbage collection: what nothing refers to is removed, once it is old enough and was found so twice.

It runs beside everything else and is in nobody's way. What is on its way to being referred to is protected by its age:
a writer that finds its bytes stored already stores them again if they are older than half the grace period, and what
was stored again since it was marked is not removed.

Between a look at an object and its removal it can be stored again, and only a condition on the removal finds out. Where
the store has none, nothing is removed unless the caller stands up for it that nobody stores anything meanwhile.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import Any, Final

from actorc.storage.errors import NotFoundError, PreconditionFailedError, UnsupportedError
from actorc.storage.models import ObjectHead
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.records import record_store

from .live_objects import reach

_CONDITION: Final = "delete-if-match"
"""Capability of a store whose removals can be bound to what was looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Some objects."""

    objects: int = 0
    size: int = 0
    """Bytes."""

    @classmethod
    def of(cls, heads: list[ObjectHead]) -> Amount:
        """Return how much these are."""
        return cls(objects=len(heads), size=sum(head["size"] for head in heads))


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What one collection found and did."""

    reached: Amount
    """Artifacts and parts of them that something refers to."""
    young: Amount
    """What nothing refers to yet, or any more, within the grace period."""
    marked: Amount
    """What nothing refers to, found so for the first time: the next collection may remove it."""
    due: Amount
    """What was marked before and still is not referred to."""
    removed: Amount
    """What was removed of it; less than `due` if somebody took it into use meanwhile."""
    expired: int
    """Records whose time is over."""
    problems: tuple[str, ...]
    """Keys of records and artifacts that could not be read; while there are any, nothing is removed."""
    deleting: bool
    """Whether this was more than a look."""


def collect(
    storage: ArtifactStore, *, grace: float, ttl: float, now: float, delete: bool = False, quiescent: bool = False
) -> Collection:
    """Find what nothing refers to in the default bucket and, if told so, remove it.

    What is found is marked and removed by the collection after, if nothing refers to it then. Without `delete` nothing
    is changed, not even marks.

    Args:
        storage: Its default bucket is collected.
        grace: Seconds since it was last stored during which nothing is removed. No less than what writers know as
            ``LUCAS_STORAGE_GRACE``, and longer than the longest step.
        ttl: Seconds for which records of runs, checkpoints and cached results count.
        now: Seconds since 1970.
        delete: Whether to remove and to mark.
        quiescent: Whether nobody stores anything until this returns.

    Raises:
        UnsupportedError: It is to delete, the store removes without a condition only, and is not `quiescent`.
        StorageError: The store failed; what was not removed will be next time.
    """
    conditional = _CONDITION in storage.server_info()["capabilities"]
    if delete and not (conditional or quiescent):
        raise UnsupportedError(
            "whoever stored an artifact again while it is removed would lose it, since this store removes without a "
            "condition only; run 'lucas-storage gc --delete --quiescent' while no workflow runs"
        )
    # Listed before anything is looked up: what is put to use while this runs is found to be in use.
    blobs = _blobs(storage)
    found = reach(storage, ttl=ttl, now=now)
    unreached = [head for head in blobs if head["key"] not in found.keys]
    old = [head for head in unreached if now - head["last_modified"].timestamp() > grace]
    marks = _marks(storage)
    due = [head for head in old if marks.get(head["key"]) == head["etag"]]
    marked = [head for head in old if marks.get(head["key"]) != head["etag"]]
    deleting = delete and not found.problems
    remove = _remove if conditional else _remove_unwatched
    removed = [head for head in due if deleting and remove(storage, head["key"], head["etag"])]
    if deleting:
        for key, etag in found.expired:
            remove(storage, key, etag)
        _mark(storage, marked, now)
    return Collection(
        reached=Amount.of([head for head in blobs if head["key"] in found.keys]),
        young=Amount.of([head for head in unreached if now - head["last_modified"].timestamp() <= grace]),
        marked=Amount.of(marked),
        due=Amount.of(due),
        removed=Amount.of(removed),
        expired=len(found.expired),
        problems=tuple(found.problems),
        deleting=delete,
    )


def _blobs(storage: ArtifactStore) -> list[ObjectHead]:
    """Return the blobs that the plugin stored; anything else in the bucket is its owner's business."""
    start = f"{storage.prefix}/sha256/"
    ours = re.compile(re.escape(start) + r"[0-9a-f]{2}/[0-9a-f]{64}")
    return [head for head in record_store.heads(storage, start) if ours.fullmatch(head["key"])]


def _remove(storage: ArtifactStore, key: str, etag: str) -> bool:
    """Remove an object unless it was written since, and say whether it was."""
    try:
        storage.delete_object(storage.bucket, key, if_match=etag)
    except (NotFoundError, PreconditionFailedError):
        return False
    return True


def _remove_unwatched(storage: ArtifactStore, key: str, etag: str) -> bool:
    """Do the same where nobody writes meanwhile."""
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
