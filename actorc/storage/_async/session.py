"""The blocking client that an asynchronous one calls on threads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import Any, Final, ParamSpec, TypeVar, cast

from actorc.storage import rules
from actorc.storage.client import StorageClient

from .thread_call import ThreadCall, iterated
from .thread_pool import Threads

MAX_THREADS: Final = 32

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class AsyncSession:
    """A blocking client and its threads. Usable from any thread and event loop, and in a child after a fork."""

    DEFAULT_CHUNK_SIZE: int = rules.DEFAULT_CHUNK_SIZE
    """As `StorageClient.DEFAULT_CHUNK_SIZE`."""
    PARALLEL_FROM: int = rules.PARALLEL_FROM
    """As `StorageClient.PARALLEL_FROM`."""

    def _open(
        self, *, max_threads: int, access_key: str | None = None, secret_key: str | None = None, **options: Any
    ) -> None:
        # what a pickle holds: no keys, as for the blocking client
        self._recipe = {**options, "max_threads": rules.check_positive(max_threads, "max_threads")}
        self._client = StorageClient(access_key=access_key, secret_key=secret_key, **options)
        # which a subclass may have changed
        self._client.DEFAULT_CHUNK_SIZE, self._client.PARALLEL_FROM = self.DEFAULT_CHUNK_SIZE, self.PARALLEL_FROM
        self._threads = Threads(max_threads, "storage-async")

    async def _run(
        self, method: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        return await ThreadCall(self._threads).run(method, *args, **kwargs)

    def _iterate(self, items: Iterator[Result], at_once: int) -> AsyncGenerator[Result, None]:
        return iterated(self._threads, cast("Generator[Result, None, None]", items), at_once)
