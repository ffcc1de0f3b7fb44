"""Uploads of files: as a whole or in parts, as many at once as the link needs, with a journal to resume from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from actorc.storage import config
from actorc.storage._rpc.payload import Progress, Upload
from actorc.storage._rpc.retries.deadline import Deadline
from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import UploadNotFoundError
from actorc.storage.models import Destination, ObjectInfo, PartInfo
from actorc.storage.rules import MiB

from . import part_streams
from .multipart_upload import MultipartUpload, reported
from .task_group import Report
from .transfer_span import transferring
from .upload_journal import UploadJournal, fingerprint, is_resumable
from .upload_source import FileSlice, SteadyFile

if TYPE_CHECKING:
    from actorc.storage._rpc.operations.remote_store import RemoteStore


def upload(
    remote: RemoteStore,
    destination: Destination,
    source: SteadyFile,
    part_size: int,
    *,
    parts_from: int,
    progress: Progress | None = None,
    timeout: float | None = None,
) -> ObjectInfo:
    """Store a file: copied by a server on the same machine, else sent as a whole, or in parts if it is large.

    An upload in parts resumes that of an earlier process that was killed.

    Args:
        remote: The server.
        destination: Name and attributes of the object.
        source: The file.
        part_size: Bytes of a part; larger if the file would need more parts than allowed.
        parts_from: Size in bytes from which a file is sent in parts.
        progress: Called with the bytes stored so far, and the total.
        timeout: Seconds for the whole upload; None for no limit.

    Raises:
        IntegrityError: The file was written to during the upload; nothing was stored.
    """
    copy = Upload(source.file, progress=progress, check=source.check)
    info = remote.put_file(destination, copy, timeout=timeout)
    if info is not None:
        return info
    if source.size < parts_from:
        return remote.put(destination, Upload(source.file, part_size, progress, source.check), timeout=timeout)
    with transferring("upload", destination.bucket, destination.key):
        return _upload_in_parts(remote, destination, source, part_size, progress, timeout)


def _upload_in_parts(
    remote: RemoteStore,
    destination: Destination,
    source: SteadyFile,
    part_size: int,
    progress: Progress | None,
    timeout: float | None,
) -> ObjectInfo:
    deadline = Deadline(timeout)
    name = fingerprint(remote.endpoint, destination, *source.identity())
    with UploadJournal(config.upload_journals(), name) as journal:
        transfer = _FileUpload(remote, destination, source, journal, deadline, progress)
        try:
            return transfer.run(part_streams.allowed_part_size(part_size, source.size))
        except BaseException as error:
            # a passing failure leaves the parts on the server, for the next process to continue
            if not is_resumable(error):
                transfer.drop()
            raise


class _FileUpload:
    """The upload of one file. Its methods run on the thread of the group, tasks aside."""

    def __init__(
        self,
        remote: RemoteStore,
        destination: Destination,
        source: SteadyFile,
        journal: UploadJournal,
        deadline: Deadline,
        progress: Progress | None,
    ) -> None:
        self._remote = remote
        self._destination = destination
        self._source = source
        self._journal = journal
        self._deadline = deadline
        self._progress = progress
        self._done = 0
        self._parts: MultipartUpload | None = None

    def run(self, part_size: int) -> ObjectInfo:
        """Send the missing parts and publish the object."""
        parts, size, stored = self._resume() or self._begin(part_size)
        self._parts = parts
        streams = part_streams.stream_count(self._remote.measured_round_trip(self._deadline.left()))
        infos = part_streams.send(self._tasks(parts, size, stored), self._moved, streams)
        # before the commit: an object of two states of the file must not become visible
        self._source.check()
        return parts.complete(infos, self._deadline)

    def _tasks(
        self, parts: MultipartUpload, size: int, stored: dict[int, PartInfo]
    ) -> Iterator[Callable[[Report], PartInfo]]:
        for number, start in enumerate(range(0, self._source.size, size), start=1):
            piece = FileSlice(self._source.file.fileno(), start, min(size, self._source.size - start))
            put = parts.task(number, partial(reported, piece), self._deadline)
            yield partial(_keep_or_put, piece, stored.get(number), put)

    def drop(self) -> None:
        """Abort the upload on the server, if it was begun."""
        if self._parts is not None:
            self._parts.abort()

    def _resume(self) -> tuple[MultipartUpload, int, dict[int, PartInfo]] | None:
        """Return the upload in the journal, its part size and its stored parts, or None if it no longer exists."""
        entry = self._journal.load()
        upload_id, part_size = entry.get("upload_id"), entry.get("part_size")
        if not isinstance(upload_id, str) or not isinstance(part_size, int) or part_size < MiB:
            return None
        parts = MultipartUpload(self._remote, self._destination, upload_id)
        try:
            return parts, part_size, parts.stored(self._deadline)
        except UploadNotFoundError:
            return None

    def _begin(self, part_size: int) -> tuple[MultipartUpload, int, dict[int, PartInfo]]:
        # saved before the first part, so that a kill at any time leaves a journal to resume from
        parts = MultipartUpload.begin(self._remote, self._destination, self._deadline)
        self._journal.save({"upload_id": parts.upload_id, "part_size": part_size})
        return parts, part_size, {}

    def _moved(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._source.size)


def _keep_or_put(
    piece: FileSlice, stored: PartInfo | None, put: Callable[[Report], PartInfo], report: Report
) -> PartInfo:
    """Return the stored part if it has the same bytes, else store it."""
    # compared by checksum and not by the journal: the bytes decide whether a part can stay
    if stored is None or (stored.size, stored.crc32c) != _checksum(piece):
        return put(report)
    report.moved(stored.size)
    return stored


def _checksum(piece: FileSlice) -> tuple[int, int]:
    """Return size and CRC-32C of a slice, and rewind it."""
    size = crc = 0
    while data := piece.read(MiB):
        size, crc = size + len(data), crc32c(data, crc)
    piece.seek(0)
    return size, crc
