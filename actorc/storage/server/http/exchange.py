"""One request and its answer, for a thread that may wait: the event loop does the talking."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any, Final, TypeVar

from aiohttp import HttpVersion11, web

from actorc.storage.errors import DeadlineExceededError
from actorc.storage.rules import MAX_CHUNK_SIZE

from .errors import Refusal

T = TypeVar("T")

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Exchange:
    """A request that came, and the answer to it. All methods but `abort` are for one worker thread.

    Args:
        request: What came.
        idle_timeout: Seconds the peer may be waited for.
        always: Headers of every answer.

    Attributes:
        headers: Those of the request; names compare in any case.
        response: The answer, once it has begun.
        size: Bytes of the body that came or went so far.
    """

    def __init__(self, request: web.BaseRequest, idle_timeout: float, always: Mapping[str, str]) -> None:
        self.method = request.method
        self.headers: Mapping[str, str] = request.headers
        self.response: web.StreamResponse | None = None
        self.size = 0
        self._request = request
        self._transport = request.transport
        self._idle_timeout = idle_timeout
        self._always = always
        self._loop = asyncio.get_running_loop()

    @property
    def declared_size(self) -> int | None:
        """Bytes that the peer says it sends; None if it does not know.

        Raises:
            Refusal: It says neither how many there are, nor how they end.
        """
        size = self._request.content_length
        if size is None and "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            raise Refusal(411, "LengthRequired", "the length of the body is not known; send Content-Length, or chunks")
        return size

    def blocks(self, most: int) -> Iterator[bytes]:
        """Yield the body in blocks of 1 MiB, but at once when it is longer than `most` bytes.

        A connection that breaks is an error, not an end.
        """
        self._await(self._go_on())
        while block := self._await(self._block(min(MAX_CHUNK_SIZE, most + 1 - self.size))):
            self.size += len(block)
            yield block

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of the answer; its ``Content-Length`` says what follows."""
        self.response = web.StreamResponse(status=status, headers={**self._always, **headers})
        self._await(self.response.prepare(self._request))

    def write(self, data: bytes | memoryview) -> None:
        """Send bytes of the body, when the peer has taken enough of those before."""
        assert self.response is not None
        self._await(self.response.write(data))
        self.size += len(data)

    def abort(self) -> None:
        """Break the connection, so that the peer does not take what it got for all there is. On the loop's thread."""
        if self._transport is not None:
            self._transport.abort()

    def _await(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(self._in_time(coroutine), self._loop).result()

    async def _in_time(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            return await asyncio.wait_for(coroutine, self._idle_timeout)
        except TimeoutError:
            raise DeadlineExceededError(
                f"nothing moved for {self._idle_timeout:g} s and the server gave up; try again"
            ) from None

    async def _go_on(self) -> None:
        request = self._request
        if request.version >= HttpVersion11 and self.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(_CONTINUE)
            # what aiohttp has sent so far is no part of the answer
            request.writer.output_size = 0

    async def _block(self, size: int) -> bytes:
        pieces, missing = [], size
        while missing and (piece := await self._request.content.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)
