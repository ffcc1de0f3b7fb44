"""Entries in the index for runs that wrote none: of earlier versions, killed, or cut off as they ended.

It is done by those who ask, before they ask. Any number may do it at the same time, and end at any time: the same run
has the same entries, and its mark is written after them.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from functools import partial
from itertools import chain
from typing import Any, Final

from actorc.storage.errors import StorageError
from lucas_storage import parallel
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.records import record_store, run_history
from lucas_storage.records.past_run import PastRun
from lucas_storage.records.ulid import first_at, is_ulid, moment_of

from . import run_index
from .run_index import INDEXED, MARKS, MOST, ROLES, IndexEntry, Role

logger = logging.getLogger(__name__)

_SETTLED: Final = 2 * 86_400.0
"""Seconds after which a run that has not ended counts as killed; until then its records are read anew each time."""
_LOST: Final = 3600.0
"""Seconds after which one does of which nothing is heard."""
_BATCH: Final = 200
"""Runs whose records are held in memory together."""
_MANY: Final = 1000
"""Runs whose adding is told."""
_WORTH: Final = 500
"""Runs after which the moment up to which all are indexed is written anew."""
_TIMEOUT: Final = 60.0
"""Seconds for one call that writes entries."""
_LISTINGS: Final = 16


class RunIndex:
    """The index of the default bucket, complete up to the moment in which it was made. Safe to share between threads.

    Args:
        storage: Its default bucket is read; entries that are missing are written there, if that is allowed.
        now: Seconds since 1970; None for the present moment.
    """

    def __init__(self, storage: ArtifactStore, now: float | None = None) -> None:
        self._storage = storage
        self._more: dict[str, list[IndexEntry]] = defaultdict(list)
        """Entries that are not written: of runs that go on, and where writing is not allowed."""
        self._may_write = True
        self._complete(time.time() if now is None else now)

    def entries(self, digits: str, role: Role | None = None, most: int = MOST) -> list[IndexEntry]:
        """Return the entries of an artifact, those of the latest runs and the latest first.

        Args:
            digits: Of the artifact, by `run_index.digits_of`.
            role: Only those that are found under this role; None for all.
            most: Entries of one role at most.
        """
        roles = ROLES if role is None else (role,)
        pages = parallel.each(lambda each: run_index.entries(self._storage, digits, each, most), roles)
        unwritten = [entry for entry in self._more.get(digits, ()) if entry.role in roles]
        # Of a run that was indexed as lost and then ended there may be several, of which the first role tells all.
        found: dict[str, IndexEntry] = {}
        for entry in chain(unwritten, *pages):
            found.setdefault(entry.run, entry)
        return [found[run] for run in sorted(found, reverse=True)]

    def _complete(self, now: float) -> None:
        done = _indexed(self._storage)
        known, marked = _listed(self._storage, done, now)
        missing = [run for run in known if run not in marked]
        if len(missing) >= _MANY:
            # A warning, since people wait for it: minutes for tens of thousands, and once.
            logger.warning("%d runs are not in the index of lineage yet, and are added to it, once", len(missing))
        batches = (missing[at : at + _BATCH] for at in range(0, len(missing), _BATCH))
        unsettled = [run for batch in batches for run in self._add(batch, now)]
        # An hour less: the record of a run is written a little after its id is made, by another machine's clock.
        until = min((*unsettled, first_at(now - 3600)))
        if self._may_write and sum(run < until for run in known) >= _WORTH:
            self._write_moment(until)

    def _add(self, ids: list[str], now: float) -> list[str]:
        """Index some runs, and return those that may still go on."""
        runs = run_history.read_all(self._storage, ids)
        unsettled = [run for run in runs if _may_go_on(run, now)]
        settled = [run for run in runs if not _may_go_on(run, now)]
        self._may_write = self._may_write and self._write(settled)
        for run in unsettled if self._may_write else runs:
            self._remember(run)
        return [run.key for run in unsettled]

    def _remember(self, run: PastRun) -> None:
        for entry in run_index.entries_of(run):
            if entry.ref is not None:
                self._more[run_index.digits_of(entry.ref)].append(entry)

    def _write(self, runs: list[PastRun]) -> bool:
        """Write entries, then marks, and return whether that was possible."""
        entries = [entry for run in runs for entry in run_index.entries_of(run)]
        try:
            record_store.write_all(run_index.prepared(self._storage, entries), _TIMEOUT)
            record_store.write_all((run_index.prepared_mark(self._storage, run.key) for run in runs), _TIMEOUT)
        except StorageError as error:
            # A reader's key may not write, and a server may be full: the answer is the same, it only takes longer.
            logger.info("the index of lineage is not written because of %s", type(error).__name__)
            return False
        return True

    def _write_moment(self, until: str) -> None:
        try:
            record_store.write(self._storage, INDEXED, {"lineage": 1, "until": until})
        except StorageError as error:
            logger.info("the index of lineage is not written because of %s", type(error).__name__)


def _may_go_on(run: PastRun, now: float) -> bool:
    # A run that is lost may be heard of again, and writes its entries itself as it ends.
    settled = {run_history.UNENDED: _SETTLED, "lost": _LOST}.get(run.status, 0.0)
    # Either way from now: an id of the far future is no reason to read its records for ever.
    return abs(now - moment_of(run.key)) < settled


def _indexed(storage: ArtifactStore) -> str:
    """Return the id up to which every run is indexed; empty if none is known to be."""
    record = record_store.read(storage, INDEXED)
    until: Any = ((record.content if record else None) or {}).get("until")
    return until if isinstance(until, str) and is_ulid(until) else ""


def _listed(storage: ArtifactStore, after: str, now: float) -> tuple[list[str], set[str]]:
    """Return the runs with ids from `after` on, and those of them that are marked."""
    beginnings = _beginnings(after, now)
    # Both at the same time: of ten thousand new runs each takes ten pages.
    listings = [
        *(partial(_runs, storage, each) for each in beginnings),
        *(partial(_marks, storage, each) for each in beginnings),
    ]
    found = parallel.each(lambda listing: listing(), listings)
    known, marked = found[: len(beginnings)], found[len(beginnings) :]
    return [run for each in known for run in each if run >= after], set(chain.from_iterable(marked))


def _runs(storage: ArtifactStore, beginning: str) -> list[str]:
    return list(run_history.keys(storage, beginning))


def _marks(storage: ArtifactStore, beginning: str) -> list[str]:
    keys = record_store.keys(storage, f"{MARKS}{beginning}")
    return [key.removeprefix(MARKS).removesuffix(".json") for key in keys]


def _beginnings(after: str, now: float) -> list[str]:
    """Return the beginnings of all ids from `after` to `now`, few and long ones; of all ids, if that takes too many."""
    # Stores list by prefix and not by range. The beginning of an id is the time at which it was made.
    last = first_at(now + 3600)
    for length in (5, 4, 3):
        step = 1 << 5 * (10 - length)
        first = int(moment_of(after) * 1000) // step if after else 0
        count = int(moment_of(last) * 1000) // step - first + 1
        if 0 < count <= _LISTINGS:
            return [first_at((first + number) * step / 1000 + 1e-4)[:length] for number in range(count)]
    return [""]
