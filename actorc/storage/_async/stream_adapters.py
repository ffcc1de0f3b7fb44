"""Sources, sinks and callbacks of a task, as a blocking call on a thread takes them."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from actorc.storage.rules import MiB

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from actorc.storage._rpc.byte_source import ByteSource
    from actorc.storage._rpc.payload import Progress

    from .thread_call import ThreadCall

_READ_SIZE: Final = MiB


class AsyncReadable(Protocol):
    """An open binary file whose ``read`` is awaited."""

    async def read(self, size: int, /) -> bytes:
        """Return the next bytes, `size` at most, none only at the end."""


class AsyncWritable(Protocol):
    """An open binary file whose ``write`` is awaited."""

    async def write(self, data: bytes, /) -> object:
        """Append `data`."""


AsyncByteSource: TypeAlias = "ByteSource | AsyncIterable[Buffer] | AsyncReadable"
"""What an upload can be read from; the asynchronous ones are read by the task that awaits the upload."""


def source_for(call: ThreadCall, source: AsyncByteSource) -> ByteSource:
    """Return `source` as the thread of `call` can read it."""
    pull = _pull(source)
    return cast("ByteSource", source) if pull is None else _pieces(call, pull)


def sink_for(call: ThreadCall, sink: IO[bytes] | AsyncWritable) -> IO[bytes]:
    """Return `sink` as the thread of `call` can write to it."""
    if inspect.iscoroutinefunction(getattr(sink, "write", None)):
        return cast("IO[bytes]", _Sink(call, cast("AsyncWritable", sink)))
    return cast("IO[bytes]", sink)


def progress_for(call: ThreadCall, progress: Progress | None) -> Progress | None:
    """Return what calls `progress` in the task that awaits `call`."""

    async def tell(done: int, total: int | None) -> None:
        assert progress is not None
        progress(done, total)

    return None if progress is None else partial(call.errand, tell)


class _Sink:
    def __init__(self, call: ThreadCall, sink: AsyncWritable) -> None:
        self._call = call
        self._sink = sink

    def write(self, data: bytes) -> object:
        return self._call.errand(self._sink.write, data)


def _pull(source: Any) -> Callable[[], Awaitable[Any]] | None:
    """Return what gets the next piece, None for a source that does not need to be awaited.

    An asynchronous file is read in pieces, though most can also be iterated over, by lines.
    """
    if inspect.iscoroutinefunction(getattr(source, "read", None)):
        return partial(_read, source)
    if isinstance(source, AsyncIterable):
        return aiter(source).__anext__
    return None


async def _read(file: AsyncReadable) -> bytes:
    piece = await file.read(_READ_SIZE)
    if piece is not None and not len(piece):
        raise StopAsyncIteration
    return piece


def _pieces(call: ThreadCall, pull: Callable[[], Awaitable[Any]]) -> Iterator[Any]:
    ended = False
    while not ended:
        pieces, ended = call.errand(_some, pull)
        yield from pieces


async def _some(pull: Callable[[], Awaitable[Any]]) -> tuple[list[Any], bool]:
    """Return pieces that make about 1 MiB, and whether they are the last; waking a thread for each is slow."""
    pieces: list[Any] = []
    size = 0
    while size < _READ_SIZE:
        try:
            piece = await pull()
        except StopAsyncIteration:
            return pieces, True
        pieces.append(piece)
        if not isinstance(piece, bytes):
            # a buffer that the source may use again for the next piece, or nothing that can be sent
            break
        size += len(piece)
    return pieces, False
