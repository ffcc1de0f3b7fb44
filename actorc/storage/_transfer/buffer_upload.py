"""Uploads of large buffers: as one stream, or in parts, several at once, where the link needs that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from actorc.storage._rpc.byte_source import Buffers
from actorc.storage._rpc.payload import Progress, Upload
from actorc.storage._rpc.retries.deadline import Deadline
from actorc.storage.errors import ResourceExhaustedError, StorageError, UnsupportedError
from actorc.storage.models import Destination, ObjectInfo, PartInfo
from actorc.storage.rules import MiB

from . import part_streams
from .multipart_upload import MultipartUpload, reported
from .stream_count import StreamCount
from .task_group import Report
from .transfer_span import transferring

if TYPE_CHECKING:
    from actorc.storage._rpc.operations.remote_store import RemoteStore

_WORTH: Final = 32 * MiB
"""Bytes that must be left, so that it pays to send those before once more."""
_LONG: Final = 0.008
"""Seconds of a round trip. Below, one stream fills any window, and what it waits for is the server, not the link."""
_MEASURED: Final = 2
"""Round trips that must be long: a single one may have met a busy server."""
_PATIENCE: Final = 5.0
"""Seconds in which a call that measures one must end."""


def store(
    remote: RemoteStore,
    destination: Destination,
    buffers: Buffers,
    part_size: int,
    *,
    progress: Progress | None = None,
    timeout: float | None = None,
    streams: StreamCount | None = None,
    long: float = _LONG,
    worth: int = _WORTH,
) -> ObjectInfo:
    """Store buffers as one object; they belong to the caller, and must not change meanwhile.

    One stream sends them, and the server stores them in one piece. Over a link that is known to be long all is sent in
    parts: the same object, which the server has in several pieces. So it is over a link that proves to be long and that
    one stream leaves idle; it is broken off soon.

    Args:
        remote: The server.
        destination: Name and attributes of the object.
        buffers: The bytes, in order.
        part_size: Bytes of a part, at least.
        progress: Called with the bytes sent so far, and the total.
        timeout: Seconds for the whole upload; None for no limit.
        streams: Decides how many streams there are.
        long: Seconds of a round trip from which a link is long.
        worth: Bytes that must be left when the one stream is broken off.
    """
    transfer = _BufferUpload(remote, destination, buffers, Deadline(timeout), progress)
    streams = streams or part_streams.stream_count(remote.round_trip)
    try:
        if streams.count == 1:
            return transfer.as_whole(_Link(remote, streams, long, worth))
    except _LongLinkError:
        pass
    with transferring("upload", destination.bucket, destination.key):
        try:
            return transfer.in_parts(part_size, streams)
        except (ResourceExhaustedError, UnsupportedError):
            # the server takes no more streams, or no parts; one stream it may take
            return transfer.as_whole()


class _LongLinkError(Exception):
    """An upload is better sent by several streams."""


class _Link:
    """Finds out whether a link is long, and better used by several streams. For one thread.

    Args:
        remote: The server.
        streams: Told what one stream moves.
        long: Seconds of a round trip from which a link is long.
        worth: Bytes for which several streams are worth their beginning.
    """

    def __init__(self, remote: RemoteStore, streams: StreamCount, long: float, worth: int) -> None:
        self._remote = remote
        self._streams = streams
        self._long = long
        self._worth = worth
        self._sent = 0

    def moved(self, sent: int, left: int) -> None:
        """Take a sample: bytes that were sent in all, and that are left.

        Raises:
            _LongLinkError: Several streams should send them.
        """
        self._streams.moved(sent - self._sent, 1, time.monotonic())
        self._sent = sent
        if self._streams.count > 1:
            if left >= self._worth and self._is_long():
                raise _LongLinkError
            self._streams.settle()

    def _is_long(self) -> bool:
        try:
            return all(self._round_trip() >= self._long for _ in range(_MEASURED))
        except StorageError:
            return False

    def _round_trip(self) -> float:
        """Return the seconds of a call; of one that needs no network, 0."""
        began = time.monotonic()
        _, transport = self._remote.server_info(_PATIENCE)
        return time.monotonic() - began if transport == "grpc" else 0.0


class _BufferUpload:
    """The upload of some buffers. For one thread."""

    def __init__(
        self,
        remote: RemoteStore,
        destination: Destination,
        buffers: Buffers,
        deadline: Deadline,
        progress: Progress | None,
    ) -> None:
        self._remote = remote
        self._destination = destination
        self._buffers = buffers
        self._size = sum(map(len, buffers))
        self._deadline = deadline
        self._progress = progress
        self._told = 0
        self._moved = 0

    def as_whole(self, link: _Link | None = None) -> ObjectInfo:
        """Send all by one stream, unless `link` raises."""

        def sent(done: int, _: int | None) -> None:
            self._tell(done)
            if link is not None:
                link.moved(done, self._size - done)

        upload = Upload(self._buffers, progress=sent)
        return self._remote.put(self._destination, upload, timeout=self._deadline.left())

    def in_parts(self, least: int, streams: StreamCount) -> ObjectInfo:
        """Send all in parts of at least so many bytes."""
        size = part_streams.allowed_part_size(part_streams.usual_part_size(self._size, least), self._size)
        parts = MultipartUpload.begin(self._remote, self._destination, self._deadline)
        try:
            return parts.complete(part_streams.send(self._tasks(parts, size), self._add, streams), self._deadline)
        except BaseException:
            parts.abort()
            raise

    def _tasks(self, parts: MultipartUpload, size: int) -> Iterator[Callable[[Report], PartInfo]]:
        for number, start in enumerate(range(0, self._size, size), start=1):
            yield parts.task(number, partial(reported, self._slice(start, start + size)), self._deadline)

    def _slice(self, start: int, stop: int) -> Buffers:
        """Return views of the bytes between two positions."""
        found, base = [], 0
        for buffer in self._buffers:
            view = buffer[max(0, start - base) : max(0, stop - base)]
            if view:
                found.append(view)
            base += len(buffer)
        return tuple(found)

    def _add(self, count: int) -> None:
        self._moved += count
        self._tell(self._moved)

    def _tell(self, done: int) -> None:
        # what is sent once more begins at zero, but the progress shown must not decrease
        if self._progress is not None and done > self._told:
            self._told = done
            self._progress(done, self._size)
