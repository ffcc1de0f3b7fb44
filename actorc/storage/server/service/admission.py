"""Admission: pools of threads, and a limit of streams, that refuse calls for which there is no room.

gRPC asks for a handler before it uses a thread, on the one thread that dispatches all calls. There a caller is checked
by its headers, and the call is given to a pool or refused. A refusal uses no thread and waits for nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from actorc.storage.errors import ResourceExhaustedError

P = ParamSpec("P")
T = TypeVar("T")

_RETRY_AFTER: Final = 0.2
"""Seconds after which a refused call may be admitted."""


class StreamLimit:
    """A limit of the uploads and downloads under way, each within a `with` block. Any thread may call it.

    Args:
        most: Streams at the same time; the block of a further one raises `ResourceExhaustedError` at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = threading.BoundedSemaphore(most)

    def __enter__(self) -> None:
        # without waiting: a waiting transfer would occupy a thread that a small call needs
        if not self._free.acquire(blocking=False):
            raise ResourceExhaustedError(
                f"the server runs {self._most} transfers already; try again in a moment", retry_after=_RETRY_AFTER
            )

    def __exit__(self, *_: object) -> None:
        self._free.release()


class CallPool(ThreadPoolExecutor):
    """Threads for calls, with a bound for the calls that wait for one. Any thread may call it.

    gRPC's own bound, `maximum_concurrent_rpcs`, counts callers of every kind, and refuses without saying when to retry.

    Args:
        threads: Calls that run at the same time.
        waiting: Calls that may wait for a thread.
        name: Prefix of the names of the threads.
        clock: Monotonic seconds.
    """

    def __init__(self, threads: int, *, waiting: int, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(threads, thread_name_prefix=name)
        self._calling = _Calling()
        self._size = threads
        self._room = threads + waiting
        self._clock = clock
        self._last_end = clock()
        # guards the counters; `is_busy` and `demand_room` read them without it, since they may be outdated anyway
        self._lock = threading.Lock()
        self.count = 0
        """Calls that run or wait."""
        self.submitted = 0
        """Calls that were ever submitted."""
        self.counted: Final = _Counted(self)
        """Counts calls that run on threads of another face, each within a block, as if they ran on these."""

    @property
    def is_busy(self) -> bool:
        """Whether a further call would have to wait for a thread."""
        return self.count >= self._size

    def stuck_seconds(self) -> float:
        """Return the seconds for which all threads have been busy without the end of a call; 0 if one is free.

        Calls that arrive and wait do not count as progress.
        """
        with self._lock:
            return self._clock() - self._last_end if self.is_busy else 0.0

    def demand_room(self) -> None:
        """Raise if there is no room for another call.

        Raises:
            ResourceExhaustedError: There is none; the call may be retried.
        """
        if self.count >= self._room:
            raise ResourceExhaustedError(
                f"the server is busy, {self._room} calls of this kind run or wait already; try again in a moment",
                retry_after=_RETRY_AFTER,
            )

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a call on one of the threads, even if there is no room."""
        self.enter()
        try:
            future = super().submit(self._run, work, *args, **kwargs)
        except BaseException:
            # the work will never run, so its place is free again
            self.leave()
            raise
        future.add_done_callback(lambda _: self.leave())
        return future

    def afterwards(self, work: Callable[[], object]) -> None:
        """Run `work`, which must not raise, on this thread of the pool once its call is over: nobody waits for it."""
        self._calling.remains = work

    def _run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        finally:
            remains, self._calling.remains = self._calling.remains, None
            if remains is not None:
                remains()

    def enter(self) -> None:
        """Count a call from now on."""
        with self._lock:
            self.count += 1
            self.submitted += 1
            if self.count <= self._size:
                self._last_end = self._clock()

    def leave(self) -> None:
        """Count it no more."""
        with self._lock:
            self.count -= 1
            self._last_end = self._clock()


class _Calling(threading.local):
    """What the call on a thread leaves to be done behind its end."""

    remains: Callable[[], object] | None = None


class _Counted:
    """A block in which a call is counted, for any number of threads."""

    def __init__(self, pool: CallPool) -> None:
        self._pool = pool

    def __enter__(self) -> None:
        self._pool.enter()

    def __exit__(self, *_: object) -> None:
        self._pool.leave()
