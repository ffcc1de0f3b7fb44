"""Data of the pool: calls that are ready, the processes they run in, and the queues of functions."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .functions import Function


class StartWorker(Protocol):
    """Starts a worker for a venv."""

    def __call__(
        self,
        venv: str,
        on_return: Callable[[str, Any], None],
        on_end: Callable[[str], None],
        on_ready: Callable[[], None],
        /,
    ) -> Process:
        """Return a started worker, which calls these with each return, once at its end, and once when it is ready."""


class Process(Protocol):
    """The methods of a worker that the pool uses."""

    def add(self, function: Function) -> None: ...  # noqa: D102
    def remove(self, function: Function) -> None: ...  # noqa: D102
    def execute(self, call_id: str, function: Function, args: Mapping[str, Any], method: str) -> None: ...  # noqa: D102
    def end(self) -> None: ...  # noqa: D102
    def kill(self) -> None: ...  # noqa: D102
    def wait(self) -> None: ...  # noqa: D102


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """A call that is ready to run."""

    function: Function
    method: str = ""
    """Of an object."""
    args: Mapping[str, Any]
    on_return: Callable[[Any], None]
    """Called with the worker's answer."""
    on_loss: Callable[[str], None]
    """Called with the reason why no worker will answer."""
    has_begun: bool = False
    is_given_up: bool = False
    """Whether its client released it; then it is not started any more."""

    @property
    def name(self) -> str:
        """The name of the called function in messages."""
        return f"{self.function.shown}.{self.method}" if self.method else self.function.shown


@dataclass(slots=True, eq=False)
class FunctionQueue:
    """The queue of calls of one function."""

    group: WorkerGroup
    function: Function
    waiting: deque[Task] = field(default_factory=deque)


@dataclass(slots=True, eq=False)
class Worker:
    """One worker process, and the calls that run in it."""

    group: WorkerGroup
    index: int
    since: float
    process: Process = field(init=False)
    tasks: dict[str, Task] = field(default_factory=dict)
    handlers: dict[str, Function] = field(default_factory=dict)
    last_used: int = 0
    is_ready: bool = False
    """Whether it carries out orders; earlier orders wait in its socket."""
    is_leaving: bool = False
    """Whether it gets no more calls."""
    is_stuck: bool = False
    """Whether a call in it did not return in time."""
    is_ending: bool = False
    """Whether it was ordered to exit."""

    def runs(self, function: Function) -> bool:
        """Return whether a call of this function runs in it."""
        return any(task.function is function for task in self.tasks.values())

    @property
    def object_count(self) -> int:
        """How many objects live in it."""
        return sum(home is self for home in self.group.homes.values())

    @property
    def keeps_state(self) -> bool:
        """Whether objects live in it that a client may still call."""
        return not self.group.is_closed and self.object_count > 0


@dataclass(slots=True, eq=False)
class WorkerGroup:
    """The processes of one venv of one application, either for its functions or for its objects."""

    venv: str
    workers: dict[int, Worker] = field(default_factory=dict)
    queues: dict[Function, FunctionQueue] = field(default_factory=dict)
    homes: dict[Function, Worker | str] = field(default_factory=dict)
    """The process of each object, or how it was lost."""
    is_closed: bool = False

    @property
    def next_index(self) -> int:
        """The least index that no process has."""
        return next(index for index in itertools.count() if index not in self.workers)

    def emptiest(self) -> Worker | None:
        """Return the process with the fewest objects, of several that with the fewest calls; None if there is none."""
        staying = (worker for worker in self.workers.values() if not worker.is_leaving)
        return min(staying, key=lambda worker: (worker.object_count, len(worker.tasks)), default=None)
