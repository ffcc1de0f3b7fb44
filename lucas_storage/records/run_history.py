"""Past runs, read from the records of `lucas_storage.records.run_log`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from actorc.storage.errors import BucketNotFoundError, InvalidParameterError
from lucas_storage import parallel
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import NotFoundError

from . import record_store
from .past_run import Attempt, Mention, PastRun, PastStep
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

__all__ = ["Attempt", "Mention", "PastRun", "PastStep", "find", "recent"]

_UNENDED: Final = "running"


def recent(storage: ArtifactStore, count: int) -> list[PastRun]:
    """Return the last `count` runs, the latest first."""
    # By key before reading: of thousands of runs only those shown are read.
    keys = sorted(_keys(storage), reverse=True)[:count]
    return [run for run in parallel.each(partial(_read, storage), keys) if run is not None]


def find(storage: ArtifactStore, text: str) -> PastRun:
    """Return the run whose id begins with `text`; ``last`` is the latest.

    Raises:
        NotFoundError: There is none.
        InvalidParameterError: There are several.
    """
    keys = sorted(_keys(storage))
    # Identifiers sort by time, so the greatest is the latest, and none of the records need be read.
    found = keys[-1:] if text == "last" else [key for key in keys if key.startswith(text.upper())]
    if len(found) > 1:
        raise InvalidParameterError(f"{len(found)} runs begin with {text!r}; give more of the id")
    run = _read(storage, found[0]) if found else None
    if run is None:
        raise NotFoundError(f"there is no run {text!r}; 'lucas-storage runs' lists those there are")
    return run


def _keys(storage: ArtifactStore) -> Iterator[str]:
    token: str | None = None
    while True:
        try:
            # With a delimiter: a run has as many records as steps, and only its prefix is wanted.
            page = storage.list_objects(storage.bucket, record_store.RUNS, delimiter="/", page_token=token)
        except BucketNotFoundError:
            return
        keys = (prefix.removeprefix(record_store.RUNS).rstrip("/") for prefix in page["common_prefixes"])
        yield from filter(is_ulid, keys)
        token = page["next_page_token"]
        if not token:
            return


def _read(storage: ArtifactStore, key: str) -> PastRun | None:
    record = record_store.read(storage, f"{record_store.RUNS}{key}/run.json")
    if record is None:
        return None
    content = record.content or {}
    status = text_of(content.get("status"))
    # The record of a run that ended has its steps; of one that goes on, or was killed, each has a record of its own.
    steps = _unended_steps(storage, key) if status == _UNENDED else content.get("steps")
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
        steps=tuple(sorted(map(step_of, dicts_in(steps)), key=lambda step: step.started)),
        machine=text_or_none(content.get("machine")),
        python=text_or_none(content.get("python")),
        packages=strings_by_name(content.get("packages")),
        parameters=values_by_name(content.get("parameters")),
        withheld=strings_in(content.get("withheld")),
        message=text_or_none(content.get("message")),
    )


def _unended_steps(storage: ArtifactStore, key: str) -> list[Any]:
    heads = record_store.heads(storage, f"{record_store.RUNS}{key}/steps/")
    found = parallel.each(partial(record_store.read_listed, storage), heads)
    return [record.content for record in found if record is not None]
