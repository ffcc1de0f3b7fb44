"""Where calls run: pools of threads that say no instead of letting more wait than they can serve.

gRPC asks for a handler before it takes a thread, on the one thread that hands out all calls. There a caller is judged
by its headers, and there a call is given to a pool, or refused without any thread: a refusal waits for nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, ParamSpec, TypeVar

from actorc.storage.errors import ResourceExhaustedError

P = ParamSpec("P")
T = TypeVar("T")

_RETRY_AFTER: Final = 0.2
"""Seconds after which a refused call may find a place."""


class CallPool(ThreadPoolExecutor):
    """Threads for calls, and a bound for those that wait for one.

    gRPC's own bound, `maximum_concurrent_rpcs`, counts whoever calls and refuses without saying when to come back.

    Args:
        threads: Calls that run at the same time.
        waiting: Calls that may wait for a thread.
        name: Begins the names of the threads.
        clock: Monotonic seconds.
    """

    def __init__(self, threads: int, *, waiting: int, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(threads, thread_name_prefix=name)
        self._size = threads
        self._room = threads + waiting
        self._clock = clock
        self._moved = clock()
        self._lock = threading.Lock()
        self.present = 0
        """Calls that run or wait."""
        self.taken = 0
        """Calls that were ever given to it."""

    @property
    def is_busy(self) -> bool:
        """Whether a further call would have to wait for a thread."""
        return self.present >= self._size

    def stands_still(self) -> float:
        """Return for how many seconds all threads have been taken without the end of a single call; 0 if one is free.

        More calls that come and wait do not count as movement.
        """
        with self._lock:
            return self._clock() - self._moved if self.is_busy else 0.0

    def demand_room(self) -> None:
        """Refuse a further call if there is no room for it.

        Raises:
            ResourceExhaustedError: So it is; the call may be tried again.
        """
        if self.present >= self._room:
            raise ResourceExhaustedError(
                f"the server is busy, {self._room} calls of this kind run or wait already; try again in a moment",
                retry_after=_RETRY_AFTER,
            )

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a call on one of the threads, whether there is room or not."""
        with self._lock:
            self.present += 1
            self.taken += 1
            if self.present <= self._size:
                self._moved = self._clock()
        try:
            future = super().submit(work, *args, **kwargs)
        except BaseException:
            self._leave()
            raise
        future.add_done_callback(lambda _: self._leave())
        return future

    def _leave(self) -> None:
        with self._lock:
            self.present -= 1
            self._moved = self._clock()


class _AtOnce(ThreadPoolExecutor):
    """Runs what it is given before `submit` returns, on the thread of the caller. It never has a thread."""

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run what waits for nothing."""
        future: Future[T] = Future()
        try:
            future.set_result(work(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - as a thread of a pool would
            future.set_exception(error)
        return future


AT_ONCE: Final = _AtOnce(1)


class Behavior:
    """What gRPC calls for a method, with a pool of its own.

    Args:
        behave: Called with requests, the context and, if it does not block, with what sends an answer, None being the
            last.
        pool: Where; None for the pool of the server.
        blocking: Whether the call is over when `behave` returns.
    """

    # how gRPC is told, by attributes that it looks for since 2018 and calls experimental all the same
    experimental_thread_pool: ThreadPoolExecutor | None
    experimental_non_blocking: bool

    def __init__(
        self, behave: Callable[..., Any], *, pool: ThreadPoolExecutor | None = None, blocking: bool = True
    ) -> None:
        self._behave = behave
        self.experimental_thread_pool = pool
        self.experimental_non_blocking = not blocking

    def __call__(self, *args: Any) -> Any:
        """Behave."""
        return self._behave(*args)
