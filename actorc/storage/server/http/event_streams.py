"""Responses that go on while something happens. On the event loop; only looks for news take a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar, Final, Protocol

from aiohttp import web

from actorc.storage.errors import StorageError

from .errors import Refusal

CONTENT_TYPE: Final = "text/event-stream; charset=utf-8"
_HEARTBEAT: Final = b": still here\n\n"
"""A comment, which browsers ignore."""


class Stream(Protocol):
    """Bytes that come in the course of time. For one thread at a time."""

    pause: float
    """Seconds until the next `poll`."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""

    def poll(self) -> bytes:
        """Return what is new; may block."""

    def close(self) -> None:
        """End the stream."""


Poll = Callable[[Stream], Awaitable[bytes]]
"""Looks for news on a thread."""


class EventStreams:
    """Sends streams until they are over, their client is gone, or the server stops. For the event loop.

    Args:
        idle_timeout: Seconds in which a client must take what is sent.
    """

    longest_seconds: ClassVar[float] = 300.0
    """Seconds after which a stream is closed; its client connects again, and has to prove who it is."""
    heartbeat_seconds: ClassVar[float] = 15.0
    """Seconds of silence after which a comment is sent, so that proxies keep the connection."""

    def __init__(self, idle_timeout: float) -> None:
        self._idle_timeout = idle_timeout
        self._stopping = asyncio.Event()
        self._running: dict[asyncio.Task[int], web.BaseRequest] = {}

    async def send(
        self, response: web.StreamResponse, request: web.BaseRequest, stream: Stream, first: bytes, poll: Poll
    ) -> int:
        """Send a stream whose response has begun, and return how many bytes were sent.

        Args:
            response: The response.
            request: The request.
            stream: The stream.
            first: What was found by the first look.
            poll: Looks for news on a thread; raises `Refusal` or `StorageError` if that is not possible any more.

        Raises:
            ConnectionError: The client is gone, or takes nothing.
        """
        task = asyncio.ensure_future(self._send(response, request, stream, first, poll))
        self._running[task] = request
        try:
            return await task
        finally:
            del self._running[task]

    async def finish(self, grace: float) -> None:
        """End all streams; a client that does not take the rest within `grace` seconds loses its connection."""
        self._stopping.set()
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        for request in list(self._running.values()):
            if request.transport is not None:
                request.transport.abort()
        if self._running:
            await asyncio.wait(self._running)

    async def _send(
        self, response: web.StreamResponse, request: web.BaseRequest, stream: Stream, first: bytes, poll: Poll
    ) -> int:
        loop = asyncio.get_running_loop()
        end = loop.time() + self.longest_seconds
        spoken, data, size = loop.time(), first, 0
        while True:
            if not data and loop.time() - spoken >= self.heartbeat_seconds:
                data = _HEARTBEAT
            if data:
                await self._write(response, data)
                spoken, size = loop.time(), size + len(data)
            if stream.is_over or loop.time() >= end or await self._is_stopping(stream.pause):
                return size
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError("the client is gone")
            try:
                data = await poll(stream)
            except (Refusal, StorageError):
                # the status is sent; a client that connects again gets the reason
                return size

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        try:
            await asyncio.wait_for(response.write(data), self._idle_timeout)
        except TimeoutError:
            raise ConnectionResetError("the client takes nothing") from None

    async def _is_stopping(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True


def stream_headers(common: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a stream; a proxy that collects bytes would hold events back."""
    return {**common, "Content-Type": CONTENT_TYPE, "X-Accel-Buffering": "no"}
