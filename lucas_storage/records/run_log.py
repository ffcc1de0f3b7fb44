"""The record of a run: its steps, references of their inputs and outputs, and times; never a value.

A run is one record that is written as it begins and again as it ends, and one record for each step that has ended.
They are written in the background, together with the results that a resumed run uses, and all of them before
the run ends. A failure to write costs the run one warning and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Protocol

from actorc.storage.context_variables import bound
from actorc.storage.errors import StorageError
from lucas_storage import current
from lucas_storage.artifacts.store import ArtifactStore, store_for
from lucas_storage.containers import walked
from lucas_storage.engine.provenance import current_place, makers_of_result
from lucas_storage.refs import ArtifactRef, is_tagged

from . import record_store, run_index
from .machine import machine_name, surroundings
from .record_store import Prepared
from .record_writer import RecordWriter
from .run_history import run_of
from .ulid import ulid

logger = logging.getLogger(__name__)

_MENTIONED: Final = 1000
"""References of one value that are recorded; the rest of a larger fan-out is in the records of its steps."""

_UNRECORDED: Final = contextlib.nullcontext[None](None)
# A context variable, which the scheduler copies to the threads of steps: runs of one process must not mix.
_current: ContextVar[RunLog | None] = ContextVar("lucas_storage_run_log", default=None)

_last: str | None = None
"""Id of the run that this process began last; for people at a prompt, who run one after the other."""


class Watcher(Protocol):
    """An observer of the steps of a run; called as they begin and end, on their threads."""

    def began(self, function: str) -> None:
        """A step has begun."""

    def ended(self, function: str, *, reused: bool, failed: bool) -> None:
        """A step has ended."""


@dataclass(slots=True, kw_only=True)
class StepNote:
    """The record of one step, filled in while it runs; for the thread of the step."""

    function: str
    inputs: dict[str, Any]
    """References by parameter."""
    key: str = field(default_factory=ulid)
    after: list[str] = field(default_factory=list)
    """Keys of the steps whose results it takes, and of the step that called it; of those that are recorded."""
    started: float = field(default_factory=time.time)
    """Seconds since 1970."""
    seconds: float = 0.0
    outputs: list[Any] = field(default_factory=list)
    reused: bool = False
    """Whether an earlier result took the place of a call."""
    error: str | None = None
    """Name of the class of the exception."""
    version: str | None = None
    """The version of the function, if it can be known."""
    memo: str | None = None
    """The key of the cached result that holds its result."""
    attempts: list[dict[str, Any]] = field(default_factory=list)
    """Seconds and error of each attempt, if there was more than one."""

    def attempted(self, seconds: float, error: BaseException | None) -> None:
        """Note one of several attempts."""
        self.attempts.append({"seconds": seconds, "error": type(error).__name__ if error else None})

    def content(self) -> dict[str, Any]:
        """Return the record."""
        return {
            "step": 1,
            "key": self.key,
            "after": self.after,
            "function": self.function,
            "started": self.started,
            "seconds": self.seconds,
            "state": "failed" if self.error else "reused" if self.reused else "succeeded",
            "reused": self.reused,
            "error": self.error,
            "version": self.version,
            "machine": machine_name(),
            **({} if self.memo is None else {"memo": self.memo}),
            **({"attempts": self.attempts} if self.attempts else {}),
            "in": self.inputs,
            "out": self.outputs,
            "size_in": sum(map(_size, (ref for refs in self.inputs.values() for ref in refs))),
            "size_out": sum(map(_size, self.outputs)),
        }


class RunLog:
    """The log of one run. Safe to share between threads.

    Args:
        workflow: Name of the workflow.
        storage: Its default bucket holds the records; None writes none.
        watcher: Observer of the steps.
    """

    def __init__(self, workflow: str, storage: ArtifactStore | None, watcher: Watcher | None = None) -> None:
        self.key = ulid()
        """Identifies the run."""
        self.steps: list[StepNote] = []
        """Those that have ended, in the order of their ends."""
        self.after: list[str] = []
        """Keys of the steps that made the result."""
        self._workflow = workflow
        self._storage = storage
        self._prefix = f"{record_store.RUNS}{self.key}/"
        self._writer = None if storage is None else RecordWriter(self._give_up)
        self._watcher = watcher
        self._started = time.time()
        # Guards the list and the counters below, which the threads of all steps change.
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._given_up = storage is None
        self._at_work = self._parallel = 0
        self._inputs: dict[str, Any] = {}

    def begin(self, inputs: dict[str, Any]) -> None:
        """Record the inputs of the workflow, as they travel."""
        self._inputs = {name: mentioned(value) for name, value in inputs.items()}
        if self._writer is not None:
            self._writer.put(self._prepared("run", self._of_run("running")))

    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        """Record the result of the workflow, as it travels, or its exception, and wait for the writing."""
        self._over.set()
        with self._lock:
            steps = [note.content() for note in self.steps]
        last = {
            "seconds": time.time() - self._started,
            "error": type(error).__name__ if error else None,
            "out": mentioned(result),
            "after": list(self.after),
            "parallel": self._parallel,
            "steps": steps,
        }
        if self._writer is not None:
            self._write_end(self._writer, {**self._of_run("failed" if error else "succeeded"), **last})

    def pause(self, seconds: float) -> bool:
        """Wait until the time is over, or the run; return whether the run goes on."""
        return not self._over.wait(seconds)

    @contextlib.contextmanager
    def step(self, function: str, given: dict[str, Any]) -> Iterator[StepNote]:
        """Record the body as one step; the body fills in the outputs."""
        note = StepNote(function=function, inputs={name: mentioned(value) for name, value in given.items()})
        _place_in_graph(note)
        self._begin()
        if self._watcher:
            self._watcher.began(function)
        # Not `time.time`: the clock of the machine may be set during a step.
        start = time.perf_counter()
        try:
            yield note
        except BaseException as error:
            note.error = type(error).__name__
            raise
        finally:
            note.seconds = time.perf_counter() - start
            self._ended(note)
            if self._watcher:
                self._watcher.ended(function, reused=note.reused, failed=note.error is not None)

    def write_later(self, make: Callable[[], Prepared]) -> None:
        """Write a record beside the steps; a `StorageError` of `make` does not fail the run, and ends all records."""
        if self._given_up or self._writer is None:
            return
        try:
            self._writer.put(make())
        except StorageError as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Write no more records of this run, and log one warning."""
        # Exchanged under the lock: several steps may fail at the same time, and one warning is enough.
        with self._lock:
            known, self._given_up = self._given_up, True
        if not known:
            logger.warning("records of this run are not written because of %s; the run goes on", _reason(error))

    def summary(self) -> str:
        """Return a line with the number and the names of the steps that were reused."""
        with self._lock:
            steps = list(self.steps)
        reused = [note.function for note in steps if note.reused]
        names = f" ({', '.join(dict.fromkeys(reused))})" if reused else ""
        return f"{len(reused)} of {len(steps)} steps reused{names}, {len(steps) - len(reused)} executed"

    def _begin(self) -> None:
        with self._lock:
            self._at_work += 1
            self._parallel = max(self._parallel, self._at_work)

    def _ended(self, note: StepNote) -> None:
        with self._lock:
            self._at_work -= 1
            self.steps.append(note)
        self.write_later(lambda: self._prepared(f"steps/{note.key}", note.content()))

    def _of_run(self, status: str) -> dict[str, Any]:
        content = {"run": 1, "workflow": self._workflow, "status": status, "started": self._started}
        return {**content, **surroundings(), "in": self._inputs}

    def _write_end(self, writer: RecordWriter, content: dict[str, Any]) -> None:
        """Write the record of the run and its entries in the index, and return when they are written."""
        assert self._storage is not None
        entries = run_index.prepared(self._storage, run_index.entries_of(run_of(self.key, content)))
        for record in (self._prepared("run", content), *entries):
            writer.put(record)
        # The mark last: it says that the entries are there.
        writer.end(run_index.prepared_mark(self._storage, self.key))

    def _prepared(self, name: str, content: dict[str, Any]) -> Prepared:
        assert self._storage is not None
        return record_store.prepare(self._storage, f"{self._prefix}{name}.json", content)


@contextlib.contextmanager
def logged(workflow: str, store: str | None, watcher: Watcher | None = None) -> Iterator[RunLog]:
    """Make the body a run: artifacts that it stores name the run, and its steps are recorded.

    The body calls `RunLog.begin` and `RunLog.end`; if it raises, the log is ended here.
    """
    global _last  # noqa: PLW0603
    log = RunLog(workflow, _storage(store), watcher)
    _last = log.key
    try:
        # Artifacts stored in the body name this run in their references.
        with bound(_current, log), current.run(log.key), makers_of_result() as log.after:
            yield log
    except BaseException as error:
        log.end(error=error)
        raise


def last_key() -> str | None:
    """Return the id of the run that this process began last, or None."""
    return _last


def step(function: str, given: Callable[[], Any]) -> contextlib.AbstractContextManager[StepNote | None]:
    """Record the block as a step of the present run; enters None outside a run.

    Args:
        function: Name of the function.
        given: Returns its arguments, as they travelled; called only within a run.
    """
    log = _current.get()
    if log is None:
        return _UNRECORDED
    inputs = given()
    return log.step(function, inputs if type(inputs) is dict and not is_tagged(inputs) else {"input": inputs})


def pause(seconds: float) -> bool:
    """Wait for some seconds; return False, without waiting any longer, if the present run ends."""
    log = _current.get()
    if log is not None:
        return log.pause(seconds)
    time.sleep(seconds)
    return True


def _place_in_graph(note: StepNote) -> None:
    """Add to a record, and to the place of the step in its graph, which step follows which."""
    place, scope = current_place(), current.step_scope()
    if place is None:
        return
    if scope is not None and scope.is_nested:
        note.after += place.recorded[-1:]
    else:
        note.after += place.after
        place.recorded.append(note.key)


def write_later(make: Callable[[], Prepared]) -> None:
    """Write a record for the present run, as `RunLog.write_later` does; outside a run, do nothing."""
    log = _current.get()
    if log is not None:
        log.write_later(make)


def mentioned(value: Any) -> list[Any]:
    """Return the references in a value as it travels; of an inline one only format and size, never its value."""
    refs = (ArtifactRef.parse(item) for item in walked(value) if type(item) is ArtifactRef or is_tagged(item))
    return [ref if ref.inline is None else {"inline": ref.format, "size": ref.size} for ref in islice(refs, _MENTIONED)]


def _size(mention: Any) -> int:
    return int(mention.size if type(mention) is ArtifactRef else mention["size"])


def _storage(store: str | None) -> ArtifactStore | None:
    try:
        return store_for(store)
    except StorageError as error:
        logger.warning("records of this run are not written because of %s; the run goes on", _reason(error))
        return None


def _reason(error: Exception) -> str:
    return f"{type(error).__name__} ({error.message})" if isinstance(error, StorageError) else type(error).__name__
