"""A group of tasks on threads, which end with the block: the first failure, or Ctrl-C, cancels the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue
from typing import Generic, NamedTuple, Self, TypeAlias, TypeVar

from actorc.storage._rpc import cancellation

Result = TypeVar("Result")
Moved: TypeAlias = "Callable[[int], None]"
"""Called with each increment of bytes transferred."""


class _Ended(NamedTuple):
    """The end of a task: its result, or its error."""

    thread: threading.Thread
    result: object = None
    error: BaseException | None = None


class TaskGroup(Generic[Result]):
    """Runs tasks, each on a thread of its own.

    One thread owns the group: it starts tasks and waits for them, and only that thread handles progress and results, so
    callbacks need no lock. `cancel` may be called from any thread.

    Args:
        moved: Called on the owning thread with the bytes a task has transferred; an exception ends the group.
    """

    def __init__(self, moved: Moved) -> None:
        self._moved = moved
        self._events: SimpleQueue[_Ended | int] = SimpleQueue()
        self._threads: set[threading.Thread] = set()
        self._results: list[Result] = []
        self._scope = cancellation.CancelScope()

    def start(self, task: Callable[[Moved], Result], *, ahead: int = 0) -> None:
        """Start `task`, then wait until at most `ahead` tasks run.

        Args:
            task: Called with a callback for its progress.
            ahead: Tasks that may still run when this returns.

        Raises:
            BaseException: The exception of the first task that failed.
        """
        # a copy of the context, since the caller's cancel scope is a context variable
        context = copy_context()
        thread = threading.Thread(target=context.run, args=(self._run, task), name="storage-part", daemon=True)
        thread.start()
        self._threads.add(thread)
        self._wait(ahead)

    def results(self) -> list[Result]:
        """Wait for all tasks and return their results, in no particular order.

        Raises:
            BaseException: The exception of the first task that failed.
        """
        self._wait(0)
        return self._results

    def _run(self, task: Callable[[Moved], Result]) -> None:
        this = threading.current_thread()
        try:
            with cancellation.entered(self._scope):
                # through the queue and not by a callback, so that only the owner runs the caller's code
                self._events.put(_Ended(this, task(self._events.put)))
        except BaseException as error:  # noqa: BLE001  # raised again on the thread that waits
            self._events.put(_Ended(this, error=error))

    def _wait(self, ahead: int) -> None:
        # a cancelled outer scope cancels this one, which ends the tasks that the owner waits for
        with cancellation.running(self._scope.cancel):
            while len(self._threads) > ahead or not self._events.empty():
                self._handle(self._events.get())

    def _handle(self, event: _Ended | int) -> None:
        if isinstance(event, int):
            self._moved(event)
            return
        self._threads.discard(event.thread)
        if event.error is not None:
            raise event.error
        self._results.append(event.result)  # type: ignore[arg-type]

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
