"""What a run leaves behind: which steps there were, what they took and gave, how long they took; never a value.

A run is one record that is written as it begins and again as it ends, and one record for each step that has ended.
Writing them is nobody's business but this module's: it happens in the background, and a failure costs the run nothing
but one warning.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Final, Protocol

from actorc.storage.errors import StorageError
from lucas_storage import current
from lucas_storage.artifacts.store import ArtifactStore, store_for
from lucas_storage.refs import ArtifactRef, is_tagged

from . import record_store
from .ulid import ulid

logger = logging.getLogger(__name__)

PATIENCE: Final = 3.0
"""Seconds that one record may take to be written, and that a run waits for them at its end."""
_MENTIONED: Final = 1000
"""References of one value that are recorded; a fan-out of more is known by its steps."""

_current: ContextVar[RunLog | None] = ContextVar("lucas_storage_run_log", default=None)


class Watcher(Protocol):
    """Somebody who is told what happens, as it happens, on the threads of the steps."""

    def began(self, function: str) -> None:
        """A step has begun."""

    def ended(self, function: str, *, reused: bool, failed: bool) -> None:
        """A step has ended."""


@dataclass(slots=True, kw_only=True)
class StepNote:
    """What there is to say of one step."""

    function: str
    inputs: dict[str, Any]
    """References by parameter."""
    key: str = field(default_factory=ulid)
    started: float = field(default_factory=time.time)
    """Seconds since 1970."""
    seconds: float = 0.0
    outputs: list[Any] = field(default_factory=list)
    reused: bool = False
    """Whether an earlier result took the place of a call."""
    error: str | None = None
    """Name of the class of what was raised."""

    def content(self) -> dict[str, Any]:
        """Return the record."""
        return {
            "step": 1,
            "function": self.function,
            "started": self.started,
            "seconds": self.seconds,
            "reused": self.reused,
            "error": self.error,
            "in": self.inputs,
            "out": self.outputs,
            "size_in": sum(map(_size, (one for refs in self.inputs.values() for one in refs))),
            "size_out": sum(map(_size, self.outputs)),
        }


class RunLog:
    """What happens in one run.

    Args:
        workflow: Name of the workflow.
        storage: Takes the records; None keeps none.
        watcher: Is told of the steps.
    """

    def __init__(self, workflow: str, storage: ArtifactStore | None, watcher: Watcher | None = None) -> None:
        self.key = ulid()
        """Identifies the run."""
        self.steps: list[StepNote] = []
        """Those that have ended, in the order of their ends."""
        self._workflow = workflow
        self._writer = None if storage is None else _Writer(storage, self.key, self._give_up)
        self._watcher = watcher
        self._started = time.time()
        self._lock = threading.Lock()
        self._given_up = storage is None
        self._at_work = self._parallel = 0
        self._inputs: dict[str, Any] = {}

    def begin(self, inputs: dict[str, Any]) -> None:
        """Note the inputs of the workflow, as they travel."""
        self._inputs = {name: mentioned(value) for name, value in inputs.items()}
        self._write_run("running")

    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        """Note the result of the workflow, as it travels, or what it raised, and see the records written."""
        with self._lock:
            steps = [{"key": note.key, **note.content()} for note in self.steps]
        self._write_run(
            "failed" if error else "succeeded",
            seconds=time.time() - self._started,
            error=type(error).__name__ if error else None,
            out=mentioned(result),
            parallel=self._parallel,
            steps=steps,
        )
        if self._writer is not None:
            self._writer.close()

    @contextlib.contextmanager
    def step(self, function: str, given: dict[str, Any]) -> Iterator[StepNote]:
        """Note one step, which is the body; it fills in what is known only there."""
        note = StepNote(function=function, inputs={name: mentioned(value) for name, value in given.items()})
        self._begin()
        if self._watcher:
            self._watcher.began(function)
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

    def attempt(self, job: Callable[[], object]) -> None:
        """Do what is good to have and no reason for a run to fail; after a failure, no more of it."""
        if self._given_up:
            return
        try:
            job()
        except StorageError as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Write nothing more of this run, and say so once."""
        with self._lock:
            known, self._given_up = self._given_up, True
        if not known:
            logger.warning("records of this run are not written because of %s; the run goes on", _reason(error))

    def summary(self) -> str:
        """Return how many steps did not have to run, and which."""
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
        if self._writer is not None:
            self._writer.put(f"steps/{note.key}", note.content())

    def _write_run(self, status: str, **more: Any) -> None:
        if self._writer is not None:
            content = {"run": 1, "workflow": self._workflow, "status": status, "started": self._started}
            self._writer.put("run", {**content, "in": self._inputs, **more})


class _Writer:
    """Writes the records of one run in the background, in order, up to the first that fails."""

    def __init__(self, storage: ArtifactStore, run: str, failed: Callable[[Exception], None]) -> None:
        self._storage = storage
        self._failed = failed
        self._prefix = f"{record_store.RUNS}{run}/"
        self._waiting: SimpleQueue[tuple[str, dict[str, Any]] | None] = SimpleQueue()
        # A daemon: a store that does not answer must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="lucas-storage records", daemon=True)
        self._thread.start()

    def put(self, name: str, content: dict[str, Any]) -> None:
        """Have a record written sometime."""
        self._waiting.put((name, content))

    def close(self) -> None:
        """Wait until all are written, but not for long."""
        self._waiting.put(None)
        self._thread.join(PATIENCE)

    def _work(self) -> None:
        try:
            for name, content in iter(self._waiting.get, None):
                record_store.write(self._storage, f"{self._prefix}{name}.json", content, timeout=PATIENCE)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is no reason for a run to fail
            self._failed(error)


@contextlib.contextmanager
def logged(workflow: str, store: str | None, watcher: Watcher | None = None) -> Iterator[RunLog]:
    """Make the body a run: what it stores names the run, and its steps are noted. The body begins and ends the log."""
    log = RunLog(workflow, _storage(store), watcher)
    token = _current.set(log)
    try:
        with current.run(log.key):
            yield log
    except BaseException as error:
        log.end(error=error)
        raise
    finally:
        _current.reset(token)


@contextlib.contextmanager
def step(function: str, given: Callable[[], Any]) -> Iterator[StepNote | None]:
    """Note the body as a step of the run that it is part of; yields None if there is none.

    Args:
        function: Its name.
        given: Returns what it was given, as it travelled; asked only within a run.
    """
    log = _current.get()
    if log is None:
        yield None
        return
    inputs = given()
    with log.step(function, inputs if type(inputs) is dict and not is_tagged(inputs) else {"input": inputs}) as note:
        yield note


def attempt(job: Callable[[], object]) -> None:
    """Do what is good to have for the run this is part of; without a run it is not done."""
    log = _current.get()
    if log is not None:
        log.attempt(job)


def mentioned(value: Any) -> list[Any]:
    """Return the references in a value as it travels; of those that carry a value, only what it is."""
    found: list[Any] = []
    pending = [value]
    while pending and len(found) < _MENTIONED:
        item = pending.pop()
        if type(item) is ArtifactRef or is_tagged(item):
            ref = ArtifactRef.parse(item)
            found.append(ref if ref.inline is None else {"inline": ref.format, "size": ref.size})
        elif type(item) is dict:
            pending.extend(reversed(item.values()))
        elif type(item) in (list, tuple):
            pending.extend(reversed(item))
    return found


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
