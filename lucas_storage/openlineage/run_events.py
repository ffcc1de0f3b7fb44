"""The events of one run: of the workflow and of each of its steps, one when it starts and one when it ends."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any, Final, Protocol, Self

from lucas_storage.declared_settings import Settings

from . import datasets, facets
from .sender import Sender, Target

_SCHEMA: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Of the identifiers of runs and steps, in base 32."""


class StepFacts(Protocol):
    """What events say of a step: its record, filled in while it runs."""

    key: str
    function: str
    inputs: dict[str, Any]
    outputs: list[Any]
    started: float
    seconds: float
    reused: bool
    version: str | None

    def source(self) -> str | None:
        """Return the source of the function, if it may be shown."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception that ended a job."""

    kind: str
    """Name of its class."""
    message: str | None
    """Its text, if it may be told."""
    traceback: str | None
    is_abort: bool
    """Whether it was an interrupt, or an exit that was asked for."""

    @classmethod
    def of(cls, error: BaseException, message: str | None, traceback: str | None = None) -> Self:
        """Return the failure that an exception is, with as much of its text as may be told."""
        return cls(type(error).__name__, message, traceback, not isinstance(error, Exception))


class RunEvents:
    """Makes the events of one run and hands them to a sender. Safe to share between threads.

    Args:
        key: Identifies the run.
        workflow: Its name.
        namespace: Of the jobs.
        sender: Sends the events; it is ended with the run.
    """

    def __init__(self, key: str, workflow: str, namespace: str, sender: Sender) -> None:
        self._run = run_id(key)
        self._workflow = workflow
        self._namespace = namespace
        self._sender = sender
        # Guards the steps that have begun and not ended, which those that end on their threads leave.
        self._lock = threading.Lock()
        self._open: dict[str, StepFacts] = {}
        self._sources: set[str] = set()
        """Functions of which the source has been told; for the thread of the sender."""
        self._inputs: list[dict[str, Any]] = []

    def run_began(self, inputs: Mapping[str, Sequence[Any]]) -> None:
        """Tell that the run has started.

        Args:
            inputs: References by name of the input.
        """
        self._inputs = datasets.inputs(chain.from_iterable(inputs.values()))
        self._put("START", self._of_run)

    def run_ended(self, outputs: Sequence[Any], failure: Failure | None) -> None:
        """Tell that the run has ended, and that steps are given up which have not; return when it is sent."""
        with self._lock:
            left, self._open = list(self._open.values()), {}
        for step in left:
            self._put("ABORT", partial(self._of_step, step))
        found = datasets.outputs(outputs)
        self._put(_end(failure), lambda: self._of_run(found, failure))
        self._sender.end()

    def step_began(self, step: StepFacts) -> None:
        """Tell that a step has started."""
        with self._lock:
            self._open[step.key] = step
        self._put("START", lambda: self._of_step(step, is_start=True), step.started)

    def step_ended(self, step: StepFacts, failure: Failure | None) -> None:
        """Tell that a step has ended; one whose run has ended before is not heard of any more."""
        with self._lock:
            if self._open.pop(step.key, None) is None:
                return
        self._put(_end(failure), lambda: self._of_step(step, failure), step.started + step.seconds)

    def _put(self, kind: str, make: Callable[[], dict[str, Any]], moment: float | None = None) -> None:
        """Hand over an event.

        Args:
            kind: Its type.
            make: Returns what it says beside type and time.
            moment: Seconds since 1970 at which it happened, told later of a step in another process; None for now.
        """
        at = datetime.fromtimestamp(time.time() if moment is None else moment, UTC)
        shown = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        said = {"eventType": kind, "eventTime": shown, "producer": facets.producer(), "schemaURL": _SCHEMA}
        self._sender.put(lambda: {**said, **make()})

    def _of_run(self, outputs: Sequence[Any] = (), failure: Failure | None = None) -> dict[str, Any]:
        return {
            "run": {"runId": self._run, "facets": {**facets.engine(), **_error(failure)}},
            "job": self._job(self._workflow, facets.job_type("WORKFLOW")),
            "inputs": self._inputs,
            "outputs": list(outputs),
        }

    def _of_step(self, step: StepFacts, failure: Failure | None = None, *, is_start: bool = False) -> dict[str, Any]:
        source = self._source(step) if is_start else None
        of_run = {
            **facets.parent(self._run, self._namespace, self._workflow),
            **facets.tags({"function_version": step.version, "reused": "true" if step.reused else None}),
            **_error(failure),
        }
        of_job = {**facets.job_type("STEP"), **(facets.source_code(source) if source else {})}
        return {
            "run": {"runId": run_id(step.key), "facets": of_run},
            "job": self._job(f"{self._workflow}.{step.function}", of_job),
            "inputs": datasets.inputs(chain.from_iterable(step.inputs.values())),
            # By now it may have some.
            "outputs": [] if is_start else datasets.outputs(step.outputs),
        }

    def _source(self, step: StepFacts) -> str | None:
        """Return the source of a function with its first step in the run: it may be long, and the steps many."""
        if step.function in self._sources:
            return None
        self._sources.add(step.function)
        return step.source()

    def _job(self, name: str, found: facets.Facets) -> dict[str, Any]:
        return {"namespace": self._namespace, "name": name, "facets": found}


def events_of_run(key: str, workflow: str, present: Settings) -> RunEvents | None:
    """Return the events of a run, if its settings name a receiver for them."""
    file, url = present.openlineage_file.value, present.openlineage_url.value
    if file is None and url is None:
        return None
    # Few runs have a receiver, and all would wait for the modules of HTTP.
    from .targets import EventFile, EventUrl  # noqa: PLC0415

    targets: list[Target] = []
    if file is not None:
        targets.append(EventFile(file))
    if url is not None:
        targets.append(EventUrl(url, present.openlineage_key.value))
    return RunEvents(key, workflow, present.openlineage_namespace.value, Sender(targets))


def run_id(key: str) -> str:
    """Return the UUID of a run or a step: of version 7, by the milliseconds and the random bits of its identifier."""
    number = 0
    for character in key:
        number = number << 5 | _ALPHABET.index(character)
    versioned = number & ~(0xF << 76) & ~(0x3 << 62) | 7 << 76 | 2 << 62
    return str(uuid.UUID(int=versioned & (1 << 128) - 1))


def _end(failure: Failure | None) -> str:
    if failure is None:
        return "COMPLETE"
    return "ABORT" if failure.is_abort else "FAIL"


def _error(failure: Failure | None) -> facets.Facets:
    if failure is None:
        return {}
    text = failure.kind if failure.message is None else f"{failure.kind}: {failure.message}"
    return facets.error_message(text, failure.traceback)
