"""All records of a bucket, each with how long it counts: by itself, by the run that needs it, and by the policy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain, groupby, islice
from typing import Any, Final, NamedTuple

from actorc.storage.models import ObjectHead
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.records import record_store

from .keepers import Keeper, keeper_of
from .policy import Policy
from .publications import ends_of_publications
from .record_scan import ScannedRecord, scan_all

_BATCH: Final = 200
"""Records that are read together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What decides how long a record counts."""

    policy: Policy
    ttl: float
    """Seconds for which runs, checkpoints and cached results count, unless the policy says something else."""
    grace: float
    """Seconds for which a publication counts that the policy lets go."""
    now: float
    """Seconds since 1970."""

    @property
    def seconds(self) -> float:
        """How long runs, checkpoints and cached results count."""
        return self.policy.seconds(self.ttl)


class JudgedRecord(NamedTuple):
    """A record, and how long it counts."""

    record: ScannedRecord
    """Without content if it is of a run whose time is over: that is not read."""
    keeper: Keeper
    size: int
    """Bytes."""


@dataclass(slots=True)
class _Needs:
    """Until when runs count, and the cached results that their steps name; seconds since 1970."""

    runs: dict[str, float] = field(default_factory=dict)
    memos: dict[str, float] = field(default_factory=dict)

    def note(self, run: str, until: float, record: ScannedRecord) -> None:
        """Note a record of a run that counts."""
        self.runs[run] = until
        for memo in record.memos:
            self.memos[memo] = max(until, self.memos.get(memo, until))

    def until(self, record: ScannedRecord) -> float:
        """Return until when a run needs a cached result or a checkpoint: one that names it, or that made it."""
        run: Any = (record.content or {}).get("run")
        of_run = self.runs.get(run, 0.0) if isinstance(run, str) else 0.0
        return max(of_run, self.memos.get(record.key.rpartition("/")[2].removesuffix(".json"), 0.0))


def judged_records(storage: ArtifactStore, pool: ThreadPoolExecutor, judging: Judging) -> Iterator[JudgedRecord]:
    """Yield every record that can keep artifacts, those of runs first, then those of names.

    A run counts as a whole, from the last word that was heard of it: one that goes on, on any machine, writes a record
    every ten seconds. Cached results and checkpoints count at least as long as a run that made or reused them, since it
    is resumed with them; a cached result with an age limit of its own counts no longer, since nobody uses it then.

    Args:
        storage: Its default bucket is read.
        pool: Reads many at once.
        judging: Decides.
    """
    needs = _Needs()
    groups = groupby(record_store.heads(storage, record_store.RUNS), key=_run_of)
    for found in pool.map(partial(_of_runs, storage, judging), _batched(map(_listed, groups))):
        for run, judged in found:
            if judged.keeper.strength >= judging.now:
                needs.note(run, judged.keeper.strength, judged.record)
            yield judged
    yield from _of_names(storage, pool, judging)
    heads = chain.from_iterable(
        record_store.heads(storage, each) for each in (record_store.MEMO, record_store.CHECKPOINTS)
    )
    for judged in chain.from_iterable(pool.map(partial(_read, storage, judging.seconds), _batches(heads))):
        yield judged._replace(keeper=_needed(judged, needs))


def _needed(judged: JudgedRecord, needs: _Needs) -> Keeper:
    keeper, age = judged.keeper, (judged.record.content or {}).get("age")
    if keeper.kind == "memo" and age is not None:
        return keeper
    return replace(keeper, until=max(keeper.strength, needs.until(judged.record)))


def _of_runs(storage: ArtifactStore, judging: Judging, runs: list[list[ObjectHead]]) -> list[tuple[str, JudgedRecord]]:
    """Return the records of some runs, those of one that is over unread."""
    found: list[tuple[str, JudgedRecord]] = []
    counting: dict[str, float] = {}
    for heads in runs:
        run = _run_of(heads[0])
        until = max(head["last_modified"] for head in heads).timestamp() + judging.seconds
        if until >= judging.now:
            counting[run] = until
        else:
            found += ((run, _ended(head, judging.seconds, until)) for head in heads)
    heads_of = [head for heads in runs for head in heads if _run_of(head) in counting]
    for judged in _read(storage, judging.seconds, heads_of):
        run = judged.record.key.split("/")[1]
        found.append((run, judged._replace(keeper=replace(judged.keeper, until=counting[run]))))
    return found


def _ended(head: ObjectHead, seconds: float, until: float) -> JudgedRecord:
    record = ScannedRecord(key=head["key"], content=None, etag=head["etag"], modified=head["last_modified"])
    return JudgedRecord(record, replace(keeper_of(record, seconds), until=until), head["size"])


def _of_names(storage: ArtifactStore, pool: ThreadPoolExecutor, judging: Judging) -> list[JudgedRecord]:
    heads = record_store.heads(storage, record_store.NAMES)
    found = list(chain.from_iterable(pool.map(partial(_read, storage, judging.seconds), _batches(heads))))
    ends = ends_of_publications((each.record for each in found), judging.policy, grace=judging.grace)
    last_of = cache(judging.policy.last_of)  # a name has as many records as publications
    return [each._replace(keeper=limited(each.keeper, ends, last_of)) for each in found]


def limited(keeper: Keeper, ends: dict[str, float], last_of: Callable[[str], int | None]) -> Keeper:
    """Return the keeper that a record of a name is.

    Args:
        keeper: The keeper that it is by itself.
        ends: Until when those records count that a policy lets go.
        last_of: Returns how many publications of a name the policy keeps.
    """
    name, _, rest = keeper.record.removeprefix(record_store.NAMES).partition("/")
    if rest.startswith("aliases/"):
        return keeper
    return replace(keeper, until=ends.get(keeper.record), last=last_of(name))


def _read(storage: ArtifactStore, seconds: float, heads: list[ObjectHead]) -> list[JudgedRecord]:
    """Return records that are there, as keepers by themselves."""
    sizes = {head["key"]: head["size"] for head in heads}
    # Those that were removed meanwhile are not among them.
    read = scan_all(storage, heads)
    return [JudgedRecord(each, keeper_of(each, seconds), sizes[each.key]) for each in read]


def _run_of(head: ObjectHead) -> str:
    return head["key"].split("/")[1]


def _listed(group: tuple[str, Iterable[ObjectHead]]) -> list[ObjectHead]:
    return list(group[1])


def _batches(heads: Iterable[ObjectHead]) -> Iterator[list[ObjectHead]]:
    some = iter(heads)
    while batch := list(islice(some, _BATCH)):
        yield batch


def _batched(runs: Iterable[list[ObjectHead]]) -> Iterator[list[list[ObjectHead]]]:
    """Yield runs, together as many as have the records of a batch."""
    batch: list[list[ObjectHead]] = []
    count = 0
    for heads in runs:
        batch.append(heads)
        count += len(heads)
        if count >= _BATCH:
            yield batch
            batch, count = [], 0
    if batch:
        yield batch
