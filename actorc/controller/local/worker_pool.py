"""Which process runs which call. Knows neither sockets nor messages.

Replica 0 of every function of a venv lives in the venv's first process, replica 1 in its second one, and so on. A
process is started when a call finds no free replica in those that run. Once there are as many as there may be, an idle
one makes room for a venv that has none; when none is idle, one does after its turn.

An object lives in one process from its first call on, apart from functions: what it knows would be lost if that made
room for others, or ended with a function that does not return.

A call that does not return in time has lost its process: another one takes that one's place, which is ended as soon as
nothing else in it is worth anything, neither a call that runs nor an object.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from .functions import Function
from .options import DEFAULT_CALL_TIMEOUT
from .overdue_calls import Due
from .pool_tasks import Crew, Lane, Place, Start, Task

_START: Final = 60.0
"""Seconds that a process may take until it is ready, on a machine that is busy."""
_TURN: Final = 1.0
"""Seconds that a process is safe from making room while there is work for it."""


class NoProcessError(Exception):
    """A call finds no process, and never will."""


class Pool:
    """Runs tasks in at most `size` processes.

    Args:
        size: How many there may be.
        start: Starts one.
        clock: Tells the time in seconds.
        timeout: Seconds that a call may take where its function says nothing else.
    """

    def __init__(
        self,
        size: int,
        start: Start,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = DEFAULT_CALL_TIMEOUT,
    ) -> None:
        self._size = size
        self._start = start
        self._clock = clock
        self._timeout = timeout
        self._due: Due[Place] = Due()
        self._places: list[Place] = []
        self._wanting: dict[Lane, None] = {}
        self._numbers = itertools.count(1)

    def submit(self, crew: Crew, task: Task) -> None:
        """Run a task as soon as a replica of its function is free."""
        lane = crew.lanes.setdefault(task.function, Lane(crew, task.function))
        lane.waiting.append(task)
        self._serve(lane)

    def forget(self, crew: Crew, function: Function) -> None:
        """Have workers drop a function; calls that were submitted are still run, but not those of an object."""
        if function.keeps_state:
            crew.homes[function] = "another one was registered under its name"
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

    def expire(self) -> float | None:
        """Give up calls that should have returned by now; return in how many seconds the next one should have."""
        now = self._clock()
        while (overdue := self._due.pop(now)) is not None:
            self._give_up(*overdue)
        until = self._due.next()
        return None if until is None else until - now

    def stop(self) -> None:
        """End every process at once; return when all of them are gone."""
        for place in self._places:
            place.process.kill()
        for place in self._places:
            place.process.wait()

    def _serve(self, lane: Lane) -> None:
        """Begin as many of a function's tasks as there is room for."""
        while lane.waiting:
            if lane.waiting[0].is_given_up:
                lane.waiting.popleft()
                continue
            try:
                place = self._home_of(lane) if lane.function.keeps_state else self._place_for(lane)
            except OSError as error:
                reason = f"the worker of venv {lane.crew.venv!r} could not be started because of {error}"
                lane.waiting.popleft().on_loss(reason)
                continue
            except NoProcessError as error:
                lane.waiting.popleft().on_loss(str(error))
                continue
            if place is None:
                return
            self._begin(place, lane.waiting.popleft())
        self._wanting.pop(lane, None)
        if not lane.crew.lanes[lane.function].waiting:
            del lane.crew.lanes[lane.function]

    def _place_for(self, lane: Lane) -> Place | None:
        free = [place for place in self._replicas(lane) if not place.is_leaving and not place.runs(lane.function)]
        best = min(free, key=lambda place: len(place.tasks), default=None)
        if best is not None and not best.tasks:
            return best
        index = self._vacancy(lane)
        if index is not None and len(self._places) < self._size:
            return self._open(lane.crew, index)
        if best is None and index is not None:
            self._want_room(lane)
        return best

    def _home_of(self, lane: Lane) -> Place | None:
        """Return the process that an object lives in, from its first call on; None while another call of it runs."""
        home = lane.crew.homes.get(lane.function) or self._new_home(lane)
        if isinstance(home, str):
            raise NoProcessError(f"the object of class {lane.function.shown!r} is gone with what it knew; {home}")
        return home if home is not None and not home.runs(lane.function) else None

    def _new_home(self, lane: Lane) -> Place | None:
        """Give an object a process of its own while there are some to spare, then one with the fewest others."""
        crew = lane.crew
        shared = min(
            (place for place in crew.places.values() if not place.is_leaving),
            key=lambda place: (self._residents(place), len(place.tasks)),
            default=None,
        )
        if shared is not None and not shared.tasks and not self._residents(shared):
            home = shared  # its last object is gone, so it serves as well as a new one
        elif len(self._places) < self._size and (shared is None or self._is_spared()):
            home = self._open(crew, next(index for index in itertools.count() if index not in crew.places))
        elif shared is not None:
            home = shared
        else:
            self._want_room(lane)
            return None
        crew.homes[lane.function] = home
        return home

    def _residents(self, place: Place) -> int:
        return sum(home is place for home in place.crew.homes.values())

    def _is_spared(self) -> bool:
        """Return whether half of the processes there may be are left to functions."""
        return 2 * sum(place.keeps_state for place in self._places) < self._size

    def _want_room(self, lane: Lane) -> None:
        if all(place.keeps_state for place in self._places):
            raise NoProcessError(
                f"{lane.function.shown!r} finds no worker process, as objects live in all {self._size} that there may "
                "be; allow more with --max-workers, or end sessions that made objects"
            )
        self._wanting[lane] = None
        self._make_room()

    def _replicas(self, lane: Lane) -> Iterator[Place]:
        places = lane.crew.places
        return (places[index] for index in range(min(lane.function.replicas, self._size)) if index in places)

    def _vacancy(self, lane: Lane) -> int | None:
        indices = range(min(lane.function.replicas, self._size))
        return next((index for index in indices if index not in lane.crew.places), None)

    def _open(self, crew: Crew, index: int) -> Place:
        place = Place(crew, index, self._clock())
        place.process = self._start(
            crew.venv,
            lambda call_id, returned: self._returned(place, call_id, returned),
            lambda ending: self._ended(place, ending),
            lambda: self._is_ready(place),
        )
        crew.places[index] = place
        self._places.append(place)
        return place

    def _begin(self, place: Place, task: Task) -> None:
        function = task.function
        if place.handlers.get(function.name) is not function:
            place.handlers[function.name] = function
            place.process.add(function)
        number = next(self._numbers)
        place.tasks[str(number)] = task
        place.last_used = number
        task.has_begun = True
        args, task.args = task.args, {}
        self._set_due(place, str(number))
        place.process.execute(str(number), function, args, task.method)

    def _set_due(self, place: Place, call_id: str) -> None:
        """Say until when a call should have returned; a process that is starting has time for that."""
        seconds = (place.tasks[call_id].function.timeout or self._timeout) + (0.0 if place.is_ready else _START)
        self._due.put(call_id, place, self._clock() + seconds)

    def _is_ready(self, place: Place) -> None:
        place.is_ready = True
        for call_id in place.tasks:
            self._set_due(place, call_id)

    def _returned(self, place: Place, call_id: str, returned: Any) -> None:
        task = self._over(place, call_id)
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

    def _over(self, place: Place, call_id: str) -> Task | None:
        """Return the task of a call that is over; None if it was given up before."""
        self._due.remove(call_id)
        return place.tasks.pop(call_id, None)

    def _give_up(self, call_id: str, place: Place) -> None:
        task, crew = place.tasks.pop(call_id), place.crew
        seconds = task.function.timeout or self._timeout
        reason = f"{task.name!r} did not return within {seconds:g} seconds"
        if task.function in crew.homes:
            crew.homes[task.function] = reason
        task.on_loss(
            f"{reason} and was given up with the worker process it ran in; look at what it waits for, or give it more "
            "with 'timeout' at its decorator or 'lucas-storage controller --call-timeout'"
        )
        if not place.keeps_state:
            self._replace(place)
        for lane in list(crew.lanes.values()):
            self._serve(lane)
        self._serve_wanting()

    def _replace(self, place: Place) -> None:
        """Let another process have the place of one that is stuck."""
        place.is_stuck = place.is_leaving = True
        if place.crew.places.get(place.index) is place:
            del place.crew.places[place.index]
        self._end_if_idle(place)

    def _has_had_its_turn(self, place: Place) -> bool:
        starving = sum(self._is_starving(lane) for lane in self._wanting)
        leaving = sum(each.is_leaving for each in self._places)
        return not place.keeps_state and starving > leaving and self._clock() - place.since >= _TURN

    def _is_starving(self, lane: Lane) -> bool:
        return lane.function not in lane.crew.homes and next(self._replicas(lane), None) is None

    def _end_if_idle(self, place: Place) -> None:
        if place.is_leaving and not place.tasks and not place.is_ending:
            place.is_ending = True
            # a stuck one may not hear what it is told
            (place.process.kill if place.is_stuck else place.process.end)()

    def _ended(self, place: Place, ending: str) -> None:
        crew, end = place.crew, f"the worker of venv {place.crew.venv!r} {ending}"
        self._places.remove(place)
        if crew.places.get(place.index) is place:
            del crew.places[place.index]
        for function, home in crew.homes.items():
            if home is place:
                crew.homes[function] = end
        for call_id in list(place.tasks):
            if (task := self._over(place, call_id)) is not None:
                task.on_loss(f"{end} while it ran {task.name!r}")
        for lane in crew.lanes.values():
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
        idle = [place for place in self._places if not place.tasks and not place.keeps_state]
        if idle:
            chosen = min(idle, key=lambda place: place.last_used)
            chosen.is_leaving = True
            self._end_if_idle(chosen)
            return
        orphan = next((place for place in self._places if place.crew.is_closed), None)
        if orphan is not None:
            orphan.is_ending = orphan.is_leaving = True
            orphan.process.kill()
