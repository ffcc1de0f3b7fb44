"""The asynchronous client under the surface of the blocking one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

from actorc.storage.aio import AsyncStorageClient

T = TypeVar("T")
_END = object()


class AsyncFace:
    """`AsyncStorageClient`, awaited on a loop of its own thread; what is iterated over becomes asynchronous, too.

    Args:
        endpoint: As the client takes it.
    """

    def __init__(self, endpoint: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="face", daemon=True)
        self._thread.start()
        self._client = AsyncStorageClient(endpoint)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*args: Any, **options: Any) -> Any:
            begun = method(*map(_asynchronous, args), **options)
            return self._drained(begun) if hasattr(begun, "__anext__") else self._wait(begun)

        return call

    def close(self) -> None:
        """Close the client and end the thread."""
        self._wait(self._client.aclose())
        self._wait(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _drained(self, items: AsyncGenerator[Any]) -> Iterator[Any]:
        try:
            while (item := self._wait(anext(items, _END))) is not _END:
                yield item
        finally:
            self._wait(items.aclose())

    def _wait(self, awaitable: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result()


def _asynchronous(source: Any) -> Any:
    """Return an iterator as an asynchronous one, and anything else as it is."""
    if not hasattr(source, "__next__"):
        return source

    async def items() -> AsyncIterator[Any]:
        for item in source:
            yield item

    return items()
