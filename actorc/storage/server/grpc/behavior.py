"""The implementation of a method for gRPC, and which threads run it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _CallerThread(ThreadPoolExecutor):
    """Runs work on the thread of the caller, before `submit` returns. It has no thread."""

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run work that does not block."""
        future: Future[T] = Future()
        try:
            future.set_result(work(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - as a thread of a pool would
            future.set_exception(error)
        return future


CALLER_THREAD: Final = _CallerThread(1)


class Behavior:
    """The implementation of a method for gRPC, with a pool of its own.

    Args:
        behave: Called with requests, the context and, if it does not block, a function that sends an answer; None is
            sent last.
        pool: Pool that runs it; None for the pool of the server.
        blocking: Whether the call is over when `behave` returns.
    """

    # gRPC has read these attributes since 2018, and still calls them experimental
    experimental_thread_pool: ThreadPoolExecutor | None
    experimental_non_blocking: bool

    def __init__(
        self, behave: Callable[..., Any], *, pool: ThreadPoolExecutor | None = None, blocking: bool = True
    ) -> None:
        self._behave = behave
        self.experimental_thread_pool = pool
        self.experimental_non_blocking = not blocking

    def __call__(self, *args: Any) -> Any:
        """Call the implementation."""
        return self._behave(*args)
