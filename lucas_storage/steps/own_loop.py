"""Runs coroutines and asynchronous generators to their end, on an event loop of their own.

Engines call functions synchronously, some of them on a thread whose event loop is running, as a notebook's does.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Final, Self

_END: Final = object()
_LOOK: Final = 0.5
"""Seconds between two looks for an interrupt."""


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end and return its value; context variables are those of the caller.

    Raises:
        KeyboardInterrupt: The user interrupted it; the coroutine was cancelled first.
        BaseException: Whatever it raises, as it is.
    """
    with _OwnLoop() as loop:
        return loop.run(coroutine)


def items(iterator: AsyncIterator[Any]) -> Iterator[Any]:
    """Yield the items of an asynchronous iterator, each made when it is asked for."""
    with _OwnLoop() as loop:
        try:
            while (item := loop.run(_next(iterator))) is not _END:
                yield item
        finally:
            # Here and not by the loop, since code of the user may follow the last `yield`, and may raise.
            if hasattr(iterator, "aclose"):
                loop.run(_closed(iterator))


async def _next(iterator: AsyncIterator[Any]) -> Any:
    return await anext(iterator, _END)


async def _closed(iterator: Any) -> None:
    await iterator.aclose()


class _OwnLoop:
    """An event loop on this thread, or on one of its own if a loop is running on this one. For one thread."""

    def __init__(self) -> None:
        # With a factory, since a runner without one takes the thread's own loop away when it is closed.
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._thread = _thread() if _is_running() else None
        # Guards the two below: an interrupt reaches the calling thread at any point, before the task has begun, too.
        self._lock = threading.Lock()
        self._task: asyncio.Task[Any] | None = None
        self._is_cancelled = False

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        if self._thread is None:
            return self._runner.run(coroutine)
        context = contextvars.copy_context()
        self._is_cancelled = False
        try:
            done = self._thread.submit(self._runner.run, self._cancellable(coroutine), context=context)
            # Not without end: a signal that comes just before a thread waits is seen only when it wakes.
            while not wait((done,), _LOOK).done:
                pass
            return done.result()
        except BaseException:
            self._cancel()  # which does nothing if the coroutine has ended
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is None:
            self._runner.close()
            return
        # On the thread on which the loop was made, after the coroutine has ended.
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()

    def _cancel(self) -> None:
        with self._lock:
            self._is_cancelled = True
            if self._task is not None:
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    async def _cancellable(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        with self._lock:
            self._task = asyncio.current_task()
        try:
            if self._is_cancelled:
                coroutine.close()
                raise asyncio.CancelledError
            return await coroutine
        finally:
            with self._lock:
                self._task = None


def _thread() -> ThreadPoolExecutor:
    thread = ThreadPoolExecutor(1, "lucas-storage-loop")
    # Started before it runs code of the user: interrupted while it starts its thread, an executor would start another.
    thread.submit(bool).result()
    return thread


def _is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
