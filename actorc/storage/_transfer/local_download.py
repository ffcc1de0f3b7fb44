"""Downloads of objects whose files are open here: they are copied, and the copy is verified."""

from __future__ import annotations

import os
from pathlib import Path

from actorc.storage._rpc import cancellation
from actorc.storage._rpc.files.object_files import ObjectFiles
from actorc.storage._rpc.payload import Progress
from actorc.storage._rpc.retries.deadline import Deadline
from actorc.storage.errors import IntegrityError

from .download_target import whole_target
from .resumable_part_file import PartFile


def download(
    files: ObjectFiles,
    path: Path,
    *,
    overwrite: bool,
    parts_from: int,
    progress: Progress | None = None,
    timeout: float | None = None,
) -> None:
    """Write an object to a file, which appears complete or not at all, as a download of its bytes would.

    Args:
        files: The object.
        path: The file.
        overwrite: Whether to replace an existing file.
        parts_from: Bytes from which a later process goes on where this one was killed.
        progress: Called with the bytes in the file so far, and the total.
        timeout: Seconds for the whole download; None for no limit.

    Raises:
        IntegrityError: The copy does not match the checksum of the object.
    """
    copying = _Copy(files, Deadline(timeout), progress)
    if files.info.size < parts_from:
        with whole_target(path, overwrite) as file:
            copying.fill(file.fileno())
        return
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    with PartFile(target, files.info) as part_file:
        copying.fill_parts(part_file)
        part_file.publish(overwrite=overwrite)


class _Copy:
    """The copying of one object. For one thread."""

    def __init__(self, files: ObjectFiles, deadline: Deadline, progress: Progress | None) -> None:
        self._files = files
        self._deadline = deadline
        self._progress = progress

    def fill(self, target: int) -> None:
        """Fill an empty file, and verify it."""
        info = self._files.info
        if info.size and self._copied(target, 0, info.size) != info.crc32c:
            raise IntegrityError("the object does not match its checksum", info.bucket, info.key)
        self._moved(info.size)

    def fill_parts(self, file: PartFile) -> None:
        """Fill the steps that no earlier process has left in the file."""
        for index in range(file.steps):
            start, size = file.span(index)
            if not file.has_step(index):
                # recorded after the bytes are written: a step in the journal promises that they were
                file.record_step(index, self._copied(file.descriptor, start, size))
            self._moved(start + size)

    def _copied(self, target: int, offset: int, length: int) -> int:
        """Copy bytes, and return the CRC-32C of the copy."""
        self._deadline.left()
        cancellation.check()
        return self._files.copy(target, offset, length)

    def _moved(self, done: int) -> None:
        if self._progress is not None:
            self._progress(done, self._files.info.size)
