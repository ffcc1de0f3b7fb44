"""Threads for the steps of one run, used again from step to step."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class StepThreads:
    """Runs the function `work` on threads. For the thread of the run.

    They are used again, since a fan-out has thousands of short steps. No `ThreadPoolExecutor`: its threads are joined
    at exit, so a step that hangs would keep the process alive.
    """

    def __init__(self, work: Callable[..., None]) -> None:
        self._work = work
        self._threads: list[StepThread] = []
        self._idle: list[StepThread] = []

    def start(self, name: str, arguments: tuple[Any, ...]) -> StepThread:
        """Call the function with these arguments on a thread that is called `name` meanwhile; return the thread."""
        thread = self._idle.pop() if self._idle else self._new()
        thread.name = name
        thread.inbox.put(arguments)
        return thread

    def take_back(self, thread: StepThread) -> None:
        """Take back a thread whose step is finished."""
        self._idle.append(thread)

    def dismiss(self) -> None:
        """End all threads, each after its present step."""
        for thread in self._threads:
            thread.inbox.put(None)

    def _new(self) -> StepThread:
        thread = StepThread(self._work)
        self._threads.append(thread)
        thread.start()
        return thread


class StepThread(threading.Thread):
    """Does the work in its inbox, one item after the other, until an item is None.

    A daemon: a step that is running when the run fails must not keep the process from ending.
    """

    def __init__(self, work: Callable[..., None]) -> None:
        super().__init__(daemon=True)
        self.inbox: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        self._work = work

    def run(self) -> None:
        """Take work until the inbox gives None."""
        while (given := self.inbox.get()) is not None:
            self._work(*given)
            del given  # an idle thread would keep the arguments, which may be large, until its next step
