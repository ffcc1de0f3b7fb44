"""The log of the present run, in a context variable: each thread and task of a run has its own."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final

from actorc.storage.context_variables import bound
from actorc.storage.errors import StorageError
from actorc.tracing import spans
from lucas_storage import current, settings
from lucas_storage.artifacts.store import ArtifactStore, store_for
from lucas_storage.declared_settings import Settings
from lucas_storage.engine.provenance import makers_of_result
from lucas_storage.refs import is_tagged

from .distant_steps import ChildLog, DistantLog, DistantStep, Place
from .record_store import Prepared
from .record_writer import reason_of
from .recorded_functions import RecordedFunction
from .run_record import RunLog, Watcher
from .step_note import StepNote

logger = logging.getLogger(__name__)

_UNRECORDED: Final = contextlib.nullcontext[None](None)
# A context variable, which the scheduler copies to the threads of steps: runs of one process must not mix.
_current: ContextVar[RunLog | DistantLog | ChildLog | None] = ContextVar("lucas_storage_run_log", default=None)

_last: str | None = None
"""Id of the run that this process began last; for people at a prompt, who run one after the other."""


@contextlib.contextmanager
def logged(workflow: str, present: Settings, watcher: Watcher | None = None) -> Iterator[RunLog]:
    """Make the body a run: artifacts that it stores name the run, and its steps are recorded.

    The body calls `RunLog.begin` and `RunLog.end`; if it raises, the log is ended here.

    Args:
        workflow: Its name.
        present: The settings in force.
        watcher: Observer of the steps.
    """
    global _last  # noqa: PLW0603
    log = RunLog(workflow, _storage(present), present, watcher)
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


@contextlib.contextmanager
def part_of_run(place: Place | None) -> Iterator[None]:
    """Make the body, in which one step is called, a part of a run of another process; None leaves it as it is."""
    if place is None:
        yield
        return
    with spans.within(place):
        try:
            log = DistantLog(place)
        except StorageError as error:
            logger.warning("the record of a step is not written because of %s; the step goes on", reason_of(error))
            yield
            return
        with bound(_current, log), current.run(place["run"]):
            yield


def distant_step(function: str) -> DistantStep | None:
    """Begin the record of a step of the present run that another process runs; None if it is not recorded."""
    log = _current.get()
    return log.distant_step(function) if isinstance(log, RunLog) else None


def told_to(log: ChildLog) -> contextlib.AbstractContextManager[None]:
    """Let steps of the block be told to the process of their run."""
    return bound(_current, log)


def adopt(note: StepNote, record: bytes) -> None:
    """Take over a step that has ended in a child process, as `RunLog.adopt` does; outside a run, do nothing."""
    log = _current.get()
    if isinstance(log, (RunLog, DistantLog)):
        log.adopt(note, record)


def at_end(act: Callable[[], None]) -> contextlib.AbstractContextManager[None]:
    """Call `act` if the present run ends while the block runs."""
    log = _current.get()
    return log.ending.at_end(act) if isinstance(log, RunLog) else contextlib.nullcontext()


def pause(seconds: float) -> bool:
    """Wait for some seconds; return False, without waiting any longer, if the present run ends."""
    log = _current.get()
    if log is not None:
        return log.pause(seconds)
    time.sleep(seconds)
    return True


def keeps_results() -> bool:
    """Return whether results of steps are recorded here, so that the run can be resumed: not on workers of another."""
    log = _current.get()
    return log is not None and not isinstance(log, DistantLog)


def storage_in_force(store: str) -> ArtifactStore:
    """Return this process's handle for a store: that of the present run, if it is for the settings in force."""
    log = _current.get()
    # The environment is not looked at again: what a run records is in one place.
    if isinstance(log, RunLog) and log.storage is not None and log.surrounding is settings.surrounding():
        return log.storage if log.storage.store_name == store else store_for(store)
    return store_for(store)


def write_later(make: Callable[[], Prepared]) -> None:
    """Write a record for the present run, as `RunLog.write_later` does; outside a run, do nothing."""
    log = _current.get()
    if log is not None and not isinstance(log, DistantLog):
        log.write_later(make)


def _storage(present: Settings) -> ArtifactStore | None:
    try:
        return store_for(present.store.value, present)
    except StorageError as error:
        logger.warning("records of this run are not written because of %s; the run goes on", reason_of(error))
        return None
