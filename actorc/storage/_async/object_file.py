"""Objects as files whose methods are awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from actorc.storage._client.object_writer import ObjectWriter, TextWriter
from actorc.storage.models import PutResult

from .thread_call import ThreadCall

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .thread_pool import Threads

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class AsyncObjectFile:
    """An object, opened as a file by ``async with``, and published at its end if it was written.

    A cancelled method ends the file: what is called later fails, and nothing is published.

    Args:
        threads: Where its methods are called.
        opening: Opens the file.
    """

    def __init__(self, threads: Threads, opening: Callable[[], IO[Any]]) -> None:
        self._threads = threads
        self._opening = opening
        # one call at a time: the file has one position, and its threads know nothing of each other
        self._turn = asyncio.Lock()
        self._file: IO[Any] | None = None

    @property
    def result(self) -> PutResult | None:
        """What was stored, once a file that was written is closed."""
        writer = getattr(self._opened, "buffer", self._opened)
        return writer.result if isinstance(writer, ObjectWriter) else None

    async def read(self, size: int = -1) -> Any:
        """Return the next bytes, or characters of text; `size` at most, all if it is negative."""
        return await self._run(self._opened.read, size)

    async def readline(self) -> Any:
        """Return the next line, empty at the end."""
        return await self._run(self._opened.readline)

    async def readinto(self, buffer: Buffer) -> int:
        """Fill `buffer` with the next bytes of a binary file; return how many, fewer only at the end."""
        return await self._run(self._opened.readinto, buffer)  # type: ignore[attr-defined] # binary files have it

    async def write(self, data: Any) -> int:
        """Append `data`; after a failure nothing will be stored."""
        return await self._run(self._opened.write, data)

    async def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position of a file that is read, and return it."""
        return await self._run(self._opened.seek, offset, whence)

    async def tell(self) -> int:
        """Return the position."""
        return await self._run(self._opened.tell)

    @property
    def _opened(self) -> IO[Any]:
        if self._file is None:
            raise ValueError("the file is not open; use it inside 'async with client.open_object(...) as file'")
        return self._file

    async def _run(
        self, method: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        async with self._turn:
            return await self._call.run(method, *args, **kwargs)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    async def __aenter__(self) -> Self:
        self._call = ThreadCall(self._threads)
        self._file = await self._run(self._opening)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        file = self._opened
        if kind is not None and isinstance(file, (ObjectWriter, TextWriter)):
            await self._run(file.abort)
        else:
            await self._run(file.close)
