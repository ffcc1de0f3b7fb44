"""A group of tasks on threads, which end with the block: the first failure, or Ctrl-C, cancels the rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final, Generic, NamedTuple, Self, TypeVar

from actorc.storage._rpc import cancellation

from .stream_count import StreamCount

Result = TypeVar("Result")

_TOLD_EVERY: Final = 0.01
"""Seconds between two reports of one task at least."""


class _Moved(NamedTuple):
    """Bytes that a task has moved; None once it has handed all of them over."""

    task: threading.Thread
    size: int | None


class _Ended(NamedTuple):
    """The end of a task: its result, or its error."""

    task: threading.Thread
    result: object = None
    error: BaseException | None = None


@dataclass(frozen=True)
class Report:
    """What a task tells while it runs."""

    moved: Callable[[int], None]
    """Called with the bytes moved since the last call."""
    handed_over: Callable[[], None] = lambda: None
    """Called when all bytes are on their way and only an answer is awaited: another task may use the link."""


class _Tally:
    """Bytes that a task has moved, told together where they come fast: each time, the owner wakes up.

    For one thread.

    Args:
        told: Called with bytes that were not told before.
    """

    def __init__(self, told: Callable[[int], None]) -> None:
        self._told = told
        self._bytes = 0
        self._next = 0.0

    def add(self, size: int) -> None:
        self._bytes += size
        if time.monotonic() >= self._next:
            self.tell()

    def tell(self) -> None:
        """Tell what is left to be told."""
        if self._bytes:
            size, self._bytes = self._bytes, 0
            self._told(size)
        self._next = time.monotonic() + _TOLD_EVERY


class TaskGroup(Generic[Result]):
    """Runs tasks, each on a thread of its own.

    One thread owns the group: it starts tasks and waits for them, and only that thread handles progress and results, so
    callbacks need no lock. `cancel` may be called from any thread.

    Args:
        moved: Called on the owning thread with the bytes a task has transferred; an exception ends the group.
        streams: Told what is moved, and asked how many tasks may move bytes at once.
    """

    def __init__(self, moved: Callable[[int], None], streams: StreamCount | None = None) -> None:
        self._moved = moved
        self._streams = streams or StreamCount()
        self._events: SimpleQueue[_Ended | _Moved] = SimpleQueue()
        self._threads: set[threading.Thread] = set()
        # of these, those that have not handed all over, and those that have moved bytes
        self._moving: set[threading.Thread] = set()
        self._flowing: set[threading.Thread] = set()
        # and those that run; the lock guards them: a thread whose start is interrupted either runs, and is waited for,
        # or will not run its task
        self._begun: set[threading.Thread] = set()
        self._beginning = threading.Lock()
        self._results: list[Result] = []
        self._scope = cancellation.CancelScope()

    @property
    def running(self) -> int:
        """Tasks that have not ended."""
        return len(self._threads)

    @property
    def room(self) -> int:
        """How many more tasks may move bytes."""
        return max(0, self._streams.count - len(self._moving))

    def start(self, task: Callable[[Report], Result]) -> None:
        """Start `task`, which is called with its report."""
        # a copy of the context, since the caller's cancel scope is a context variable
        context = copy_context()
        thread = threading.Thread(target=context.run, args=(self._run, task), name="storage-part", daemon=True)
        # before it starts: its first event may come at once
        self._threads.add(thread)
        self._moving.add(thread)
        try:
            thread.start()
        except BaseException:
            with self._beginning:
                if thread not in self._begun:
                    self._forget(thread)
            raise

    def wait(self) -> None:
        """Wait until a task reports or ends, and handle all that happened.

        Raises:
            BaseException: The exception of the first task that failed.
        """
        # a cancelled outer scope cancels this one, which ends the tasks that the owner waits for
        with cancellation.running(self._scope.cancel):
            self._handle(self._events.get())
            while not self._events.empty():
                self._handle(self._events.get())

    def wait_for_room(self) -> None:
        """Wait until one more task may move bytes."""
        while not self.room:
            self.wait()

    def wait_for(self, running: int) -> None:
        """Wait until at most `running` tasks have not ended."""
        while self.running > running or not self._events.empty():
            self.wait()

    def results(self) -> list[Result]:
        """Wait for all tasks and return their results, in no particular order."""
        self.wait_for(0)
        return self._results

    def _run(self, task: Callable[[Report], Result]) -> None:
        this = threading.current_thread()
        with self._beginning:
            if this not in self._threads:
                return
            self._begun.add(this)
        # through the queue and not by a callback, so that only the owner runs the caller's code
        tally = _Tally(lambda size: self._events.put(_Moved(this, size)))

        def handed_over() -> None:
            tally.tell()
            self._events.put(_Moved(this, None))

        try:
            with cancellation.entered(self._scope):
                result = task(Report(tally.add, handed_over))
            tally.tell()
            self._events.put(_Ended(this, result))
        except BaseException as error:  # noqa: BLE001  # raised again on the thread that waits
            self._events.put(_Ended(this, error=error))

    def _handle(self, event: _Ended | _Moved) -> None:
        if isinstance(event, _Ended):
            self._forget(event.task)
            if event.error is not None:
                raise event.error
            self._results.append(event.result)  # type: ignore[arg-type]
        elif event.size is None:
            self._moving.discard(event.task)
        else:
            self._flowing.add(event.task)
            self._streams.moved(event.size, len(self._flowing & self._moving), time.monotonic())
            self._moved(event.size)

    def _forget(self, task: threading.Thread) -> None:
        self._threads.discard(task)
        self._begun.discard(task)
        self._moving.discard(task)
        self._flowing.discard(task)

    def cancel(self) -> None:
        """Cancel running tasks without waiting for them; later ones fail at once."""
        self._scope.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._scope.cancel()
        # joined, so that no thread uses the caller's file or buffer after the block
        for thread in self._threads:
            thread.join()
