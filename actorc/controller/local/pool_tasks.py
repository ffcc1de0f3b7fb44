"""What the pool deals with: calls that are ready, the processes they run in, and who waits for which."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .functions import Function


class Start(Protocol):
    """Starts a worker for a venv."""

    def __call__(
        self,
        venv: str,
        on_return: Callable[[str, Any], None],
        on_end: Callable[[str], None],
        on_ready: Callable[[], None],
        /,
    ) -> Process:
        """Call these with each return, when it has ended, and when it is ready; return it."""


class Process(Protocol):
    """What a pool needs of a worker."""

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
    """Gets what the worker returned."""
    on_loss: Callable[[str], None]
    """Gets the reason why no worker will return anything."""
    has_begun: bool = False
    is_given_up: bool = False
    """Nobody waits for it; it is not begun any more."""

    @property
    def name(self) -> str:
        """What it calls, as messages show it."""
        return f"{self.function.shown}.{self.method}" if self.method else self.function.shown


@dataclass(slots=True, eq=False)
class Lane:
    """A function, and its calls that wait."""

    crew: Crew
    function: Function
    waiting: deque[Task] = field(default_factory=deque)


@dataclass(slots=True, eq=False)
class Place:
    """One of the processes."""

    crew: Crew
    index: int
    since: float
    process: Process = field(init=False)
    tasks: dict[str, Task] = field(default_factory=dict)
    handlers: dict[str, Function] = field(default_factory=dict)
    last_used: int = 0
    is_ready: bool = False
    """It carries out orders; those that came before wait for that."""
    is_leaving: bool = False
    """It gets no more calls."""
    is_stuck: bool = False
    """A call in it did not return in time."""
    is_ending: bool = False
    """It was told to end."""

    def runs(self, function: Function) -> bool:
        """Return whether a call of this function runs there."""
        return any(task.function is function for task in self.tasks.values())

    @property
    def keeps_state(self) -> bool:
        """Whether objects live there that somebody may still call."""
        return not self.crew.is_closed and any(home is self for home in self.crew.homes.values())


@dataclass(slots=True, eq=False)
class Crew:
    """The processes of one venv of one application: those of its functions, or those of its objects."""

    venv: str
    places: dict[int, Place] = field(default_factory=dict)
    lanes: dict[Function, Lane] = field(default_factory=dict)
    homes: dict[Function, Place | str] = field(default_factory=dict)
    """Where each object lives, or how it was lost."""
    is_closed: bool = False
