"""The record of a run: its steps, references of their inputs and outputs, times, and what a setting allows of values.

A run is one record, written as it begins, every ten seconds while it goes on, and as it ends, and one record for each
step, written as it ends, and before if it is long. They are written in the background, together with the results that a
resumed run uses, and all of them before the run ends. A failure to write costs the run one warning and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Protocol

from actorc.storage.context_variables import bound
from actorc.storage.errors import StorageError
from lucas_storage import current, settings
from lucas_storage.artifacts.store import ArtifactStore, store_for
from lucas_storage.engine.provenance import current_place, makers_of_result
from lucas_storage.openlineage.run_events import Failure, events_of_run
from lucas_storage.refs import is_tagged

from . import record_store, run_index
from .error_text import message_of
from .machine import surroundings
from .record_store import Prepared
from .record_writer import BEAT, LOOK, Make, RecordWriter
from .recorded_functions import RecordedFunction
from .run_history import run_of
from .step_note import RecordedValues, StepNote, mentioned, parts_of
from .ulid import ulid

logger = logging.getLogger(__name__)

_RUN: Final = "run"
"""Place of the record of the run itself among those that wait."""
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


class RunLog:
    """The log of one run. Safe to share between threads.

    Args:
        workflow: Name of the workflow.
        storage: Its default bucket holds the records; None writes none.
        watcher: Observer of the steps.
        values: How far arguments and errors are recorded.
    """

    def __init__(
        self,
        workflow: str,
        storage: ArtifactStore | None,
        watcher: Watcher | None = None,
        values: RecordedValues = "none",
    ) -> None:
        self.key = ulid()
        """Identifies the run."""
        self._events = events_of_run(self.key, workflow)
        self.steps: list[StepNote] = []
        """Those that have ended, in the order of their ends."""
        self.after: list[str] = []
        """Keys of the steps that made the result."""
        self._under_way: dict[str, StepNote] = {}
        self._workflow = workflow
        self._storage = storage
        self._values = values
        self._prefix = f"{record_store.RUNS}{self.key}/"
        self._watcher = watcher
        self._started = time.time()
        # Guards the collections and the counter below, which the threads of all steps change.
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._at_end: set[Callable[[], None]] = set()
        self._given_up = storage is None
        self._parallel = 0
        self._inputs: dict[str, Any] = {}
        self._parameters: dict[str, bytes] = {}
        self._heard = time.monotonic()
        self._writer = None if storage is None else RecordWriter(self._give_up, self._going_on)

    def begin(self, inputs: dict[str, Any]) -> None:
        """Record the inputs of the workflow, as they travel."""
        self._inputs = {name: mentioned(value) for name, value in inputs.items()}
        if self._writer is not None:
            self._parameters = parts_of(inputs, "parameters") if self._values == "all" else {}
            self._writer.put(_RUN, self._as_running)
        if self._events is not None:
            self._events.run_began(self._inputs)

    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        """Record the result of the workflow, as it travels, or its exception, and wait for the writing."""
        with self._lock:
            self._over.set()
            left, self._at_end = self._at_end, set()
        for act in left:
            act()
        outputs = mentioned(result)
        message = None if error is None or self._values == "none" else message_of(error)
        last = {
            "seconds": time.time() - self._started,
            "error": type(error).__name__ if error else None,
            "out": outputs,
            "after": list(self.after),
            "parallel": self._parallel,
        }
        if message is not None:
            last["message"] = message
        if self._writer is not None:
            status = "failed" if error else "succeeded"
            self._writer.end(_RUN, lambda: self._last(status, last))
        if self._events is not None:
            self._events.run_ended(outputs, None if error is None else Failure.of(error, message))

    @contextlib.contextmanager
    def at_end(self, act: Callable[[], None]) -> Iterator[None]:
        """Call `act`, on another thread, if the run ends while the body runs; at once if it has ended before."""
        with self._lock:
            is_over = self._over.is_set()
            if not is_over:
                self._at_end.add(act)
        if is_over:
            act()
        try:
            yield
        finally:
            with self._lock:
                self._at_end.discard(act)

    def pause(self, seconds: float) -> bool:
        """Wait until the time is over, or the run; return whether the run goes on."""
        return not self._over.wait(seconds)

    @contextlib.contextmanager
    def step(self, function: str, given: dict[str, Any], code: RecordedFunction | None = None) -> Iterator[StepNote]:
        """Record the body as one step; the body fills in the outputs."""
        inputs = {name: mentioned(value) for name, value in given.items()}
        note = StepNote(function=function, inputs=inputs, given=given, code=code, values=self._values)
        _place_in_graph(note)
        self._began(note)
        if self._watcher:
            self._watcher.began(function)
        if self._events is not None:
            self._events.step_began(note)
        # Not `time.time`: the clock of the machine may be set during a step.
        start = time.perf_counter()
        failure: Failure | None = None
        try:
            yield note
        except BaseException as error:
            note.failed(error)
            failure = Failure.of(error, note.message, note.traceback)
            raise
        finally:
            note.seconds = time.perf_counter() - start
            self._ended(note)
            if self._watcher:
                self._watcher.ended(function, reused=note.reused, failed=note.error is not None)
            if self._events is not None:
                self._events.step_ended(note, failure)

    def write_later(self, make: Callable[[], Prepared]) -> None:
        """Write a record beside the steps; a `StorageError` of `make` does not fail the run, and ends all records."""
        if self._given_up or self._writer is None:
            return
        try:
            record = make()
        except StorageError as error:
            self._give_up(error)
        else:
            self._writer.put(record.place, lambda: [record])

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

    def _began(self, note: StepNote) -> None:
        with self._lock:
            self._under_way[note.key] = note
            self._parallel = max(self._parallel, len(self._under_way))

    def _ended(self, note: StepNote) -> None:
        with self._lock:
            note.is_ended = True
            del self._under_way[note.key]
            self.steps.append(note)
        if self._writer is not None and not self._given_up:
            self._writer.put(note.key, lambda: self._of_step(note))

    def _going_on(self) -> Iterator[tuple[str, Make]]:
        """Yield the records of the steps that have run for some time, each once, and every `BEAT` that of the run."""
        now = time.time()
        with self._lock:
            notes = [note for note in self._under_way.values() if not note.is_going_on and now - note.started > LOOK]
        for note in notes:
            note.is_going_on = True
            yield note.key, partial(self._of_step, note)
        if time.monotonic() - self._heard >= BEAT:
            yield _RUN, self._as_running

    def _of_step(self, note: StepNote) -> list[Prepared]:
        assert self._storage is not None
        text = note.record(self._storage)
        return [Prepared(self._storage, f"{self._prefix}steps/{note.key}.json", text)]

    def _as_running(self) -> list[Prepared]:
        self._heard = time.monotonic()
        return [self._of_run({**self._facts("running"), "beat": time.time()}, self._parameters)]

    def _last(self, status: str, more: dict[str, Any]) -> list[Prepared]:
        """Return the record of the run and its entries in the index; the mark last, which says that they are there."""
        assert self._storage is not None
        with self._lock:
            # A failed run leaves steps that go on.
            notes = [*self.steps, *self._under_way.values()]
        facts = {**self._facts(status), **more}
        texts = (note.repeated or record_store.encode_facts(note.facts(), {}) for note in notes)
        steps = b"[%b]" % b",".join(texts)
        entries = run_index.entries_of(run_of(self.key, {**facts, "steps": [note.facts() for note in notes]}))
        return [
            self._of_run(facts, {**self._parameters, "steps": steps}),
            *run_index.prepared(self._storage, entries),
            run_index.prepared_mark(self._storage, self.key),
        ]

    def _facts(self, status: str) -> dict[str, Any]:
        facts = {"run": 1, "workflow": self._workflow, "status": status, "started": self._started}
        return {**facts, **surroundings(), "in": self._inputs}

    def _of_run(self, facts: dict[str, Any], parts: dict[str, bytes]) -> Prepared:
        assert self._storage is not None
        return Prepared(self._storage, f"{self._prefix}run.json", record_store.encode_facts(facts, parts))


@contextlib.contextmanager
def logged(workflow: str, store: str | None, watcher: Watcher | None = None) -> Iterator[RunLog]:
    """Make the body a run: artifacts that it stores name the run, and its steps are recorded.

    The body calls `RunLog.begin` and `RunLog.end`; if it raises, the log is ended here.
    """
    global _last  # noqa: PLW0603
    log = RunLog(workflow, _storage(store), watcher, settings.resolve().record_values.value)
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


def step(
    function: str, given: Callable[[], Any], code: RecordedFunction | None = None
) -> contextlib.AbstractContextManager[StepNote | None]:
    """Record the block as a step of the present run; enters None outside a run.

    Args:
        function: Name of the function.
        given: Returns its arguments, as they travelled; called only within a run.
        code: The function itself, if it is to be recorded.
    """
    log = _current.get()
    if log is None:
        return _UNRECORDED
    inputs = given()
    return log.step(function, inputs if type(inputs) is dict and not is_tagged(inputs) else {"input": inputs}, code)


def at_end(act: Callable[[], None]) -> contextlib.AbstractContextManager[None]:
    """Call `act` if the present run ends while the block runs."""
    log = _current.get()
    return log.at_end(act) if isinstance(log, RunLog) else contextlib.nullcontext()


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


def _storage(store: str | None) -> ArtifactStore | None:
    try:
        return store_for(store)
    except StorageError as error:
        logger.warning("records of this run are not written because of %s; the run goes on", _reason(error))
        return None


def _reason(error: Exception) -> str:
    return f"{type(error).__name__} ({error.message})" if isinstance(error, StorageError) else type(error).__name__
