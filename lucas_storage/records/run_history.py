"""Past runs, read from the records of `lucas_storage.records.run_log`.

Records may be of other versions, or of strangers: fields that are not as expected are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from actorc.storage.errors import BucketNotFoundError, InvalidParameterError
from lucas_storage import parallel
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import NotFoundError
from lucas_storage.refs import ArtifactRef

from . import record_store
from .ulid import is_ulid

_UNENDED: Final = "running"
_YEAR_10000: Final = 253_402_300_800
"""Seconds since 1970 from which on a `datetime` has no name for a moment."""


@dataclass(frozen=True, slots=True)
class Mention:
    """An artifact among the inputs or outputs of a step."""

    format: str
    size: int
    """Bytes."""
    ref: ArtifactRef | None
    """None if it travelled within the call."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PastStep:
    """A step that ended."""

    key: str
    """Unique in its run; empty in records of early versions."""
    after: tuple[str, ...]
    """Keys of the steps that came before it, as far as the record has them."""
    function: str
    started: float
    """Seconds since 1970."""
    seconds: float
    reused: bool
    error: str | None
    """Name of the class of the exception."""
    inputs: dict[str, tuple[Mention, ...]]
    outputs: tuple[Mention, ...]

    def __repr__(self) -> str:
        state = f"failed with {self.error}" if self.error else "reused" if self.reused else "succeeded"
        return f"<step {self.function!r}: {state}, {self.seconds:.2f} s>"


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """A run, ended or not."""

    key: str
    workflow: str
    status: str
    """``succeeded``, ``failed``, or ``running``, which a run that was killed stays for ever."""
    started: float
    """Seconds since 1970."""
    seconds: float | None
    error: str | None
    parallel: int
    """Steps at the same time, at most."""
    inputs: dict[str, tuple[Mention, ...]]
    outputs: tuple[Mention, ...]
    after: tuple[str, ...]
    """Keys of the steps that made the result, as far as the record has them."""
    steps: tuple[PastStep, ...]
    """In the order in which they began."""


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
    status = _text(content.get("status"))
    # The record of a run that ended has its steps; of one that goes on, or was killed, each has a record of its own.
    steps = _unended_steps(storage, key) if status == _UNENDED else content.get("steps")
    seconds = content.get("seconds")
    return PastRun(
        key=key,
        workflow=_text(content.get("workflow")),
        status=status,
        started=_moment(content.get("started")),
        seconds=None if seconds is None else _number(seconds),
        error=_error(content),
        parallel=int(_number(content.get("parallel"))),
        inputs=_by_name(content.get("in")),
        outputs=_mentions(content.get("out")),
        after=_keys_in(content.get("after")),
        steps=tuple(sorted(map(_step, _dicts(steps)), key=lambda step: step.started)),
    )


def _unended_steps(storage: ArtifactStore, key: str) -> list[Any]:
    heads = record_store.heads(storage, f"{record_store.RUNS}{key}/steps/")
    found = parallel.each(partial(record_store.read_listed, storage), heads)
    return [record.content for record in found if record is not None]


def _step(content: dict[str, Any]) -> PastStep:
    return PastStep(
        key=content["key"] if isinstance(content.get("key"), str) else "",
        after=_keys_in(content.get("after")),
        function=_text(content.get("function")),
        started=_moment(content.get("started")),
        seconds=_number(content.get("seconds")),
        reused=content.get("reused") is True,
        error=_error(content),
        inputs=_by_name(content.get("in")),
        outputs=_mentions(content.get("out")),
    )


def _keys_in(found: Any) -> tuple[str, ...]:
    return tuple(key for key in found if isinstance(key, str)) if isinstance(found, list) else ()


def _by_name(found: Any) -> dict[str, tuple[Mention, ...]]:
    return {_text(name): _mentions(refs) for name, refs in found.items()} if isinstance(found, dict) else {}


def _mentions(found: Any) -> tuple[Mention, ...]:
    return tuple(map(_mention, found)) if isinstance(found, list) else ()


def _mention(found: Any) -> Mention:
    if type(found) is ArtifactRef:
        return Mention(found.format, found.size, found)
    fields = found if isinstance(found, dict) else {}
    return Mention(_text(fields.get("inline")), int(_number(fields.get("size"))), None)


def _dicts(found: Any) -> list[dict[str, Any]]:
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _error(content: dict[str, Any]) -> str | None:
    return None if content.get("error") is None else _text(content["error"])


def _text(found: Any) -> str:
    return found if isinstance(found, str) else "?"


def _number(found: Any) -> float:
    # JSON may have 1e999, which is read as infinity, and integers beyond every float.
    is_number = type(found) in (int, float) and abs(found) <= sys.float_info.max
    return float(found) if is_number else 0.0


def _moment(found: Any) -> float:
    moment = _number(found)
    return moment if 0 <= moment < _YEAR_10000 else 0.0
