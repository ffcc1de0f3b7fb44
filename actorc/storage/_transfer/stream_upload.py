"""Uploads of streams of unknown length: in parts, each buffered so that it can be sent again."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final, Self

from actorc.storage._rpc.byte_source import ByteSource
from actorc.storage._rpc.payload import Progress, Upload
from actorc.storage._rpc.retries.deadline import Deadline
from actorc.storage.buffers import flat_view
from actorc.storage.errors import IntegrityError, InvalidParameterError
from actorc.storage.models import Destination, ObjectInfo, PartInfo
from actorc.storage.rules import MAX_PARTS, MiB

from . import buffer_upload
from .multipart_upload import MultipartUpload, reported
from .task_group import Report, TaskGroup
from .transfer_span import transferring

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from actorc.storage._rpc.operations.remote_store import RemoteStore

_MIN_PART: Final = MiB
_MAX_PART: Final = 32 * MiB
_MAX_BUFFERED: Final = 32 * MiB
"""Bytes of all buffers that are filled or sent; frames queued in gRPC come in addition."""
_MAX_AHEAD: Final = 3
"""Parts that are sent, or wait for the server to store them, while the next one is filled."""
_PARTS_PER_SIZE: Final = 1000
"""Parts after which their size doubles, so that their number suffices for longer streams."""


def store(
    remote: RemoteStore,
    destination: Destination,
    source: ByteSource,
    part_size: int,
    *,
    parallel_from: int,
    progress: Progress | None = None,
    timeout: float | None = None,
) -> ObjectInfo:
    """Store the bytes of `source`; if it raises, raise that unchanged and store nothing.

    A file is copied by a server on the same machine. Else a buffer, or a seekable file of less than `parallel_from`
    bytes, is sent as one stream, a larger buffer in parts over a link that needs several, and everything else in parts.
    """
    whole = Upload(source, part_size, progress)
    copied = remote.put_file(destination, whole, timeout=timeout)
    if copied is not None:
        return copied
    if whole.size is not None and whole.size < parallel_from:
        return remote.put(destination, whole, timeout=timeout)
    if whole.buffers is not None:
        return buffer_upload.store(remote, destination, whole.buffers, part_size, progress=progress, timeout=timeout)
    with (
        transferring("upload", destination.bucket, destination.key),
        StreamUpload(remote, destination, part_size, size=whole.size, progress=progress, timeout=timeout) as stream,
    ):
        pieces = whole.pieces()
        for piece in pieces:
            if stream.at_last_part:
                return stream.finish(chain((piece,), pieces))
            stream.write(piece)
        return stream.finish()


class StreamUpload:
    """Writes an object piece by piece. A context manager that aborts the upload unless `finish` returned.

    For one thread; `cancel` may be called from any. Each part has a buffer of its own; from `_send` on it belongs to
    the task that sends it.

    Args:
        remote: The server.
        destination: Name and attributes of the object.
        part_size: Bytes of the first parts; clamped to 1 to 32 MiB.
        size: Total bytes, if known; any other total is an error.
        progress: Called with the bytes stored so far and `size`.
        timeout: Seconds for the whole upload; None for no limit.
    """

    def __init__(
        self,
        remote: RemoteStore,
        destination: Destination,
        part_size: int,
        *,
        size: int | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> None:
        self._remote = remote
        self._destination = destination
        self._first_size = min(max(part_size, _MIN_PART), _MAX_PART)
        self._size = size
        self._progress = progress
        self._deadline = Deadline(timeout)
        # a new buffer for every part, because the last one still belongs to the task that sends it
        self._buffer = memoryview(b"")
        self._filled = 0
        self._parts: MultipartUpload | None = None
        self._sent = 0
        self._done = 0
        self._group: TaskGroup[PartInfo] = TaskGroup(self._moved)
        self.written = 0
        """Bytes written so far."""

    @property
    def at_last_part(self) -> bool:
        """Whether only one more part is allowed; pass all remaining bytes to `finish`."""
        return self._sent == MAX_PARTS - 1

    @property
    def _part_size(self) -> int:
        return min(self._first_size << self._sent // _PARTS_PER_SIZE, _MAX_PART)

    def write(self, data: Buffer) -> None:
        """Append a copy of `data`; send the buffer whenever it fills a part.

        Raises:
            StorageError: A part could not be stored.
            InvalidParameterError: The stream is longer than the greatest number of parts can hold.
        """
        view = flat_view(data)
        # copied, since the caller may reuse its buffer when this returns
        while view:
            if self._filled == len(self._buffer):
                self._next_buffer()
            piece = view[: len(self._buffer) - self._filled]
            self._buffer[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            self.written += len(piece)
            view = view[len(piece) :]

    def _next_buffer(self) -> None:
        # the buffer may be sent again after a broken connection, so the next part gets a new one
        if self._filled:
            self._send()
        # mapped: memory that other threads free, malloc rarely returns to the system
        self._buffer, self._filled = memoryview(mmap.mmap(-1, self._part_size, flags=mmap.MAP_PRIVATE)), 0

    def take(self) -> memoryview | None:
        """Return what was written, to be sent in another way; None if a part of it was sent already."""
        if self._sent:
            return None
        taken = self._content
        self._buffer, self._filled, self.written = memoryview(b""), 0, 0
        return taken

    def finish(self, rest: Iterable[bytes | memoryview] | None = None) -> ObjectInfo:
        """Publish the object.

        Args:
            rest: Further bytes; they become the last part, which cannot be sent again after a broken connection.

        Raises:
            StorageError: A part could not be stored, or a condition is not met; nothing was published.
        """
        if self._parts is None and rest is None:
            self._check(self.written)
            whole = Upload(self._content, progress=self._progress)
            return self._remote.put(self._destination, whole, timeout=self._deadline.left())
        parts = [*self._last_part(rest), *self._group.results()]
        self._check(sum(part.size for part in parts))
        info = self._open().complete(parts, self._deadline)
        # nothing is left to abort
        self._parts = None
        return info

    def _last_part(self, rest: Iterable[bytes | memoryview] | None) -> list[PartInfo]:
        if rest is not None:
            source = chain((self._content,), rest)
            task = self._open().task(self._sent + 1, partial(reported, source), self._deadline)
            return [task(Report(self._moved))]
        if self._filled:
            self._send()
        return []

    @property
    def _content(self) -> memoryview:
        return self._buffer[: self._filled]

    def _send(self) -> None:
        if self._sent == MAX_PARTS:
            raise InvalidParameterError(
                f"what is written piece by piece ends at {self.written} bytes; write a file and upload that"
            )
        ahead = min(_MAX_AHEAD, _MAX_BUFFERED // self._part_size - 1)
        self._sent += 1
        task = self._open().task(self._sent, partial(reported, self._content), self._deadline)
        self._group.wait_for_room()
        # handed over: the task reads the buffer from now on
        self._buffer, self._filled = memoryview(b""), 0
        self._group.start(task)
        self._group.wait_for(ahead)

    def _open(self) -> MultipartUpload:
        if self._parts is None:
            self._parts = MultipartUpload.begin(self._remote, self._destination, self._deadline)
        return self._parts

    def _moved(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._size)

    def _check(self, size: int) -> None:
        if self._size is not None and self._size != size:
            raise IntegrityError(
                f"the source changed while it was uploaded; it held {self._size} bytes and gave {size}; "
                "nothing was stored"
            )

    def cancel(self) -> None:
        """Stop sending at once, without a call to the server, which removes the parts after some days."""
        self._group.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # tasks first: a part that is still being sent would make the server refuse the abort, or outlive it
        self._group.__exit__(None, None, None)
        if self._parts is not None:
            self._parts.abort()
