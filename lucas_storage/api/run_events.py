"""The events of a run: what changed of it and of its steps, until it has ended."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec

from actorc.storage.server.api.events import Event
from actorc.storage.server.api.routes import Events, Request, Route
from lucas_storage.records.past_run import PastRun, PastStep

from .run_answers import step, summary
from .run_routes import OfRun, run_of

_SLACK: Final = 60.0
"""Seconds before the last event from which steps are told again to a client that connects again: the clocks of
machines differ, and records are written a little later than what they tell."""
_UNENDED: Final = "running"


class OfEvents(OfRun, kw_only=True):
    """Those of the events of a run."""

    steps: Annotated[bool, msgspec.Meta(description="Whether steps are told as well.")] = True


def event_routes() -> list[Route]:
    """Return the route of events."""
    return [
        Route(
            path="/runs/{run}/events",
            name="run_events",
            tag="runs",
            summary="Tell what changes of a run and its steps, as server-sent events, until it has ended.",
            answer=Events,
            handle=RunEvents,
            parameters=OfEvents,
        )
    ]


class RunEvents:
    """Compares the record of a run with what was told of it. For one thread at a time.

    Args:
        request: The first request.
        parameters: The run.
    """

    def __init__(self, request: Request, parameters: OfEvents) -> None:
        self.is_over = False
        self._parameters = parameters
        self._since = _moment(request.last_event_id)
        self._told: dict[str, Any] = {}
        """What was told last, by the key of the step; the run's under the empty key."""

    def poll(self, request: Request) -> list[Event]:
        """Return what is new.

        Raises:
            NotFoundError: There is no such run.
            PermissionError: The caller may not read it.
        """
        run = run_of(request, self._parameters)
        # one run from now on, though another may be the latest by then
        self._parameters = OfEvents(bucket=self._parameters.bucket, run=run.key, steps=self._parameters.steps)
        self.is_over = run.status != _UNENDED
        return list(self._new(run))

    def _new(self, run: PastRun) -> Iterator[Event]:
        latest = max((_changed(each) for each in run.steps), default=run.started)
        # the id of the last event of a run that ended: who has it has all
        last = max(latest, run.started + (run.seconds or 0.0)) + 1.0
        if self.is_over and self._since >= last:
            return
        for past in run.steps if self._parameters.steps else ():
            if _changed(past) >= self._since - _SLACK and self._is_new(past.key or past.function, past):
                yield Event(name="step", id=_id(_changed(past)), data=step(past))
        if self._is_new("", run):
            yield Event(name="run", id=_id(last if self.is_over else latest), data=summary(run))

    def _is_new(self, key: str, found: PastRun | PastStep) -> bool:
        shown = found if isinstance(found, PastStep) else summary(found)
        if self._told.get(key) == shown:
            return False
        self._told[key] = shown
        return True


def _changed(past: PastStep) -> float:
    return past.started + past.seconds


def _id(seconds: float) -> str:
    return f"{seconds:.6f}"


def _moment(last_event_id: str) -> float:
    try:
        moment = float(last_event_id)
    except ValueError:
        return 0.0
    return moment if math.isfinite(moment) else 0.0
