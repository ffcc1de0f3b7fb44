"""Assigns calls to worker processes. Independent of sockets and messages.

Replica 0 of every function of a venv runs in the venv's first process, replica 1 in its second, and so on. A process is
started when a call finds no free replica in the running ones. Once the greatest number of processes run, an idle one
is ended for a venv that has none; if none is idle, one is ended after its turn.

An object lives in one process from its first call on, apart from functions: its state would be lost if that process
were ended for another venv, or with a function that does not return.

A call that does not return in time has lost its process: another process replaces it, and it is ended as soon as it
has no other running call and no object.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from .call_deadlines import CallDeadlines
from .functions import Function
from .options import DEFAULT_CALL_TIMEOUT
from .pool_state import FunctionQueue, StartWorker, Task, Worker, WorkerGroup

_START_SECONDS: Final = 60.0
"""Seconds that a process may take to become ready on a busy machine."""
_TURN_SECONDS: Final = 1.0
"""Seconds that a busy process runs before it may be ended for another venv."""


class NoProcessError(Exception):
    """No process can ever run a call."""


class Pool:
    """Runs tasks in at most `size` processes. For the event loop only.

    Args:
        size: Greatest number of processes.
        start: Starts a process.
        clock: Returns the time in seconds.
        timeout: Seconds that a call may take, unless its function sets another limit.
    """

    def __init__(
        self,
        size: int,
        start: StartWorker,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = DEFAULT_CALL_TIMEOUT,
    ) -> None:
        self._size = size
        self._start = start
        self._clock = clock
        self._timeout = timeout
        self._deadlines: CallDeadlines[Worker] = CallDeadlines()
        self._workers: list[Worker] = []
        self._waiting: dict[FunctionQueue, None] = {}
        self._numbers = itertools.count(1)

    def submit(self, group: WorkerGroup, task: Task) -> None:
        """Run a task as soon as a replica of its function is free."""
        queue = group.queues.setdefault(task.function, FunctionQueue(group, task.function))
        queue.waiting.append(task)
        self._serve(queue)

    def forget(self, group: WorkerGroup, function: Function) -> None:
        """Remove a function from its workers; queued calls of it still run, but not those of an object."""
        if function.keeps_state:
            group.homes[function] = "another one was registered under its name"
        for worker in group.workers.values():
            if worker.handlers.get(function.name) is function:
                del worker.handlers[function.name]
                worker.process.remove(function)

    def close(self, group: WorkerGroup) -> None:
        """Start no more tasks of a venv, and end its processes when they are idle."""
        group.is_closed = True
        for queue in group.queues.values():
            queue.waiting.clear()
            self._waiting.pop(queue, None)
        for worker in list(group.workers.values()):
            worker.is_leaving = True
            self._end_if_idle(worker)

    def expire(self) -> float | None:
        """Fail overdue calls; return the seconds until the next deadline, None if there is none."""
        now = self._clock()
        while (overdue := self._deadlines.pop(now)) is not None:
            self._give_up(*overdue)
        until = self._deadlines.next()
        return None if until is None else until - now

    def stop(self) -> None:
        """Kill every process; return when all of them are gone."""
        # all are killed before the first wait, so that they end at the same time
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.wait()

    def _serve(self, queue: FunctionQueue) -> None:
        """Start as many of a function's queued tasks as there is room for."""
        while queue.waiting:
            if queue.waiting[0].is_given_up:
                queue.waiting.popleft()
                continue
            try:
                worker = self._worker_of_object(queue) if queue.function.keeps_state else self._worker_for(queue)
            except OSError as error:
                # only this call fails: for the next one the system may have room again
                reason = f"the worker of venv {queue.group.venv!r} could not be started because of {error}"
                queue.waiting.popleft().on_loss(reason)
                continue
            except NoProcessError as error:
                queue.waiting.popleft().on_loss(str(error))
                continue
            if worker is None:
                return
            self._begin(worker, queue.waiting.popleft())
        self._waiting.pop(queue, None)
        if not queue.group.queues[queue.function].waiting:
            del queue.group.queues[queue.function]

    def _worker_for(self, queue: FunctionQueue) -> Worker | None:
        free = [worker for worker in self._replicas(queue) if not worker.is_leaving and not worker.runs(queue.function)]
        best = min(free, key=lambda worker: len(worker.tasks), default=None)
        # an idle process first; a new one before sharing a busy one, so that functions run in parallel
        if best is not None and not best.tasks:
            return best
        index = self._free_index(queue)
        if index is not None and len(self._workers) < self._size:
            return self._start_worker(queue.group, index)
        if best is None and index is not None:
            self._request_room(queue)
        return best

    def _worker_of_object(self, queue: FunctionQueue) -> Worker | None:
        """Return the process of an object, chosen at its first call; None while another call of the object runs."""
        home = queue.group.homes.get(queue.function) or self._place_object(queue)
        if isinstance(home, str):
            raise NoProcessError(f"the object of class {queue.function.shown!r} is gone with what it knew; {home}")
        return home if home is not None and not home.runs(queue.function) else None

    def _place_object(self, queue: FunctionQueue) -> Worker | None:
        """Place an object in its own process while there are spare ones, then in the one with the fewest objects."""
        group, shared = queue.group, queue.group.emptiest()
        if shared is not None and not shared.tasks and not shared.object_count:
            home = shared  # its former objects are gone, so it is as good as a new one
        elif len(self._workers) < self._size and (shared is None or self._has_spare_workers()):
            home = self._start_worker(group, group.next_index)
        elif shared is not None:
            home = shared
        else:
            self._request_room(queue)
            return None
        group.homes[queue.function] = home
        return home

    def _has_spare_workers(self) -> bool:
        """Return whether objects hold less than half of the processes; the rest is kept for functions."""
        return 2 * sum(worker.keeps_state for worker in self._workers) < self._size

    def _request_room(self, queue: FunctionQueue) -> None:
        if all(worker.keeps_state for worker in self._workers):
            raise NoProcessError(
                f"{queue.function.shown!r} finds no worker process, as objects live in all {self._size} that there may "
                "be; allow more with --max-workers, or end sessions that made objects"
            )
        self._waiting[queue] = None
        self._make_room()

    def _replicas(self, queue: FunctionQueue) -> Iterator[Worker]:
        workers = queue.group.workers
        return (workers[index] for index in range(min(queue.function.replicas, self._size)) if index in workers)

    def _free_index(self, queue: FunctionQueue) -> int | None:
        indices = range(min(queue.function.replicas, self._size))
        return next((index for index in indices if index not in queue.group.workers), None)

    def _start_worker(self, group: WorkerGroup, index: int) -> Worker:
        worker = Worker(group, index, self._clock())
        worker.process = self._start(
            group.venv,
            lambda call_id, returned: self._take_return(worker, call_id, returned),
            lambda ending: self._take_end(worker, ending),
            lambda: self._take_ready(worker),
        )
        group.workers[index] = worker
        self._workers.append(worker)
        return worker

    def _begin(self, worker: Worker, task: Task) -> None:
        function = task.function
        # only if it does not have it: the pickle may be large
        if worker.handlers.get(function.name) is not function:
            worker.handlers[function.name] = function
            worker.process.add(function)
        number = next(self._numbers)
        worker.tasks[str(number)] = task
        worker.last_used = number
        task.has_begun = True
        # dropped here, since the worker's socket keeps the buffers until they are sent
        args, task.args = task.args, {}
        self._set_deadline(worker, str(number))
        worker.process.execute(str(number), function, args, task.method)

    def _set_deadline(self, worker: Worker, call_id: str) -> None:
        """Set the deadline of a call; one in a process that is starting gets time for that."""
        seconds = (worker.tasks[call_id].function.timeout or self._timeout) + (
            0.0 if worker.is_ready else _START_SECONDS
        )
        self._deadlines.put(call_id, worker, self._clock() + seconds)

    def _take_ready(self, worker: Worker) -> None:
        worker.is_ready = True
        # counted from now on instead of from the time allowed for the start; the earlier deadline counts
        for call_id in worker.tasks:
            self._set_deadline(worker, call_id)

    def _take_return(self, worker: Worker, call_id: str, returned: Any) -> None:
        task = self._remove_task(worker, call_id)
        if task is None:
            return
        task.on_return(returned)
        if self._must_yield(worker):
            worker.is_leaving = True
        self._end_if_idle(worker)
        queue = worker.group.queues.get(task.function)
        if queue is not None:
            self._serve(queue)
        if not worker.tasks:
            self._serve_waiting()

    def _remove_task(self, worker: Worker, call_id: str) -> Task | None:
        """Return the task of a call that has ended; None if it was given up before."""
        self._deadlines.remove(call_id)
        return worker.tasks.pop(call_id, None)

    def _give_up(self, call_id: str, worker: Worker) -> None:
        task, group = worker.tasks.pop(call_id), worker.group
        seconds = task.function.timeout or self._timeout
        reason = f"{task.name!r} did not return within {seconds:g} seconds"
        if task.function in group.homes:
            group.homes[task.function] = reason
        task.on_loss(
            f"{reason} and was given up with the worker process it ran in; look at what it waits for, or give it more "
            "with 'timeout' at its decorator or 'lucas-storage controller --call-timeout'"
        )
        if not worker.keeps_state:
            self._replace(worker)
        for queue in list(group.queues.values()):
            self._serve(queue)
        self._serve_waiting()

    def _replace(self, worker: Worker) -> None:
        """Free the index of a stuck process, so that another process takes it."""
        worker.is_stuck = worker.is_leaving = True
        if worker.group.workers.get(worker.index) is worker:
            del worker.group.workers[worker.index]
        self._end_if_idle(worker)

    def _must_yield(self, worker: Worker) -> bool:
        starving = sum(self._is_starving(queue) for queue in self._waiting)
        leaving = sum(each.is_leaving for each in self._workers)
        return not worker.keeps_state and starving > leaving and self._clock() - worker.since >= _TURN_SECONDS

    def _is_starving(self, queue: FunctionQueue) -> bool:
        return queue.function not in queue.group.homes and next(self._replicas(queue), None) is None

    def _end_if_idle(self, worker: Worker) -> None:
        if worker.is_leaving and not worker.tasks and not worker.is_ending:
            worker.is_ending = True
            # a stuck process may not read an order
            (worker.process.kill if worker.is_stuck else worker.process.end)()

    def _take_end(self, worker: Worker, ending: str) -> None:
        group, end = worker.group, f"the worker of venv {worker.group.venv!r} {ending}"
        self._workers.remove(worker)
        if group.workers.get(worker.index) is worker:
            del group.workers[worker.index]
        for function, home in group.homes.items():
            if home is worker:
                group.homes[function] = end
        for call_id in list(worker.tasks):
            if (task := self._remove_task(worker, call_id)) is not None:
                task.on_loss(f"{end} while it ran {task.name!r}")
        for queue in group.queues.values():
            self._waiting.setdefault(queue)
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        """Serve the waiting functions, first those without any process."""
        for queue in sorted(self._waiting, key=lambda each: not self._is_starving(each)):
            self._serve(queue)

    def _make_room(self) -> None:
        """End the process that was idle longest, or one of a closed application."""
        # one is on its way out already, and its end serves the waiting functions
        if any(worker.is_ending for worker in self._workers):
            return
        idle = [worker for worker in self._workers if not worker.tasks and not worker.keeps_state]
        if idle:
            chosen = min(idle, key=lambda worker: worker.last_used)
            chosen.is_leaving = True
            self._end_if_idle(chosen)
            return
        # its calls have no client any more, so it need not become idle
        orphan = next((worker for worker in self._workers if worker.group.is_closed), None)
        if orphan is not None:
            orphan.is_ending = orphan.is_leaving = True
            orphan.process.kill()
