"""Uploads of large buffers: as one stream, or in parts, several at once, where the link needs that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from actorc.storage._rpc.byte_source import Buffers
from actorc.storage._rpc.payload import Progress, Upload
from actorc.storage._rpc.retries.deadline import Deadline
from actorc.storage.errors import ResourceExhaustedError, UnsupportedError
from actorc.storage.models import Destination, ObjectInfo, PartInfo

from . import part_streams
from .multipart_upload import MultipartUpload, reported
from .stream_count import StreamCount
from .task_group import Report
from .transfer_span import transferring

if TYPE_CHECKING:
    from actorc.storage._rpc.operations.remote_store import RemoteStore


def store(
    remote: RemoteStore,
    destination: Destination,
    buffers: Buffers,
    part_size: int,
    *,
    progress: Progress | None = None,
    timeout: float | None = None,
    streams: StreamCount | None = None,
) -> ObjectInfo:
    """Store buffers as one object; they belong to the caller, and must not change meanwhile.

    One stream sends them, and the server stores them in one piece. Over a long link all is sent in parts, several at
    once: the same object, which the server has in several pieces.

    Args:
        remote: The server.
        destination: Name and attributes of the object.
        buffers: The bytes, in order.
        part_size: Bytes of a part, at least.
        progress: Called with the bytes sent so far, and the total.
        timeout: Seconds for the whole upload; None for no limit.
        streams: Decides how many streams there are; if one begins, it sends all.
    """
    deadline = Deadline(timeout)
    transfer = _BufferUpload(remote, destination, buffers, deadline, progress)
    streams = streams or part_streams.stream_count(remote.measured_round_trip(deadline.left()))
    if streams.count > 1:
        with transferring("upload", destination.bucket, destination.key):
            try:
                return transfer.in_parts(part_size, streams)
            except (ResourceExhaustedError, UnsupportedError):
                # the server takes no more streams, or no parts; one stream it may take
                pass
    return transfer.as_whole()


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

    def as_whole(self) -> ObjectInfo:
        """Send all by one stream."""
        upload = Upload(self._buffers, progress=lambda done, _: self._tell(done))
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
