"""Where an artifact comes from, who used it, and what keeps it: as data, for programs and all ways of showing it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

from lucas_storage import settings
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import InvalidParameterError
from lucas_storage.gc.judged_records import Judging
from lucas_storage.gc.policy import readable_policy
from lucas_storage.records.index.run_index import MOST, IndexEntry, digits_of
from lucas_storage.records.index.run_indexing import RunIndex
from lucas_storage.records.past_run import Mention
from lucas_storage.refs import ArtifactRef

from .descendants import descendants
from .kept_by import Keeping, keeping
from .origins import origins
from .trace import Trace, TracedStep

_LATEST: Final = 100
"""Runs that are named of those that made or read an artifact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsOf:
    """The runs that had one thing to do with an artifact."""

    count: int
    has_more: bool
    """Whether there may be more than were counted, since there are very many."""
    latest: tuple[IndexEntry, ...]
    """At most 100 of them, the latest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Where an artifact comes from, who read it, and what keeps it."""

    ref: ArtifactRef
    trace: Trace
    """The step that made it, and the steps that led to that one."""
    made: RunsOf
    """The runs that made it, or equal bytes."""
    reused: RunsOf
    """The runs that took it from an earlier run in place of a call."""
    read: RunsOf
    """The runs of which a step took it."""
    given: RunsOf
    """The runs that had it as an input."""
    keeping: Keeping

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        runs = {name: _runs_json(getattr(self, name)) for name in ("made", "reused", "read", "given")}
        return {"artifact": ref_json(self.ref), **trace_json(self.trace), **runs, "kept": _keeping_json(self.keeping)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """What was made from an artifact."""

    ref: ArtifactRef
    trace: Trace
    """The steps that took it, and the steps that took what those made."""
    runs: RunsOf
    """The runs of which a step took it."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"artifact": ref_json(self.ref), **trace_json(self.trace), "runs": _runs_json(self.runs)}


def explain(storage: ArtifactStore, ref: ArtifactRef, judging: Judging | None = None) -> Explanation:
    """Return where an artifact of the default bucket comes from, who read it, and what keeps it.

    Args:
        storage: Its default bucket holds the records; entries that the index of runs lacks are written there, if that
            is allowed.
        ref: The artifact.
        judging: Decides how long records count; None takes the policy of the bucket, and the settings.

    Raises:
        InvalidParameterError: The reference carries its bytes itself.
        StorageError: The store failed.
    """
    _check(ref)
    index = RunIndex(storage)
    entries = index.entries(digits_of(ref))
    judging = judging or _present(storage)
    # At the same time, since both mostly wait for the store.
    with ThreadPoolExecutor(1, "lucas-storage") as pool:
        traced = pool.submit(copy_context().run, origins, storage, index, ref)
        kept = keeping(storage, index, ref, entries, judging)
        trace = traced.result()
    return Explanation(
        ref=ref,
        trace=trace,
        made=_runs_of(entries, lambda entry: entry.has("made")),
        reused=_runs_of(entries, lambda entry: entry.has("reused")),
        read=_runs_of(entries, lambda entry: entry.has("used")),
        given=_runs_of(entries, lambda entry: entry.is_input),
        keeping=kept,
    )


def _present(storage: ArtifactStore) -> Judging:
    present = settings.resolve()
    policy = readable_policy(storage)
    return Judging(policy=policy, ttl=present.ttl.value, grace=present.grace.value, now=time.time())


def consequences(storage: ArtifactStore, ref: ArtifactRef) -> Consequences:
    """Return what was made from an artifact of the default bucket.

    Args:
        storage: As for `explain`.
        ref: The artifact.

    Raises:
        InvalidParameterError: The reference carries its bytes itself.
        StorageError: The store failed.
    """
    _check(ref)
    index = RunIndex(storage)
    read = _runs_of(index.entries(digits_of(ref)), lambda entry: entry.has("used"))
    return Consequences(ref=ref, trace=descendants(storage, index, ref), runs=read)


def _check(ref: ArtifactRef) -> None:
    if ref.inline is not None:
        raise InvalidParameterError(
            f"{ref!r} carries its bytes itself, and records name stored artifacts only; ask of one that is stored"
        )


def _runs_of(entries: list[IndexEntry], is_one: Callable[[IndexEntry], bool]) -> RunsOf:
    found = [entry for entry in entries if is_one(entry)]
    roles = Counter(entry.role for entry in entries)
    # A page that is full may not be the last one.
    has_more = any(roles[role] >= MOST for role in {entry.role for entry in found})
    return RunsOf(count=len(found), has_more=has_more, latest=tuple(found[:_LATEST]))


def ref_json(ref: ArtifactRef) -> dict[str, Any]:
    """Return the facts of a reference, and the reference without its signature, which allows to load a pickle."""
    uri = replace(ref, signature=None).uri
    return {"ref": uri, "format": ref.format, "size": ref.size, "digest": ref.digest, "file": ref.filename}


def trace_json(trace: Trace) -> dict[str, Any]:
    """Return a trace as JSON data: steps, and of each the ids of those that it follows."""
    steps = [_step_json(step) for step in trace.steps]
    return {"nearest": list(trace.nearest), "steps": steps, "complete": trace.is_complete}


def _step_json(traced: TracedStep) -> dict[str, Any]:
    step = traced.step
    return {
        "id": traced.id,
        "run": traced.run,
        "workflow": traced.workflow,
        "step": step.key,
        "function": step.function,
        "version": step.version,
        "state": step.state,
        "error": step.error,
        "started": step.started,
        "seconds": step.seconds,
        "machine": step.machine,
        "recorded": traced.is_recorded,
        "after": list(traced.after),
        "inputs": [{"name": each.name, **_mention_json(each.mention), "maker": each.maker} for each in traced.inputs],
        "outputs": [_mention_json(each) for each in step.outputs],
    }


def _mention_json(mention: Mention) -> dict[str, Any]:
    if mention.ref is None:
        return {"ref": None, "format": mention.format, "size": mention.size, "digest": None, "file": None}
    return ref_json(mention.ref)


def _runs_json(runs: RunsOf) -> dict[str, Any]:
    return {"count": runs.count, "more": runs.has_more, "latest": [_entry_json(entry) for entry in runs.latest]}


def _entry_json(entry: IndexEntry) -> dict[str, Any]:
    steps = [{"role": use.role, "step": use.step, "function": use.function} for use in entry.steps]
    return {"run": entry.run, "workflow": entry.workflow, "started": entry.started, "steps": steps}


def _keeping_json(found: Keeping) -> dict[str, Any]:
    return {
        "by": [asdict(keeper) for keeper in found.keepers],
        "stored_at": _iso(found.stored_at),
        "collected": found.is_collected,
        "marked": found.is_marked,
        "removable_from": found.removable_from,
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
