"""The next segments of an object, fetched by several streams ahead of the thread that takes them in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextvars import copy_context
from queue import SimpleQueue
from typing import Final, Self, TypeAlias

from actorc.storage._rpc import cancellation
from actorc.storage._rpc.payload import Download
from actorc.storage.models import ByteRange
from actorc.storage.rules import MiB

Stream: TypeAlias = tuple[Download, Generator[bytes | memoryview, None, None]]
"""What has arrived of a range, and its pieces."""

_LEAST: Final = 2 * MiB
_MOST: Final = 4 * MiB
_HELD: Final = 2
"""Segments for each stream: the one that it fetches, and one that waits to be fetched or to be taken."""
_UNDER_WAY: Final = 2 * MiB
"""Bytes of a segment with which the next one is asked for, so that a stream does not stand still for a round trip: as
many as a window of the usual size carries in one."""
_ENDING: Final = 4
"""Threads whose segments are nearly there, beside those that are counted; each has a connection of its own."""


class Segment:
    """Consecutive bytes of an object. One thread fetches them, another one takes them.

    Args:
        part: Their range.
    """

    def __init__(self, part: ByteRange) -> None:
        self.part = part
        self._pieces: SimpleQueue[bytes | memoryview | BaseException | None] = SimpleQueue()
        self.crc32c = 0
        """The CRC-32C of the bytes that have come, once all of them were taken."""

    def fetch(
        self, begin: Callable[[ByteRange], Stream], flows: Callable[[], None], nearly: Callable[[], None]
    ) -> None:
        """Fetch the bytes; an error is for the thread that takes them.

        Args:
            begin: Begins a stream of the range.
            flows: Called whenever some have come.
            nearly: Called once: all are here but those that are under way by now, or there will be no more.
        """
        end: BaseException | None = None
        left, is_told = self.part.length or 0, False
        try:
            download, stream = begin(self.part)
            try:
                for piece in stream:
                    flows()
                    self._pieces.put(piece)
                    left -= len(piece)
                    if left <= _UNDER_WAY and not is_told:
                        is_told = True
                        nearly()
            finally:
                self.crc32c = download.sums.whole()
                stream.close()
        except BaseException as error:  # noqa: BLE001  # raised again by `take`
            end = error
        self._pieces.put(end)
        if not is_told:
            nearly()

    def take(self) -> bytes | memoryview | None:
        """Wait for the next piece, and return it; None behind the last."""
        piece = self._pieces.get()
        if isinstance(piece, BaseException):
            raise piece
        return piece


class SegmentsAhead:
    """Fetches segments on threads, each by one stream after the other. A context manager, which ends them.

    It is for the one thread that takes the segments, in order. Their number and size are bounded, and so is the memory.
    Towards the end they become shorter, so that all streams end together.

    Args:
        begin: Begins a stream of a range; called on the threads.
        first: Position of the first byte.
        stop: Position behind the last byte.
    """

    def __init__(self, begin: Callable[[ByteRange], Stream], first: int, stop: int) -> None:
        self._begin = begin
        self._next, self._stop = first, stop
        self._segments: deque[Segment] = deque()
        # guards the segments that nobody fetches yet, and the number of those that are fetched
        self._lock = threading.Lock()
        self._ready: deque[Segment] = deque()
        self._fetched = self._streams = 0
        # those for the threads; None ends the one that gets it
        self._waiting: SimpleQueue[Segment | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._flowing: set[threading.Thread] = set()
        self._scope = cancellation.CancelScope()

    @property
    def flowing(self) -> int:
        """Threads that have received bytes."""
        return len(self._flowing)

    def reach(self, streams: int) -> None:
        """Fetch ahead by so many streams; begin no segment any more if it is one, which needs no segments."""
        self._streams = streams
        while streams > 1 and self._next < self._stop and len(self._segments) < _HELD * streams:
            self._begin_segment(streams)
        self._share_out()
        for _ in range(min(streams + _ENDING, len(self._segments)) - len(self._threads)):
            self._begin_thread()

    def first(self) -> Segment | None:
        """Return the first segment that was not dropped; None if no other was begun."""
        return self._segments[0] if self._segments else None

    def drop_first(self) -> None:
        """Forget the first segment, all of which was taken."""
        self._segments.popleft()

    def take(self, segment: Segment) -> bytes | memoryview | None:
        """Return the next piece of a segment as `Segment.take` does, unless an outer scope is cancelled."""
        with cancellation.running(self._scope.cancel):
            return segment.take()

    def _begin_segment(self, streams: int) -> None:
        share = (self._stop - self._next) // (_HELD * streams) // MiB * MiB
        size = min(max(_LEAST, min(share, _MOST)), self._stop - self._next)
        segment = Segment(ByteRange(self._next, size))
        self._next += size
        self._segments.append(segment)
        self._ready.append(segment)

    def _share_out(self, ended: int = 0) -> None:
        """Give segments to threads, for as many as there are streams; so many of those before are nearly there."""
        with self._lock:
            self._fetched -= ended
            while self._ready and self._fetched < self._streams:
                self._fetched += 1
                self._waiting.put(self._ready.popleft())

    def _begin_thread(self) -> None:
        # a copy of the context, since the scope and the span of the caller are context variables
        run = copy_context().run
        thread = threading.Thread(target=run, args=(self._fetch,), name="storage-segments", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _fetch(self) -> None:
        this = threading.current_thread()
        with cancellation.entered(self._scope):
            while (segment := self._waiting.get()) is not None:
                segment.fetch(self._begin, lambda: self._flowing.add(this), lambda: self._share_out(1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # those that wait for a thread fail at once, since their scope is cancelled
        self._scope.cancel()
        with self._lock:
            self._ready.clear()
        for _thread in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            if thread.ident is not None:  # an interrupt may have kept it from starting
                thread.join()
