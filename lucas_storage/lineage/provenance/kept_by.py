"""What keeps one artifact from being collected, and when it may go; of all artifacts, `lucas_storage.gc.plan` tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Final

from actorc.storage.errors import NotFoundError
from actorc.storage.models import ObjectHead
from lucas_storage import parallel
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.gc.judged_records import Judging, limited
from lucas_storage.gc.keepers import Keeper, keeper_of
from lucas_storage.gc.live_objects import live_objects
from lucas_storage.gc.plan import is_collected, marks
from lucas_storage.gc.publications import ends_of_publications
from lucas_storage.records import record_store, record_text
from lucas_storage.records.index.run_index import IndexEntry, digits_of
from lucas_storage.records.index.run_indexing import RunIndex
from lucas_storage.records.record_store import Record
from lucas_storage.refs import ArtifactRef

from .trace import HOLDERS

_RUNS: Final = 20
"""Runs whose records are asked how old they are: the latest, which count longest."""
_MEMOS: Final = 200
"""Cached results that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What keeps an artifact, and when it may go."""

    keepers: tuple[Keeper, ...]
    """Those that count longest first. Of many runs and cached results the latest, and the longest of all where no
    record refers to the artifact directly."""
    stored_at: datetime | None
    """When it was stored last; aware, UTC. None if it is not there."""
    is_collected: bool
    """Whether collections remove such an object at all: artifacts of the default bucket, and nothing else."""
    is_marked: bool
    """Whether a collection found that nothing refers to it."""
    removable_from: float | None
    """Seconds since 1970 from which on a collection may mark and then remove it; None if that is never, or it is not
    there."""


def keeping(
    storage: ArtifactStore, index: RunIndex, ref: ArtifactRef, entries: list[IndexEntry], judging: Judging
) -> Keeping:
    """Return what keeps an artifact of the default bucket from being collected.

    Args:
        storage: Its default bucket holds the artifact and the records.
        index: Of the same bucket.
        ref: A stored artifact.
        entries: Those of the artifact in the index of runs, the latest first.
        judging: Decides how long records count.
    """
    head = _head(storage, ref.bucket, ref.key)
    stored_at = None if head is None else head["last_modified"]
    if head is None or ref.bucket != storage.bucket or not is_collected(storage, ref.key):
        return Keeping(keepers=(), stored_at=stored_at, is_collected=head is None, is_marked=False, removable_from=None)
    records = _of_records(storage, _Holders(index, ref, entries), entries, judging)
    found = [keeper for keeper in records if keeper.strength >= judging.now]
    if not found:
        # A record that the index does not know may refer to it. Garbage collection knows all, and takes longer.
        strongest = live_objects(storage, judging).keepers.get(ref.key)
        found = [] if strongest is None else [strongest]
    keepers = sorted(found, key=lambda keeper: -keeper.strength)
    return Keeping(
        keepers=tuple(keepers),
        stored_at=stored_at,
        is_collected=True,
        is_marked=marks(storage).get(ref.key) == head["etag"],
        removable_from=_removable_from(keepers, head["last_modified"].timestamp() + judging.grace),
    )


class _Holders:
    """An artifact, and the artifacts that hold it as far as the index of runs knows."""

    def __init__(self, index: RunIndex, ref: ArtifactRef, entries: list[IndexEntry]) -> None:
        self._asked = digits_of(ref)
        self.digits = {self._asked}
        outer = {digits for entry in entries for digits in entry.within}
        for _ in range(HOLDERS):
            new = sorted(outer - self.digits)[:_RUNS]
            self.digits.update(new)
            found = parallel.each(partial(index.entries, most=_RUNS), new)
            outer = {digits for entries in found for entry in entries for digits in entry.within}

    def keeper(self, record: Record, ttl: float) -> Keeper | None:
        """Return the keeper that a record is, if it refers to one of these."""
        found = {digits_of(ref): ref for ref in record_text.refs_in(record.content)}
        keeper = keeper_of(record, ttl)
        if self._asked in found:
            return keeper
        outer = next((found[digits] for digits in found if digits in self.digits), None)
        return None if outer is None else replace(keeper, through=outer.key)


def _of_records(
    storage: ArtifactStore, holders: _Holders, entries: list[IndexEntry], judging: Judging
) -> Iterator[Keeper]:
    names = list(record_store.heads(storage, record_store.NAMES))
    # A policy counts publications, so it needs them all.
    listed = record_store.read_all(storage, names) if judging.policy.keep_last else []
    ends = ends_of_publications(listed, judging.policy, grace=judging.grace)
    heads = chain(names, record_store.heads(storage, record_store.CHECKPOINTS))
    memos = record_store.read_keys(storage, _memo_keys(entries))
    for record in (*record_store.read_mentioning(storage, heads, holders.digits), *memos):
        keeper = holders.keeper(record, judging.seconds)
        if keeper is not None:
            yield limited(keeper, ends, judging.policy.last_of) if keeper.kind == "name" else keeper
    # By the head alone: that a run has to do with the artifact is known from its entry.
    latest = entries[:_RUNS]
    keys = [f"{record_store.RUNS}{entry.run}/run.json" for entry in latest]
    for entry, found in zip(latest, parallel.each(partial(_head, storage, storage.bucket), keys), strict=True):
        if found is not None:
            content = {"workflow": entry.workflow}
            record = Record(key=found["key"], content=content, etag=found["etag"], modified=found["last_modified"])
            yield keeper_of(record, judging.seconds)


def _memo_keys(entries: list[IndexEntry]) -> list[str]:
    memos = dict.fromkeys(use.memo for entry in entries for use in entry.steps if use.memo)
    return [record_store.record_key(record_store.MEMO, memo) for memo in list(memos)[:_MEMOS]]


def _head(storage: ArtifactStore, bucket: str, key: str) -> ObjectHead | None:
    try:
        return storage.head_object(bucket, key)
    except NotFoundError:
        return None


def _removable_from(keepers: list[Keeper], end_of_grace: float) -> float | None:
    untils = [keeper.until for keeper in keepers]
    ends = [until for until in untils if until is not None]
    return None if len(ends) < len(untils) else max([end_of_grace, *ends])
