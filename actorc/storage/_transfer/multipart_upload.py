"""A multipart upload on the server, shared by uploads of files and of streams."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from actorc.storage._rpc import cancellation
from actorc.storage._rpc.byte_source import ByteSource
from actorc.storage._rpc.payload import Upload
from actorc.storage._wire.checksum import combine
from actorc.storage.errors import StorageError
from actorc.storage.models import Destination, ObjectInfo, PartInfo

if TYPE_CHECKING:
    from actorc.storage._rpc.operations.remote_store import RemoteStore
    from actorc.storage._rpc.retries.deadline import Deadline

    from .task_group import Report

log = logging.getLogger(__name__)

_ABORT_SECONDS: Final = 1.0
"""Seconds that aborting may delay the error that the caller waits for."""


class MultipartUpload:
    """A multipart upload. Immutable; any thread may call it.

    Args:
        remote: The server.
        destination: Name and attributes of the object.
        upload_id: Id of the upload on the server.
    """

    def __init__(self, remote: RemoteStore, destination: Destination, upload_id: str) -> None:
        self._remote = remote
        self._destination = destination
        self.upload_id = upload_id
        """Id of the upload on the server."""

    @classmethod
    def begin(cls, remote: RemoteStore, destination: Destination, deadline: Deadline) -> MultipartUpload:
        """Begin an upload; the server checks its conditions now, and again at completion."""
        return cls(remote, destination, remote.create_upload(destination, deadline.left()))

    @property
    def _name(self) -> tuple[str, str, str]:
        return self._destination.bucket, self._destination.key, self.upload_id

    def task(self, number: int, make: Callable[[Report], Upload], deadline: Deadline) -> Callable[[Report], PartInfo]:
        """Return a task that stores a part, for another thread.

        Args:
            number: Number of the part.
            make: Returns the bytes, given what the task reports to.
            deadline: Deadline of the transfer.
        """
        return partial(_put, self._remote, self._name, number, make, deadline)

    def stored(self, deadline: Deadline) -> dict[int, PartInfo]:
        """Return the stored parts by number.

        Raises:
            UploadNotFoundError: The upload no longer exists.
        """
        return {part.number: part for part in self._remote.parts(*self._name, deadline.left())}

    def complete(self, parts: Iterable[PartInfo], deadline: Deadline) -> ObjectInfo:
        """Publish the object."""
        ordered = sorted(parts, key=lambda part: part.number)
        named = [(part.number, part.etag) for part in ordered]
        place = Destination(bucket=self._destination.bucket, key=self._destination.key)
        crc = 0
        for part in ordered:
            crc = combine(crc, part.crc32c, part.size)
        size = sum(part.size for part in ordered)
        return self._remote.complete_upload(place, self.upload_id, named, deadline.left(), size=size, crc32c=crc)

    def abort(self) -> None:
        """Abort the upload. Never raises: an upload that remains is removed by the server after some days."""
        # only tidiness: the error that ended the transfer must not be replaced by one of cleaning up
        try:
            # outside the cancelled scope, which would refuse the call
            with cancellation.entered(None):
                self._remote.abort_upload(*self._name, _ABORT_SECONDS)
        except StorageError as error:
            log.debug("an upload was left to the server's cleaning: %s", error)


def _put(
    remote: RemoteStore,
    name: tuple[str, str, str],
    number: int,
    make: Callable[[Report], Upload],
    deadline: Deadline,
    report: Report,
) -> PartInfo:
    return remote.put_part(*name, number, make(report), timeout=deadline.left())


def reported(source: ByteSource, report: Report) -> Upload:
    """Return the bytes of a part, whose upload tells `report` what was moved, and that all is handed over."""
    done = 0

    def progress(now: int, _: int | None) -> None:
        nonlocal done
        done, step = now, now - done
        report.moved(step)

    return Upload(source, progress=progress, check=report.handed_over)
