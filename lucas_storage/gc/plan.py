"""What a collection would do with each object, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, TypeVar

from actorc.storage.models import ObjectHead
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.records import record_store
from lucas_storage.records.index.run_index import INDEXED, MARKS, run_of_entry
from lucas_storage.records.ulid import is_ulid

from .judged_records import Judging
from .keepers import Keeper, KeeperKind
from .live_objects import ExpiredRecord, LiveObjects, live_objects

T = TypeVar("T")
K = TypeVar("K")
FateState: TypeAlias = Literal["kept", "young", "unmarked", "due"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of one object: an artifact, or a part of one."""

    key: str
    etag: str
    size: int
    """Bytes."""
    stored_at: datetime
    """When it was stored last; aware, UTC."""
    state: FateState
    """``kept`` by a record; of those that nothing refers to, ``young`` within the grace period, ``due`` if marked, so
    that it is removed next, and else ``unmarked``."""
    keeper: Keeper | None
    """The record that keeps it longest."""

    @property
    def reason(self) -> str:
        """The state in words."""
        if self.keeper is None:
            return _REASONS[self.state]
        through = f" through {self.keeper.through}" if self.keeper.through else ""
        return f"kept by {self.keeper.words}{through}"


_REASONS: Final[dict[FateState, str]] = {
    "kept": "kept",
    "young": "nothing refers to it; it was stored within the grace period",
    "unmarked": "nothing refers to it; the next collection marks it",
    "due": "nothing refers to it, and it is marked; the next collection removes it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a collection would do."""

    objects: tuple[Fate, ...]
    """By key."""
    expired: tuple[ExpiredRecord, ...]
    """Those of one run together, its own record first."""
    stale: tuple[str, ...]
    """Keys of the entries of the index of runs whose runs have no record any more, if they were looked for."""
    problems: tuple[str, ...]
    """Keys of records and artifacts that could not be read; while there are any, nothing is removed."""

    def having(self, *states: FateState) -> list[Fate]:
        """Return the objects in these states."""
        return [fate for fate in self.objects if fate.state in states]

    def by_state(self) -> dict[FateState, list[Fate]]:
        """Return the objects by their states, of which those without objects are left out."""
        return _grouped(self.objects, lambda fate: fate.state)

    def kept_by(self) -> dict[KeeperKind, list[Fate]]:
        """Return the objects that stay by the kind of the record that keeps each longest."""
        return _grouped(self.having("kept"), lambda fate: fate.keeper.kind if fate.keeper else "run")

    def expired_by_kind(self) -> dict[KeeperKind, list[ExpiredRecord]]:
        """Return the records whose time is over by their kinds."""
        return _grouped(self.expired, lambda record: record.keeper.kind)


def _grouped(found: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    groups: dict[K, list[T]] = {}
    for each in found:
        groups.setdefault(key(each), []).append(each)
    return groups


def plan(storage: ArtifactStore, judging: Judging, *, is_for_removal: bool = False) -> Plan:
    """Return what a collection of the default bucket would do with each object, and why; changes nothing.

    Args:
        storage: Its default bucket is read.
        judging: Decides how long records count; its grace spares objects that were stored within it.
        is_for_removal: Whether to look for stale entries of the index of runs as well.

    Raises:
        StorageError: The store failed.
    """
    # Marks before all else: what another collection marks meanwhile was found unreferenced twice at once, so only once.
    marked = marks(storage)
    # Blobs before records: a reference that is recorded in between is found. The other way round, a blob stored and
    # referred to in between would be listed as unreferenced. So it is with entries and the records of their runs.
    blobs = _blobs(storage)
    entries = list(record_store.keys(storage, record_store.LINEAGE)) if is_for_removal else []
    live = live_objects(storage, judging)
    return Plan(
        objects=tuple(_fate(head, live, marked, judging.now - judging.grace) for head in blobs),
        expired=tuple(live.expired),
        stale=tuple(_stale(storage, entries, live.runs)),
        problems=tuple(live.problems),
    )


def is_collected(storage: ArtifactStore, key: str) -> bool:
    """Return whether an object of the default bucket is one that collections remove: an artifact, or a part of one."""
    return bool(re.fullmatch(re.escape(_start(storage)) + r"[0-9a-f]{2}/[0-9a-f]{64}", key))


def _start(storage: ArtifactStore) -> str:
    return f"{storage.prefix}/sha256/"


def _fate(head: ObjectHead, live: LiveObjects, marked: dict[str, Any], old: float) -> Fate:
    keeper = live.keepers.get(head["key"])
    state: FateState = "unmarked"
    if keeper is not None:
        state = "kept"
    elif head["last_modified"].timestamp() >= old:
        state = "young"
    elif marked.get(head["key"]) == head["etag"]:
        # By etag: an object that was stored again since its mark is in use again, or soon will be.
        state = "due"
    return Fate(
        key=head["key"],
        etag=head["etag"],
        size=head["size"],
        stored_at=head["last_modified"],
        state=state,
        keeper=keeper,
    )


def _blobs(storage: ArtifactStore) -> list[ObjectHead]:
    """Return the blobs that the plugin stored; other objects in the bucket are not its own, and are never removed."""
    return [head for head in record_store.heads(storage, _start(storage)) if is_collected(storage, head["key"])]


def _stale(storage: ArtifactStore, entries: list[str], runs: set[str]) -> list[str]:
    """Return the entries of runs that have no record, and the marks that say no more than the index as a whole does."""
    record = record_store.read(storage, INDEXED) if entries else None
    until: Any = ((record.content if record else None) or {}).get("until")
    marked = [key for key in entries if is_ulid(_marked(key))]
    covered = {key for key in marked if isinstance(until, str) and _marked(key) < until}
    found = [*((key, run_of_entry(key)) for key in entries), *((key, _marked(key)) for key in marked)]
    return [key for key, run in found if run is not None and (key in covered or run not in runs)]


def _marked(key: str) -> str:
    return key.removeprefix(MARKS).removesuffix(".json")


def marks(storage: ArtifactStore) -> dict[str, Any]:
    """Return the etags of the objects that the last collection marked, by their keys."""
    record = record_store.read(storage, record_store.MARKED)
    objects = (record.content or {}).get("objects") if record else None
    return objects if isinstance(objects, dict) else {}
