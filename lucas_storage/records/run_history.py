"""Past runs, read from the records of `lucas_storage.records.run_record`."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from actorc.storage.errors import BucketNotFoundError, InvalidParameterError
from lucas_storage import parallel
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import NotFoundError

from . import record_store
from .distant_steps import joined
from .past_run import Attempt, Mention, PastRun, PastStep
from .record_writer import BEAT
from .ulid import is_ulid
from .untrusted_fields import (
    dicts_in,
    error_of,
    mentions_by_name,
    mentions_in,
    moment_of,
    number_of,
    step_of,
    strings_by_name,
    strings_in,
    text_of,
    text_or_none,
    values_by_name,
)

__all__ = [
    "Attempt",
    "Mention",
    "PastRun",
    "PastStep",
    "find",
    "keys",
    "read_all",
    "recent",
    "run_of",
    "steps_of_record",
    "with_large_fields",
]

UNENDED: Final = "running"
"""The status of a run that goes on, or was killed."""
_LATEST: Final = re.compile(r"last(?:~([0-9]{1,9}))?")
_HAS_NOT_ENDED: Final = (UNENDED, "lost")
_LOST_AFTER: Final = 6 * BEAT
"""Seconds without a word from a run after which it counts as killed; clocks of machines may differ by less."""


def recent(storage: ArtifactStore, count: int) -> list[PastRun]:
    """Return the last `count` runs, the latest first."""
    # By key before reading: of thousands of runs only those shown are read.
    latest = sorted(keys(storage), reverse=True)[:count]
    return [run for run in parallel.each(partial(_read, storage), latest) if run is not None]


def find(storage: ArtifactStore, text: str) -> PastRun:
    """Return the run whose id begins with `text`; ``last`` is the latest, ``last~1`` the one before it.

    Raises:
        NotFoundError: There is none.
        InvalidParameterError: There are several.
    """
    known = sorted(keys(storage))
    latest = _LATEST.fullmatch(text)
    if latest is not None:
        # Identifiers sort by time, so the greatest is the latest, and none of the records need be read.
        at = len(known) - 1 - int(latest[1] or 0)
        found = known[at : at + 1] if at >= 0 else []
    else:
        found = [key for key in known if key.startswith(text.upper())]
    if len(found) > 1:
        raise InvalidParameterError(f"{len(found)} runs begin with {text!r}; give more of the id")
    run = _read(storage, found[0], whole=True) if found else None
    if run is None:
        raise NotFoundError(f"there is no run {text!r}; 'lucas-storage runs' lists those there are")
    return run


def keys(storage: ArtifactStore, beginning: str = "") -> Iterator[str]:
    """Yield the ids of all runs, in the order of time; with `beginning`, only those that begin so."""
    prefix = f"{record_store.RUNS}{beginning}"
    token: str | None = None
    while True:
        try:
            # With a delimiter: a run has as many records as steps, and only its prefix is wanted.
            page = storage.list_objects(storage.bucket, prefix, delimiter="/", page_token=token, details=False)
        except BucketNotFoundError:
            return
        found = (each.removeprefix(record_store.RUNS).rstrip("/") for each in page["common_prefixes"])
        yield from filter(is_ulid, found)
        token = page["next_page_token"]
        if not token:
            return


def read_all(storage: ArtifactStore, ids: Iterable[str]) -> list[PastRun]:
    """Return the runs with these ids, in order; those without a record are left out."""
    found = record_store.read_keys(storage, [f"{record_store.RUNS}{key}/run.json" for key in ids])
    return parallel.each(partial(_with_steps, storage), found)


def _read(storage: ArtifactStore, key: str, *, whole: bool = False) -> PastRun | None:
    record = record_store.read(storage, f"{record_store.RUNS}{key}/run.json")
    return None if record is None else _with_steps(storage, record, whole=whole)


def _with_steps(storage: ArtifactStore, record: record_store.Record, *, whole: bool = False) -> PastRun:
    """Return the run of a record; `whole` with the large fields of its steps, which are read one by one."""
    key, content = record.key.split("/")[-2], record.content or {}
    heard = _heard(content, record.modified)
    status = "lost" if is_lost(record) else text_of(content.get("status"))
    # The record of a run that ended has its steps; of one that goes on, or was killed, each has a record of its own.
    steps = dicts_in(_unended_steps(storage, key) if status in _HAS_NOT_ENDED else content.get("steps"))
    if whole:
        steps = _whole_steps(storage, key, steps)
    return run_of(key, {**content, "status": status, "steps": steps, "heard": heard})


def with_large_fields(storage: ArtifactStore, run: str, past: PastStep) -> PastStep:
    """Return a step with the fields that the record of its run leaves out where they are large.

    Args:
        storage: Its default bucket is read.
        run: The id of the run.
        past: The step, as `read_all` returns it.
    """
    name = past.told or past.key
    record = record_store.read(storage, record_store.step_key(run, name)) if is_ulid(name) else None
    if record is None or not record.content:
        return past
    found = step_of(record.content)
    return replace(past, given=found.given, traceback=found.traceback, attempts=found.attempts)


def run_of(key: str, content: dict[str, Any]) -> PastRun:
    """Return the run that a record tells, whose steps stand in it."""
    status = text_of(content.get("status"))
    seconds = content.get("seconds")
    return PastRun(
        key=key,
        workflow=text_of(content.get("workflow")),
        status=status,
        started=moment_of(content.get("started")),
        seconds=None if seconds is None else number_of(seconds),
        error=error_of(content),
        parallel=int(number_of(content.get("parallel"))),
        inputs=mentions_by_name(content.get("in")),
        outputs=mentions_in(content.get("out")),
        after=strings_in(content.get("after")),
        steps=_in_order(steps_of_record(content), is_running=status == UNENDED),
        machine=text_or_none(content.get("machine")),
        python=text_or_none(content.get("python")),
        packages=strings_by_name(content.get("packages")),
        parameters=values_by_name(content.get("parameters")),
        withheld=strings_in(content.get("withheld")),
        message=text_or_none(content.get("message")),
        heard=None if content.get("heard") is None else moment_of(content["heard"]),
    )


def steps_of_record(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the steps in the record of a run with the fields of their functions, each of which it has once."""
    functions = dict(enumerate(dicts_in(content.get("functions"))))
    steps = dicts_in(content.get("steps"))
    return [{**functions.get(step["code"], {}), **step} if type(step.get("code")) is int else step for step in steps]


def is_lost(record: record_store.Record) -> bool:
    """Return whether a record is one of a run that has not ended, and of which nothing has been heard for a minute."""
    heard = _heard(record.content or {}, record.modified)
    return heard is not None and time.time() - heard > _LOST_AFTER


def _heard(content: dict[str, Any], modified: datetime) -> float | None:
    """Return when something was last heard of a run; None if it has ended, or its record is of an early version."""
    if content.get("status") != UNENDED or "beat" not in content:
        return None
    return max(moment_of(content["beat"]), modified.timestamp())


def _in_order(steps: list[dict[str, Any]], *, is_running: bool) -> tuple[PastStep, ...]:
    found = sorted(map(step_of, steps), key=lambda step: step.started)
    if is_running:
        return tuple(found)
    # A step of a run that ended, or was killed, does not run, whatever its record says.
    return tuple(replace(step, state="lost") if step.state == "running" else step for step in found)


def _whole_steps(storage: ArtifactStore, run: str, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records of steps with what their run leaves out: large fields, and what came late."""
    names = {name: at for at, step in enumerate(steps) for name in _names_of(step)}
    keys = [record_store.step_key(run, name) for name in names]
    whole = list(steps)
    for record in record_store.read_keys(storage, keys):
        at = names[record.key.rpartition("/")[2].removesuffix(".json")]
        whole[at] = _completed(whole[at], record.content or {})
    return whole


def _names_of(step: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the records that complete that of a step, that of another process last."""
    found = (step.get("key"), step.get("told")) if step.get("brief") is True else ()
    yield from (name for name in found if isinstance(name, str) and is_ulid(name))


def _completed(step: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    # The record of a distant step names that of the other process; that one does not.
    is_of_other = "told" in step and "told" not in more
    return joined(step, more) if is_of_other else {**step, **more}


def _unended_steps(storage: ArtifactStore, key: str) -> list[Any]:
    heads = record_store.heads(storage, f"{record_store.RUNS}{key}/steps/")
    found = [record.content for record in record_store.read_all(storage, heads) if record.content]
    # Of a distant step there are two.
    told = {each.get("key"): each for each in found if "told" not in each and isinstance(each.get("key"), str)}
    others = [each for each in found if "told" in each or not isinstance(each.get("key"), str)]
    known = [joined(each, told.pop(each.get("key"), {})) if "told" in each else each for each in others]
    return [*known, *told.values()]
