"""Steps of a run that another process runs: that process writes a record of its own, which is joined with the run's."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final, NotRequired, TypedDict

from actorc.storage.errors import StorageError
from actorc.tracing import spans
from lucas_storage import step_spans
from lucas_storage.artifacts.store import ArtifactStore, store_for
from lucas_storage.openlineage.run_events import Failure

from . import record_store, record_text
from .called_steps import MOST
from .record_store import Prepared
from .record_writer import LOOK, PATIENCE, Make, RecordWriter
from .recorded_functions import RecordedFunction
from .step_note import SMALL_MAX, RecordedValues, StepNote, brief, measured, mentioned

logger = logging.getLogger(__name__)

_OUTCOME: Final = ("state", "error", "message", "traceback", "seconds", "reused")
_ATTEMPTS: Final = 9
_ATTEMPTS_IN_VAIN: Final = 8
_BETWEEN: Final = 0.002
"""Attempts to read the records of other processes, and the seconds after the first one, doubled after each other."""
_SILENT: Final = 60.0
"""Seconds for which a process tells no records after one could not be written."""
_OF_THE_RUN: Final = ("key", "after", "function", "started", "told")
"""Fields that the run knows: its clock is the same for all steps, and its graph has the edges."""


class Place(TypedDict):
    """Where the record of a distant step belongs; travels with the call, and holds no secret."""

    run: str
    step: str
    """Key of the step in the run."""
    told: str
    """Name of the record that the other process writes."""
    after: list[str]
    """Keys of the steps that came before it."""
    store: str
    """Logical name of the store of the records."""
    values: str
    """How far arguments and errors are recorded."""
    traceparent: NotRequired[str]
    """The span that the step belongs to (W3C Trace Context), where the run is traced."""
    tracestate: NotRequired[str]


def joined(known: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a step as its run knows it, completed by that of the process that ran it."""
    kept = set(_OF_THE_RUN)
    # A process that was killed said last that it runs, and one whose result was lost on the way that it succeeded.
    is_lost = known.get("error") is not None and told.get("error") is None
    if is_lost or (told.get("state") == "running" and known.get("state") != "running"):
        kept.update(_OUTCOME)
    return {**known, **{name: value for name, value in told.items() if name not in kept}}


class DistantStep:
    """A step that another process runs, for the process of the run. Any thread may end it, once.

    Args:
        note: Its record.
        run: Key of the run.
        store: Logical name of the store of the records.
        ended: Called as it ends, with the note and its failure.
    """

    def __init__(self, note: StepNote, run: str, store: str, ended: Callable[[StepNote, Failure | None], None]) -> None:
        assert note.told is not None
        self._note = note
        self._ended = ended
        self._start = time.perf_counter()
        self.place: Place = {
            "run": run,
            "step": note.key,
            "told": note.told,
            "after": note.after,
            "store": store,
            "values": note.values,
        }
        """Travels with the call."""
        self._span = step_spans.distant_step(note.function)
        self.place.update(dict(self._span.headers))  # type: ignore[typeddict-item]  # of these two names

    def end(self, error: BaseException | None) -> None:
        """Note the end of the step, as it is seen from here."""
        note = self._note
        note.seconds = time.perf_counter() - self._start
        if error is not None:
            note.failed(error)
        step_spans.ended(self._span, None if error is None else type(error))
        self._ended(note, None if error is None else Failure.of(error, note.message, note.traceback))


def told_by_others(storage: ArtifactStore, run: str, notes: Iterable[StepNote]) -> dict[str, dict[str, Any]]:
    """Return by key the records of distant steps that the processes that ran them wrote.

    The last ones may still be on their way, since no process lets its result wait for its record. Where none is there
    at all, they are waited for only a little: workers may have no storage, or an earlier version.
    """
    missing = {note.key: record_store.step_key(run, note.told) for note in notes if note.told and note.is_ended}
    found: dict[str, dict[str, Any]] = {}
    for attempt in range(_ATTEMPTS):
        if not missing or (attempt >= _ATTEMPTS_IN_VAIN and not found):
            break
        # Asked in growing intervals, since a store does not announce new objects.
        time.sleep(_BETWEEN * 2 ** (attempt - 1) if attempt else 0.0)
        by_name = {record.key: record.content or {} for record in record_store.read_keys(storage, [*missing.values()])}
        # One that says that the step runs is not the last one.
        last = {name: content for name, content in by_name.items() if content.get("state") != "running"}
        found |= {key: last[name] for key, name in missing.items() if name in last}
        missing = {key: name for key, name in missing.items() if key not in found}
    return found


def text_in_run(note: StepNote, told: Mapping[str, Any] | None) -> bytes:
    """Return the record of a step as that of its run repeats it.

    Args:
        note: The step.
        told: The record that another process wrote; None if there is none.
    """
    if note.told is None:
        return note.repeated or record_text.encode_facts(note.facts(), {})
    if told is None:
        # A reader finds the record of the other process, if that was only late.
        return record_text.encode_facts(brief(note.facts()), {})
    note.reused = told.get("reused") is True
    record = joined(note.facts(), told)
    text = record_text.encode(record)
    return text if len(text) <= SMALL_MAX else record_text.encode(brief(record))


class DistantLog:
    """The log of one step for the process that runs it, though its run is another's. For the thread of the step.

    Args:
        place: Where its record belongs.

    Raises:
        StorageError: This process cannot reach the store.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._storage = store_for(place["store"])
        self._writer = _writer()
        self._note: StepNote | None = None

    @contextlib.contextmanager
    def step(
        self, function: str, given: dict[str, Any], code: RecordedFunction | None = None
    ) -> Iterator[StepNote | None]:
        """Record the body as the step, or as one that the step itself calls; enters None for one too many of these."""
        outer = self._note
        if outer is not None and len(outer.calls) >= MOST:
            yield None
            return
        inputs = {name: mentioned(value) for name, value in given.items()}
        note = StepNote(function=function, inputs=inputs, given=given, code=code, values=self._place["values"])
        if outer is None:
            note.key, note.after, self._note = self._place["step"], list(self._place["after"]), note
        else:
            note.after = [outer.key]
            outer.calls.append(note.key)
        make = partial(self._record, note, self._place["told"] if outer is None else note.key)
        self._writer.began(note, make)
        try:
            with measured(note):
                yield note
        finally:
            note.is_ended = True
            self._writer.ended(note, make)

    def adopt(self, note: StepNote, record: bytes) -> None:
        """Take over a step that has ended in a child process, with its record."""
        outer = self._note
        if outer is None or len(outer.calls) >= MOST:
            return
        outer.calls.append(note.key)
        prepared = Prepared(self._storage, record_store.step_key(self._place["run"], note.key), record)
        self._writer.put(note.key, lambda: [prepared])

    def pause(self, seconds: float) -> bool:
        """Wait for some seconds; return True."""
        time.sleep(seconds)
        return True

    def _record(self, note: StepNote, name: str) -> list[Prepared]:
        key = record_store.step_key(self._place["run"], name)
        # on the thread that writes, which belongs to no run
        with spans.within(self._place):
            return [Prepared(self._storage, key, note.record(self._storage))]


class ChildLog:
    """Records the steps that a step calls. Safe to share between threads.

    Args:
        outer: Key of that step.
        values: How far arguments and errors are recorded.
        storage: Its default bucket holds the records.
        tell: Hands a note that has ended, and its record, to the process of the run; returns when that has them.
    """

    def __init__(
        self, outer: str, values: RecordedValues, storage: ArtifactStore, tell: Callable[[StepNote, bytes], None]
    ) -> None:
        self._outer = outer
        self._values = values
        self._storage = storage
        self._tell = tell

    @contextlib.contextmanager
    def step(self, function: str, given: dict[str, Any], code: RecordedFunction | None = None) -> Iterator[StepNote]:
        """Record the body as one step; the body fills in the outputs."""
        inputs = {name: mentioned(value) for name, value in given.items()}
        note = StepNote(function=function, inputs=inputs, given=given, code=code, values=self._values)
        note.after = [self._outer]
        try:
            with measured(note):
                yield note
        finally:
            note.is_ended = True
            record = self._record(note)
            # Not as made for a run in this process, whose table of functions would have it.
            note.repeated = record if len(record) <= SMALL_MAX else record_text.encode_facts(brief(note.facts()), {})
            note.code, note.given, note.returned = None, {}, None
            self._tell(note, record)

    def write_later(self, make: Callable[[], Prepared]) -> None:
        """Write a record at once, since this process ends with the step; an error does not fail the step."""
        try:
            record_store.write_all([make()], PATIENCE)
        except StorageError as error:
            logger.debug("a record of a step is not written because of %s", type(error).__name__)

    def pause(self, seconds: float) -> bool:
        """Wait for some seconds; return True, since this process is killed with its run."""
        time.sleep(seconds)
        return True

    def _record(self, note: StepNote) -> bytes:
        try:
            return note.record(self._storage)
        except StorageError as error:
            logger.debug("a step is recorded without its function because of %s", type(error).__name__)
            return record_text.encode_facts(note.facts(), {})


class _ProcessWriter:
    """Writes the records of all distant steps of this process. Safe to share between threads."""

    def __init__(self) -> None:
        # Guards the table, which the threads of steps change while the one that writes looks at it.
        self._lock = threading.Lock()
        self._under_way: dict[str, tuple[StepNote, Make]] = {}
        self._writing: RecordWriter | None = None
        self._silent_until = 0.0

    def began(self, note: StepNote, make: Make) -> None:
        with self._lock:
            if self._writing is None and time.monotonic() >= self._silent_until:
                # Out of the present run, whose name would be on what later ones store.
                self._writing = contextvars.Context().run(RecordWriter, self._failed, self._going_on)
            if self._writing is not None:
                self._under_way[note.key] = note, make

    def ended(self, note: StepNote, make: Make) -> None:
        with self._lock:
            self._under_way.pop(note.key, None)
        self.put(note.key, make)

    def put(self, place: object, make: Make) -> None:
        writing = self._writing
        if writing is not None:
            writing.put(place, make)

    def _going_on(self) -> Iterable[tuple[str, Make]]:
        now = time.time()
        with self._lock:
            found = [each for each in self._under_way.values() if now - each[0].started > LOOK]
        for note, make in found:
            if not note.is_going_on:
                note.is_going_on = True
                yield note.key, make

    def _failed(self, error: Exception) -> None:
        # A later step tries again: workers outlive a server that starts anew. Not the next one: a worker may have no
        # storage at all, and run functions that need none.
        self._silent_until = time.monotonic() + _SILENT
        self._writing = None
        logger.warning("records of steps are not written for a while because of %s", type(error).__name__)


_writers: Final[dict[int, _ProcessWriter]] = {}
"""By process, since a forked child has none of the threads of its parent."""


def _writer() -> _ProcessWriter:
    return _writers.setdefault(os.getpid(), _ProcessWriter())
