"""Downloads of large objects: ranges in parallel, into a part file that a later process can resume."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actorc.storage._rpc.deadline import Deadline
from actorc.storage._rpc.payload import Download, Progress
from actorc.storage._wire.checksum import BlockSums, crc32c
from actorc.storage.models import ByteRange, ObjectInfo

from .part_file import PartFile
from .task_group import Moved, TaskGroup

if TYPE_CHECKING:
    from actorc.storage._rpc.operations import RemoteStore

_PARALLEL_TASKS: Final = 3
"""Ranges that run while the next one is started."""
_STEPS_PER_CALL: Final = 4
"""Steps of a file that are fetched by one call."""


def download(
    remote: RemoteStore,
    info: ObjectInfo,
    path: Path,
    *,
    overwrite: bool,
    progress: Progress | None = None,
    timeout: float | None = None,
) -> None:
    """Write an object to a file, which appears complete or not at all.

    Missing parent directories are made. A symbolic link is followed; a replaced file keeps its mode.

    Args:
        remote: The server.
        info: The object; this generation of it is fetched.
        path: The file.
        overwrite: Whether to replace an existing file.
        progress: Called with the bytes on the disk so far, and the total.
        timeout: Seconds for the whole download; None for no limit.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    transfer = _FileDownload(remote, info, Deadline(timeout), progress)
    with PartFile(target, info) as file:
        transfer.fill(file)
        file.publish(overwrite=overwrite)


class _FileDownload:
    """The download of one object into a part file. Its methods run on the thread of the group, tasks aside."""

    def __init__(self, remote: RemoteStore, info: ObjectInfo, deadline: Deadline, progress: Progress | None) -> None:
        self._remote = remote
        self._info = info
        self._deadline = deadline
        self._progress = progress
        self._done = 0

    def fill(self, file: PartFile) -> None:
        """Fetch the steps that no earlier process has left in the file."""
        with TaskGroup[None](self._moved) as group:
            for first in range(0, file.steps, _STEPS_PER_CALL):
                steps = range(first, min(first + _STEPS_PER_CALL, file.steps))
                group.start(partial(self._fetch_missing, file, steps), ahead=_PARALLEL_TASKS)
            group.results()

    def _moved(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._info.size)

    def _fetch_missing(self, file: PartFile, steps: Sequence[int], moved: Moved) -> None:
        missing: list[int] = []
        for index in steps:
            if file.has_step(index):
                moved(file.span(index)[1])
            else:
                missing.append(index)
        # neighbouring steps by one call
        for run in _runs(missing):
            self._fetch(file, run, moved)

    def _fetch(self, file: PartFile, run: range, moved: Moved) -> None:
        start, end = file.span(run[0])[0], sum(file.span(run[-1]))
        download = Download(ByteRange(start, end - start), self._info.generation)
        sums, recorded = BlockSums(file.step), 0
        for piece in self._remote.read(self._info.bucket, self._info.key, download, timeout=self._deadline.left()):
            file.write(start + sums.size, piece)
            sums.add(piece, crc32c(piece))
            moved(len(piece))
            # recorded after the bytes are written: a step in the journal promises that they were
            if sums.size // file.step > recorded:
                file.record_step(run[recorded], sums.blocks()[recorded])
                recorded += 1
        for index, crc in zip(run[recorded:], sums.blocks()[recorded:], strict=True):
            file.record_step(index, crc)


def _runs(numbers: Sequence[int]) -> Iterator[range]:
    """Yield the runs of consecutive numbers."""
    first = 0
    for at in range(1, len(numbers) + 1):
        if at == len(numbers) or numbers[at] != numbers[at - 1] + 1:
            yield range(numbers[first], numbers[at - 1] + 1)
            first = at
