"""One blocking call, made on a thread and awaited by a task.

While the thread runs, the task does what only it can: it reads asynchronous sources and calls back, in its own context
and on its own loop. Cancelling the task cancels the calls the thread has made to the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from itertools import islice
from typing import Any, ParamSpec, TypeVar

from actorc.storage._rpc import cancellation

from .thread_pool import Threads

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class ThreadCall:
    """A call, or several one after the other, on threads; for one task at a time, on the loop where it is made.

    Args:
        threads: Where calls are made.
    """

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._scope = cancellation.CancelScope()
        self._errands: asyncio.Queue[Callable[[], Awaitable[None]] | None] = asyncio.Queue()
        self._ended = True

    async def run(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Return what `function` returns, called on a thread; if cancelled, not before the thread has let go."""
        return await self.result(self.start(partial(function, *args, **kwargs)))

    def start(self, function: Callable[[], Result]) -> Future[Result]:
        """Begin a call, to be awaited by `result`."""
        job = self._threads.submit(partial(copy_context().run, self._inside, function))
        self._ended = False
        job.add_done_callback(self._tell_end)
        return job

    async def result(self, job: Future[Result]) -> Result:
        """Return what the call returned, after doing its errands meanwhile."""
        try:
            while not await self._next_errand_done():
                pass
        except GeneratorExit:
            # this task will never run again, so it cannot wait for the thread
            self._ended = True
            self._scope.cancel()
            raise
        except BaseException:
            # the thread must have ended before this returns: it may still read the caller's source
            job.cancel()
            await self.cancel()
            raise
        return job.result()

    async def cancel(self) -> None:
        """Cancel what the thread waits for, now and later, and wait until it has let go, even if cancelled again."""
        self._scope.cancel()
        cancelled = None
        while not self._ended:
            try:
                self._ended = await self._errands.get() is None
            except asyncio.CancelledError as error:  # a thread that holds on is rare
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def errand(self, function: Callable[..., Awaitable[Result]], *args: Any) -> Result:
        """Have the task that awaits this call await `function`, and return what that returns; on the thread.

        Raises:
            StorageError: The call was cancelled.
        """
        reply: Future[Result] = Future()
        with cancellation.running(reply.cancel), self._threads.lent():
            self._loop.call_soon_threadsafe(self._errands.put_nowait, partial(_do, reply, function, args))
            try:
                return reply.result()
            except CancelledError:
                raise cancellation.cancelled() from None

    def _inside(self, function: Callable[[], Result]) -> Result:
        with cancellation.entered(self._scope):
            return function()

    def _tell_end(self, _: object) -> None:
        # a loop that was closed meanwhile has nobody left to tell
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._errands.put_nowait, None)

    async def _next_errand_done(self) -> bool:
        """Return whether the call has ended instead of having another errand."""
        errand = await self._errands.get()
        if errand is None:
            self._ended = True
        else:
            await errand()
        return self._ended


async def iterated(
    threads: Threads, items: Generator[Result, None, None], at_once: int
) -> AsyncGenerator[Result, None]:
    """Iterate over `items` on threads; no thread is held, and little is read, while nobody asks for more.

    Args:
        threads: Where `items` is run.
        items: Closed at the end, however that comes.
        at_once: Items fetched at once; as many are fetched ahead.
    """
    call = ThreadCall(threads)
    fetch = partial(_fetched, items, at_once)
    job = call.start(fetch)
    try:
        while some := await call.result(job):
            job = call.start(fetch)
            for item in some:
                yield item
    finally:
        await call.cancel()
        if job.done():
            items.close()


def _fetched(items: Generator[Result, None, None], at_once: int) -> list[Result]:
    return list(islice(items, at_once))


async def _do(reply: Future[Result], function: Callable[..., Awaitable[Result]], args: tuple[Any, ...]) -> None:
    try:
        result = await function(*args)
    except Exception as error:  # noqa: BLE001  # raised again on the thread
        if not reply.cancelled():
            reply.set_exception(error)
    else:
        if not reply.cancelled():
            reply.set_result(result)
