"""The record of a run: its steps, references of their inputs and outputs, times, and what a setting allows of values.

A run is one record, written as it begins, every ten seconds while it goes on, and as it ends, and one record for each
step, written as it ends, and before if it is long. The last steps of a run, which are all steps of a quick one, are in
its own record alone, if they are small. Records are written in the background, together with the results that a resumed
run uses, and all of them before the run ends. A failure to write costs the run one warning and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, Protocol

from actorc.storage.errors import StorageError
from lucas_storage import settings
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.declared_settings import Settings
from lucas_storage.openlineage.run_events import Failure, events_of_run

from . import called_steps, record_store, record_text, recorded_functions
from .distant_steps import DistantStep, text_in_run, told_by_others
from .index import run_entries, run_index
from .machine import surroundings
from .record_store import Prepared
from .record_writer import BEAT, LOOK, Make, RecordWriter, reason_of
from .recorded_functions import RecordedFunction
from .run_end import RunEnd
from .step_note import RecordedValues, StepNote, measured, mentioned, message_of, parts_of, place_in_graph
from .ulid import ulid

logger = logging.getLogger(__name__)

_RUN: Final = "run"
"""Place of the record of the run itself among those that wait."""
_KEPT: Final = 10_000
"""Records that may wait for a store that does not take them; with more, the run goes on without."""
WHOLE_MAX: Final = 8 << 10
"""Bytes of the records of steps that the record of a quick run has in their place."""


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
        present: The settings of the run: how far arguments and errors are recorded, and who is told.
        watcher: Observer of the steps.
    """

    def __init__(
        self,
        workflow: str,
        storage: ArtifactStore | None,
        present: Settings,
        watcher: Watcher | None = None,
    ) -> None:
        self.key = ulid()
        """Identifies the run."""
        self._events = events_of_run(self.key, workflow, present)
        self.steps: list[StepNote] = []
        """Those that have ended, in the order of their ends."""
        self.after: list[str] = []
        """Keys of the steps that made the result."""
        self._under_way: dict[str, StepNote] = {}
        self._workflow = workflow
        self.storage = storage
        self.surrounding = settings.surrounding()
        self.ending = RunEnd()
        """Comes before the records of the end are written."""
        self._values: RecordedValues = present.record_values.value
        self._prefix = f"{record_store.RUNS}{self.key}/"
        self._watcher = watcher
        self._started = time.time()
        # Guards the collections and the counter below, which the threads of all steps change.
        self._lock = threading.Lock()
        self._given_up = storage is None
        self._parallel = 0
        self._inputs: dict[str, Any] = {}
        self._parameters: dict[str, bytes] = {}
        self._functions: dict[bytes, int] = {}
        self._codes: dict[RecordedFunction, str | None] = {}
        """Functions of steps that have ended, and their versions, which are still to be stored."""
        self._room = WHOLE_MAX
        self._heard = time.monotonic()
        self._writer = None if storage is None else RecordWriter(self._give_up, self._going_on, keeps=_KEPT)

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
        self.ending.come()
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
            self._writer.end(_RUN, lambda: self._last(status, last), is_quick=self._has_all_stored())
        if self._events is not None:
            self._events.run_ended(outputs, None if error is None else Failure.of(error, message))

    def pause(self, seconds: float) -> bool:
        """Wait until the time is over, or the run; return whether the run goes on."""
        return self.ending.pause(seconds)

    @contextlib.contextmanager
    def step(self, function: str, given: dict[str, Any], code: RecordedFunction | None = None) -> Iterator[StepNote]:
        """Record the body as one step; the body fills in the outputs."""
        inputs = {name: mentioned(value) for name, value in given.items()}
        note = StepNote(function=function, inputs=inputs, given=given, code=code, values=self._values)
        self._began(note)
        failure: Failure | None = None
        try:
            with measured(note):
                yield note
        except BaseException as error:
            failure = Failure.of(error, note.message, note.traceback)
            raise
        finally:
            self._ended(note, failure)

    def distant_step(self, function: str) -> DistantStep | None:
        """Begin the record of a step that another process runs; None where no records are written."""
        if self.storage is None or self._given_up:
            return None
        note = StepNote(function=function, inputs={}, values=self._values, told=ulid())
        self._began(note)
        return DistantStep(note, self.key, self.storage.store_name, self._ended)

    def adopt(self, note: StepNote, record: bytes) -> None:
        """Take over a step that has ended in a child process, with its record."""
        failure = None if note.error is None else Failure(note.error, note.message, note.traceback, is_abort=False)
        if self._watcher:
            self._watcher.began(note.function)
            self._watcher.ended(note.function, reused=note.reused, failed=failure is not None)
        if self._events is not None:
            self._events.step_began(note)
            self._events.step_ended(note, failure)
        with self._lock:
            self.steps.append(note)
        if self._writer is not None and self.storage is not None and not self._given_up:
            prepared = Prepared(self.storage, record_store.step_key(self.key, note.key), record)
            self._writer.put(note.key, lambda: [prepared])

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
            logger.warning("records of this run are not written because of %s; the run goes on", reason_of(error))

    def summary(self) -> str:
        """Return a line with the number and the names of the steps that were reused."""
        with self._lock:
            steps = list(self.steps)
        reused = [note.function for note in steps if note.reused]
        names = f" ({', '.join(dict.fromkeys(reused))})" if reused else ""
        return f"{len(reused)} of {len(steps)} steps reused{names}, {len(steps) - len(reused)} executed"

    def _began(self, note: StepNote) -> None:
        place_in_graph(note)
        with self._lock:
            self._under_way[note.key] = note
            self._parallel = max(self._parallel, len(self._under_way))
        if self._watcher:
            self._watcher.began(note.function)
        if self._events is not None:
            self._events.step_began(note)

    def _ended(self, note: StepNote, failure: Failure | None) -> None:
        with self._lock:
            note.is_ended = True
            del self._under_way[note.key]
            self.steps.append(note)
            if note.code is not None and note.values == "all":
                self._codes[note.code] = note.version
        # The record of the process that runs a distant step says all, unless that process does not get so far.
        is_told = note.told is not None and note.error is None and not note.is_going_on
        if self._writer is not None and not self._given_up and not is_told:
            self._writer.put(note.key, lambda: self._of_step(note))
        if self._watcher:
            self._watcher.ended(note.function, reused=note.reused, failed=note.error is not None)
        if self._events is not None:
            self._events.step_ended(note, failure)

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
        assert self.storage is not None
        with self._lock:
            codes, self._codes = self._codes, {}
        if codes:
            # Those of all steps that wait, with the first of them.
            try:
                recorded_functions.store_together(self.storage, codes)
            except StorageError:
                with self._lock:
                    # asked for again, if the records wait for the store
                    self._codes = {**codes, **self._codes}
                raise
        # A step that the end of the run finds unwritten needs no record of its own: an object takes a store longer than
        # all else of a short step. One that is written already, or is told by another process, keeps its record.
        is_spare = self.ending.is_over and not note.is_going_on and note.told is None
        text = note.record_beside_run(self.storage, self._functions, self._room if is_spare else 0)
        if text is None:
            self._room -= len(note.repeated or b"")
            return []
        return [Prepared(self.storage, record_store.step_key(self.key, note.key), text)]

    def _as_running(self) -> list[Prepared]:
        self._heard = time.monotonic()
        return [self._of_run({**self._facts("running"), "beat": time.time()}, self._parameters)]

    def _last(self, status: str, more: dict[str, Any]) -> list[Prepared]:
        """Return the record of the run and its entries in the index; the mark last, which says that they are there."""
        assert self.storage is not None
        with self._lock:
            # A failed run leaves steps that go on.
            notes = [*self.steps, *self._under_way.values()]
        facts = {**self._facts(status), **more}
        told = told_by_others(self.storage, self.key, notes)
        called = called_steps.called_by(self.storage, self.key, told.values())
        own = (text_in_run(note, told.get(note.key)) for note in notes)
        steps = b"[%b]" % b",".join((*own, *map(called_steps.text_of_run, called)))
        functions = b"[%b]" % b",".join(self._functions)
        return [
            self._of_run(facts, {**self._parameters, "functions": functions, "steps": steps}),
            *run_entries.prepared(self.storage, self.key, facts, notes, told, called),
            run_index.prepared_mark(self.storage, self.key),
        ]

    def _has_all_stored(self) -> bool:
        """Return whether the records refer to nothing that is still to be stored or read."""
        assert self.storage is not None
        with self._lock:
            codes = dict(self._codes)
            is_told = any(note.told is not None for note in (*self.steps, *self._under_way.values()))
        return not is_told and recorded_functions.are_stored(self.storage, codes)

    def _facts(self, status: str) -> dict[str, Any]:
        facts = {"run": 1, "workflow": self._workflow, "status": status, "started": self._started}
        return {**facts, **surroundings(), "in": self._inputs}

    def _of_run(self, facts: dict[str, Any], parts: dict[str, bytes]) -> Prepared:
        assert self.storage is not None
        return Prepared(self.storage, f"{self._prefix}run.json", record_text.encode_facts(facts, parts))
