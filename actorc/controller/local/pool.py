"""Which process runs which call. Knows neither sockets nor messages.

Replica 0 of every function of a venv lives in the venv's first process, replica 1 in its second one, and so on. A
process is started when a call finds no free replica in those that run. Once there are as many as there may be, an idle
one makes room for a venv that has none; when none is idle, one does after its turn.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from .functions import Function

_TURN: Final = 1.0
"""Seconds that a process is safe from making room while there is work for it."""


class Process(Protocol):
    """What a pool needs of a worker."""

    def add(self, function: Function) -> None: ...  # noqa: D102
    def remove(self, function: Function) -> None: ...  # noqa: D102
    def execute(self, call_id: str, function: Function, args: Mapping[str, Any]) -> None: ...  # noqa: D102
    def end(self) -> None: ...  # noqa: D102
    def kill(self) -> None: ...  # noqa: D102
    def wait(self) -> None: ...  # noqa: D102


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """A call that is ready to run."""

    function: Function
    args: Mapping[str, Any]
    on_return: Callable[[Any], None]
    """Gets what the worker returned."""
    on_loss: Callable[[str], None]
    """Gets the reason why no worker will return anything."""
    has_begun: bool = False
    is_given_up: bool = False
    """Nobody waits for it; it is not begun any more."""


@dataclass(slots=True, eq=False)
class _Lane:
    """A function, and its calls that wait."""

    crew: Crew
    function: Function
    waiting: deque[Task] = field(default_factory=deque)


@dataclass(slots=True, eq=False)
class _Place:
    """One of the processes."""

    crew: Crew
    index: int
    since: float
    process: Process = field(init=False)
    tasks: dict[str, Task] = field(default_factory=dict)
    handlers: dict[str, Function] = field(default_factory=dict)
    last_used: int = 0
    is_leaving: bool = False
    """It gets no more calls."""
    is_ending: bool = False
    """It was told to end."""

    def runs(self, function: Function) -> bool:
        return any(task.function is function for task in self.tasks.values())


@dataclass(slots=True, eq=False)
class Crew:
    """The processes of one venv of one application."""

    venv: str
    places: dict[int, _Place] = field(default_factory=dict)
    lanes: dict[Function, _Lane] = field(default_factory=dict)
    is_closed: bool = False


class Pool:
    """Runs tasks in at most `size` processes.

    Args:
        size: How many there may be.
        start: Starts one, for a venv; gets what to call with each return, and when it has ended.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        size: int,
        start: Callable[[str, Callable[[str, Any], None], Callable[[str], None]], Process],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size = size
        self._start = start
        self._clock = clock
        self._places: list[_Place] = []
        self._wanting: dict[_Lane, None] = {}
        self._numbers = itertools.count(1)

    def submit(self, crew: Crew, task: Task) -> None:
        """Run a task as soon as a replica of its function is free."""
        lane = crew.lanes.setdefault(task.function, _Lane(crew, task.function))
        lane.waiting.append(task)
        self._serve(lane)

    def forget(self, crew: Crew, function: Function) -> None:
        """Have workers drop a function; calls that were submitted are still run."""
        for place in crew.places.values():
            if place.handlers.get(function.name) is function:
                del place.handlers[function.name]
                place.process.remove(function)

    def close(self, crew: Crew) -> None:
        """Begin no more tasks of a venv, and end its processes when they are idle."""
        crew.is_closed = True
        for lane in crew.lanes.values():
            lane.waiting.clear()
            self._wanting.pop(lane, None)
        for place in list(crew.places.values()):
            place.is_leaving = True
            self._end_if_idle(place)

    def stop(self) -> None:
        """End every process at once; return when all of them are gone."""
        for place in self._places:
            place.process.kill()
        for place in self._places:
            place.process.wait()

    def _serve(self, lane: _Lane) -> None:
        """Begin as many of a function's tasks as there is room for."""
        while lane.waiting:
            if lane.waiting[0].is_given_up:
                lane.waiting.popleft()
                continue
            try:
                place = self._place_for(lane)
            except OSError as error:
                reason = f"the worker of venv {lane.crew.venv!r} could not be started because of {error}"
                lane.waiting.popleft().on_loss(reason)
                continue
            if place is None:
                return
            self._begin(place, lane.waiting.popleft())
        self._wanting.pop(lane, None)
        if not lane.crew.lanes[lane.function].waiting:
            del lane.crew.lanes[lane.function]

    def _place_for(self, lane: _Lane) -> _Place | None:
        free = [place for place in self._replicas(lane) if not place.is_leaving and not place.runs(lane.function)]
        best = min(free, key=lambda place: len(place.tasks), default=None)
        if best is not None and not best.tasks:
            return best
        index = self._vacancy(lane)
        if index is not None and len(self._places) < self._size:
            return self._open(lane.crew, index)
        if best is None and index is not None:
            self._wanting[lane] = None
            self._make_room()
        return best

    def _replicas(self, lane: _Lane) -> Iterator[_Place]:
        places = lane.crew.places
        return (places[index] for index in range(min(lane.function.replicas, self._size)) if index in places)

    def _vacancy(self, lane: _Lane) -> int | None:
        indices = range(min(lane.function.replicas, self._size))
        return next((index for index in indices if index not in lane.crew.places), None)

    def _open(self, crew: Crew, index: int) -> _Place:
        place = _Place(crew, index, self._clock())
        place.process = self._start(
            crew.venv,
            lambda call_id, returned: self._returned(place, call_id, returned),
            lambda ending: self._ended(place, ending),
        )
        crew.places[index] = place
        self._places.append(place)
        return place

    def _begin(self, place: _Place, task: Task) -> None:
        function = task.function
        if place.handlers.get(function.name) is not function:
            place.handlers[function.name] = function
            place.process.add(function)
        number = next(self._numbers)
        place.tasks[str(number)] = task
        place.last_used = number
        task.has_begun = True
        args, task.args = task.args, {}
        place.process.execute(str(number), function, args)

    def _returned(self, place: _Place, call_id: str, returned: Any) -> None:
        task = place.tasks.pop(call_id, None)
        if task is None:
            return
        task.on_return(returned)
        if self._has_had_its_turn(place):
            place.is_leaving = True
        self._end_if_idle(place)
        lane = place.crew.lanes.get(task.function)
        if lane is not None:
            self._serve(lane)
        if not place.tasks:
            self._serve_wanting()

    def _has_had_its_turn(self, place: _Place) -> bool:
        starving = sum(self._is_starving(lane) for lane in self._wanting)
        leaving = sum(each.is_leaving for each in self._places)
        return starving > leaving and self._clock() - place.since >= _TURN

    def _is_starving(self, lane: _Lane) -> bool:
        return next(self._replicas(lane), None) is None

    def _end_if_idle(self, place: _Place) -> None:
        if place.is_leaving and not place.tasks and not place.is_ending:
            place.is_ending = True
            place.process.end()

    def _ended(self, place: _Place, ending: str) -> None:
        self._places.remove(place)
        del place.crew.places[place.index]
        for task in place.tasks.values():
            name = task.function.name
            task.on_loss(f"the worker of venv {place.crew.venv!r} {ending} while it ran {name!r}")
        for lane in place.crew.lanes.values():
            self._wanting.setdefault(lane)
        self._serve_wanting()

    def _serve_wanting(self) -> None:
        """Let those choose first that have no process at all."""
        for lane in sorted(self._wanting, key=lambda each: not self._is_starving(each)):
            self._serve(lane)

    def _make_room(self) -> None:
        """End the process that was idle for longest, or one that works for nobody."""
        if any(place.is_ending for place in self._places):
            return
        idle = [place for place in self._places if not place.tasks]
        if idle:
            chosen = min(idle, key=lambda place: place.last_used)
            chosen.is_leaving = True
            self._end_if_idle(chosen)
            return
        orphan = next((place for place in self._places if place.crew.is_closed), None)
        if orphan is not None:
            orphan.is_ending = orphan.is_leaving = True
            orphan.process.kill()
