"""One HTTP request and its response, used by a thread that may block; the event loop does the I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, Final, TypeVar

from aiohttp import HttpVersion11, web

from actorc.storage.errors import DeadlineExceededError
from actorc.storage.rules import MAX_CHUNK_SIZE
from actorc.storage.server.auth.access import NOBODY, Principal

from .errors import Refusal
from .event_streams import Stream, stream_headers

T = TypeVar("T")

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Exchange:
    """A request and its response. For one worker thread, `abort` aside.

    Args:
        request: The request.
        idle_timeout: Seconds to wait for the peer.
        common_headers: Headers of every response.
        confirm: Raises if a caller would not be let in any more.

    Attributes:
        target: Path and query of the request, as received.
        headers: Headers of the request; names compare case-insensitively.
        response: The response, once it has begun.
        size: Bytes of the body received or sent so far.
        stream: A stream that is the body, and what its first look found; set in place of `begin`.
        principal: The caller, once it is known.
        bucket: Bucket that the request is about, for the access log, where it is not known before.
        key: Likewise, its key.
        route: The path with names in place of values, for its span.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        idle_timeout: float,
        common_headers: Mapping[str, str],
        confirm: Callable[[Principal], None],
    ) -> None:
        self.method = request.method
        self.target = request.raw_path
        self.headers: Mapping[str, str] = request.headers
        self.response: web.StreamResponse | None = None
        self.size = 0
        self.stream: tuple[Stream, bytes] | None = None
        self.principal: Principal | None = None
        self.bucket = ""
        self.key = ""
        self.route = ""
        self._request = request
        self._transport = request.transport
        self._idle_timeout = idle_timeout
        self._common_headers = common_headers
        self._confirm = confirm
        self._loop = asyncio.get_running_loop()

    @property
    def declared_size(self) -> int | None:
        """Length of the body in bytes; None if it comes in chunks of unknown total length.

        Raises:
            Refusal: The request says neither a length nor that the body comes in chunks.
        """
        size = self._request.content_length
        if size is None and "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            raise Refusal(411, "LengthRequired", "the length of the body is not known; send Content-Length, or chunks")
        return size

    def blocks(self, most: int) -> Iterator[bytes]:
        """Yield the body in blocks of 1 MiB; a byte beyond `most` is yielded at once, so that the caller can refuse it.

        A broken connection is an error, not the end of the body.

        Raises:
            UnauthenticatedError: The caller would not be let in any more; nothing of the body must be kept.
        """
        self._await(self._send_continue())
        while block := self._await(self._block(min(MAX_CHUNK_SIZE, most + 1 - self.size))):
            self.confirm_caller()
            self.size += len(block)
            yield block
        # once more, before what came is made an object
        self.confirm_caller()

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send status and headers; ``Content-Length`` says how many bytes follow."""
        self.response = web.StreamResponse(status=status, headers={**self._common_headers, **headers})
        self._await(self.response.prepare(self._request))

    def write(self, data: bytes | memoryview) -> None:
        """Send bytes of the body; waits while the peer is behind."""
        assert self.response is not None
        self._await(self.response.write(data))
        self.size += len(data)

    def confirm_caller(self) -> None:
        """Check that the caller, if there is one, would still be let in.

        Raises:
            UnauthenticatedError: It would not.
        """
        if self.principal is not None and self.principal is not NOBODY:
            self._confirm(self.principal)

    async def begin_stream(self, headers: Mapping[str, str]) -> web.StreamResponse:
        """Send the headers of a stream. On the event loop."""
        self.response = web.StreamResponse(headers=stream_headers({**self._common_headers, **headers}))
        await self.response.prepare(self._request)
        return self.response

    def abort(self) -> None:
        """Close the connection, so that the peer notices an incomplete body. On the thread of the event loop."""
        if self._transport is not None:
            self._transport.abort()

    def _await(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(self._with_timeout(coroutine), self._loop).result()

    async def _with_timeout(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            return await asyncio.wait_for(coroutine, self._idle_timeout)
        except TimeoutError:
            raise DeadlineExceededError(
                f"nothing moved for {self._idle_timeout:g} s and the server gave up; try again"
            ) from None

    async def _send_continue(self) -> None:
        request = self._request
        if request.version >= HttpVersion11 and self.headers.get("Expect", "").lower() == "100-continue":
            # only now: a request that is refused before this point costs the client no upload
            await request.writer.write(_CONTINUE)
            # aiohttp counts these bytes as a response that has begun
            request.writer.output_size = 0

    async def _block(self, size: int) -> bytes:
        pieces, missing = [], size
        while missing and (piece := await self._request.content.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)
