"""What all parts of the asynchronous client share: the blocking client, and the threads its methods are called on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from actorc.storage import rules

from .call import ThreadCall, iterated
from .threads import Threads

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class AsyncSession:
    """A blocking client and its threads."""

    DEFAULT_CHUNK_SIZE: int = rules.DEFAULT_CHUNK_SIZE
    """As `StorageClient.DEFAULT_CHUNK_SIZE`."""

    _client: StorageClient
    _threads: Threads

    async def _run(
        self, method: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        return await ThreadCall(self._threads).run(method, *args, **kwargs)

    def _iterate(self, items: Iterator[Result], at_once: int) -> AsyncGenerator[Result, None]:
        return iterated(self._threads, cast("Generator[Result, None, None]", items), at_once)
