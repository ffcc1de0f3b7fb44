"""The bytes of an object in order, fetched by as many streams as the link needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from actorc.storage._rpc.payload import Download
from actorc.storage._rpc.retries.deadline import Deadline
from actorc.storage._wire.checksum import combine, crc32c
from actorc.storage.errors import IntegrityError, ObjectNotFoundError, ResourceExhaustedError
from actorc.storage.models import WHOLE, ByteRange, ObjectInfo
from actorc.storage.rules import MiB

from .replaced_objects import replaced
from .segments_ahead import SegmentsAhead, Stream
from .stream_count import StreamCount

if TYPE_CHECKING:
    from actorc.storage._rpc.operations.remote_store import RemoteStore

T = TypeVar("T")

_PARALLEL_FROM: Final = 16 * MiB
"""Bytes behind the first piece from which further streams are worth their beginning."""
_OVERLAP: Final = 4 * MiB
"""Bytes that the first stream still brings while others connect and ask for what follows."""

_IDLE: Final = 0.5
"""Processor seconds a second: streams whose bytes are put in order on another thread cost more than they gain above."""
_counted: Final = partial(StreamCount, idle=_IDLE)


class ObjectStream:
    """The bytes of one generation of an object, or of a range of it, verified. For one thread at a time.

    It begins with one stream. While that keeps the caller waiting and the process idle, it fetches what follows by
    several, as long as they are faster, and keeps at most 64 MiB that the caller has not taken. The time that the
    caller spends with the bytes counts for nothing.

    Args:
        remote: The server.
        bucket: Bucket name.
        key: Object key.
        part: The range.
        generation: The generation; None for the current one.
        if_match: The etag that the object must have.
        timeout: Seconds for the whole stream, from the first piece that is asked for; None for no limit.
        counted: Makes what decides on the number of streams, given `busy` and `answered` of `StreamCount`.

    Attributes:
        received: Bytes that were taken.
    """

    def __init__(
        self,
        remote: RemoteStore,
        bucket: str,
        key: str,
        part: ByteRange = WHOLE,
        generation: int | None = None,
        *,
        if_match: str | None = None,
        timeout: float | None = None,
        counted: Callable[..., StreamCount] = _counted,
    ) -> None:
        self._info: ObjectInfo | None = None
        self.received = 0
        self._remote = remote
        self._bucket, self._key = bucket, key
        self._part = part
        self._generation = generation
        self._if_match = if_match
        self._timeout = timeout
        self._counted = counted
        self._deadline = Deadline(None)
        self._waited = _Waiting()
        self._crc = 0

    @property
    def info(self) -> ObjectInfo:
        """The object, once the first piece has come, or the end."""
        assert self._info is not None
        return self._info

    @property
    def size(self) -> int:
        """Bytes of the range, once the first piece has come."""
        first, stop = self._part.clamp(self.info.size)
        return stop - first

    def pieces(self) -> Generator[bytes | memoryview, None, None]:
        """Yield the bytes in pieces of at most 1 MiB; once.

        Raises:
            IntegrityError: The bytes are damaged where they are stored.
            ObjectNotFoundError: There is none, or it was replaced meanwhile, and the store keeps no former generation.
        """
        try:
            yield from self._pieces()
        except ObjectNotFoundError as error:
            if not self.received or self._generation is not None:
                raise
            raise replaced(error) from error

    def _pieces(self) -> Generator[bytes | memoryview, None, None]:
        self._deadline = Deadline(self._timeout)
        download = Download(self._part, self._generation)
        stream = self._remote.read(self._bucket, self._key, download, if_match=self._if_match, timeout=self._timeout)
        with closing(stream):
            first = self._waited.result(partial(next, stream, None))
            self._info = download.info
            if first is None:
                return
            self.received += len(first)
            yield first
            if self.size - self.received >= _PARALLEL_FROM:
                yield from self._follow_link((download, stream))
                return
            for piece in stream:
                self.received += len(piece)
                yield piece

    @property
    def _at(self) -> int:
        return self._part.offset + self.received

    @property
    def _stop(self) -> int:
        return self._part.offset + self.size

    def _follow_link(self, stream: Stream) -> Generator[bytes | memoryview, None, None]:
        """Yield what follows the first piece, by one stream or several in turns."""
        streams = self._counted(busy=lambda: self._waited.used, answered=self._waited.seconds)
        while True:
            with closing(stream[1]):
                yield from self._alone(stream, streams)
                if self.received < self.size:
                    yield from self._together(stream, streams)
            if self.received == self.size:
                break
            stream = self._begin(ByteRange(self._at, self._stop - self._at))
        self._check_whole()

    def _alone(self, stream: Stream, streams: StreamCount) -> Generator[bytes | memoryview, None, None]:
        """Yield the bytes of a stream to its end, or until others shall bring what follows the next few."""
        download, pieces = stream
        requests = download.requests
        while streams.count == 1 or self._stop - self._at <= _OVERLAP:
            piece = self._waited.result(partial(next, pieces, None))
            if piece is None:
                self._crc = combine(self._crc, download.sums.whole(), download.received)
                return
            if download.requests > requests:
                requests = download.requests
                streams.restart()
            yield self._taken(piece, streams, 1)

    def _together(self, stream: Stream, streams: StreamCount) -> Generator[bytes | memoryview, None, None]:
        """Yield the bytes of several streams to the end, or until one of them shall bring what follows."""
        with SegmentsAhead(self._begin, self._at + _OVERLAP, self._stop) as ahead:
            ahead.reach(streams.count)
            yield from self._overlap(stream, streams, ahead)
            while (segment := ahead.first()) is not None:
                begun = self._at
                try:
                    while (piece := self._waited.result(partial(ahead.take, segment))) is not None:
                        yield self._taken(piece, streams, ahead.flowing)
                except ResourceExhaustedError:
                    # the server takes no more streams; it may take one, which begins where this one ended
                    streams.settle()
                    return
                finally:
                    self._crc = combine(self._crc, segment.crc32c, self._at - begun)
                ahead.drop_first()
                ahead.reach(streams.count)

    def _overlap(
        self, stream: Stream, streams: StreamCount, ahead: SegmentsAhead
    ) -> Generator[bytes | memoryview, None, None]:
        """Yield the last bytes of a stream, up to those that others bring."""
        download, pieces = stream
        stop = self._at + _OVERLAP
        crc, size = download.sums.whole(), download.received
        while self._at < stop:
            piece = self._waited.result(partial(next, pieces))[: stop - self._at]
            # summed once more: the stream may have summed bytes that are cut off here
            crc, size = crc32c(piece, crc), size + len(piece)
            yield self._taken(piece, streams, ahead.flowing)
        pieces.close()
        self._crc = combine(self._crc, crc, size)

    def _begin(self, part: ByteRange) -> Stream:
        download = Download(part, self.info.generation)
        left = self._deadline.left()
        return download, self._remote.read(self._bucket, self._key, download, timeout=left)

    def _taken(self, piece: bytes | memoryview, streams: StreamCount, flowing: int) -> bytes | memoryview:
        self.received += len(piece)
        streams.moved(len(piece), flowing, self._waited.seconds)
        return piece

    def _check_whole(self) -> None:
        if self.size == self.info.size and self._crc != self.info.crc32c:
            raise IntegrityError("the object does not match its checksum", self._bucket, self._key)


class _Waiting:
    """The time, and the processor time of the process, that passed while a transfer waited for bytes.

    Time between two waits counts as far as the process worked in it: if it is busy with the bytes, the link is not the
    limit. If it is idle, the caller waits for something else, which says nothing.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.used = 0.0
        self._last = time.monotonic(), time.process_time()

    def result(self, wait: Callable[[], T]) -> T:
        """Return what `wait` returns, and count the time until then."""
        seconds, used = self._passed()
        self.seconds += min(seconds, used)
        self.used += used
        try:
            return wait()
        finally:
            seconds, used = self._passed()
            self.seconds += seconds
            self.used += used

    def _passed(self) -> tuple[float, float]:
        (began, used), self._last = self._last, (time.monotonic(), time.process_time())
        return self._last[0] - began, self._last[1] - used
