"""Downloads of large objects: as many streams as the link needs, into a part file that a later process can resume."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from actorc.storage._rpc.payload import Download, Progress
from actorc.storage._rpc.retries.deadline import Deadline
from actorc.storage.models import ByteRange

from .first_stream import MIN_STEP, FirstStream
from .resumable_part_file import PartFile
from .step_runs import Run, StepRuns
from .stream_count import StreamCount
from .task_group import Report, TaskGroup
from .transfer_span import transferring

if TYPE_CHECKING:
    from actorc.storage._rpc.operations.remote_store import RemoteStore


def download(
    remote: RemoteStore,
    first: FirstStream,
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
        first: A stream of the object, whose generation is fetched; it goes on as one of those that fetch it.
        path: The file.
        overwrite: Whether to replace an existing file.
        progress: Called with the bytes on the disk so far, and the total.
        timeout: Seconds for the whole download; None for no limit.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    transfer = _FileDownload(remote, first, Deadline(timeout), progress)
    with transferring("download", first.info.bucket, first.info.key), PartFile(target, first.info) as file:
        if file.is_resumed or file.step != MIN_STEP:
            # at once, since it brings bytes that are there, or sums them for other steps
            transfer.end_first()
        transfer.fill(file)
        file.publish(overwrite=overwrite)


class _FileDownload:
    """The download of one object into a part file. Its methods run on the thread of the group, tasks aside."""

    def __init__(self, remote: RemoteStore, first: FirstStream, deadline: Deadline, progress: Progress | None) -> None:
        self._remote = remote
        # until a task takes it: the first one, which runs alone, and fetches all as long as it does
        self._first: FirstStream | None = first
        self._info = first.info
        self._answered = first.answered
        self._deadline = deadline
        self._progress = progress
        self._done = 0

    def end_first(self) -> None:
        """End the stream that was given, and fetch all that is missing by others."""
        first, self._first = self._first, None
        if first is not None:
            first.cancel()

    def fill(self, file: PartFile) -> None:
        """Fetch the steps that no earlier process has left in the file."""
        streams = StreamCount(answered=self._answered)
        runs = StepRuns(self._missing(file), lambda: streams.count)
        with TaskGroup[None](self._moved, streams) as group:
            self._start(file, runs, group)
            while group.running:
                group.wait()
                self._start(file, runs, group)

    def _missing(self, file: PartFile) -> Iterator[int]:
        for index in range(file.steps):
            if file.has_step(index):
                self._moved(file.span(index)[1])
            else:
                yield index

    def _start(self, file: PartFile, runs: StepRuns, group: TaskGroup[None]) -> None:
        for run in runs.take(group.room):
            group.start(partial(self._fetch, file, runs, run))

    def _moved(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._info.size)

    def _fetch(self, file: PartFile, runs: StepRuns, run: Run, report: Report) -> None:
        """Fetch a run by one stream, which ends early when the rest of the run went to another."""
        first = runs.begin(run)
        if first is None:
            return
        start, end = file.span(first)[0], sum(file.span(run.stop - 1))
        download, call = self._stream(start, end, file.step)
        step: int | None = first
        at = start
        with closing(call) as pieces:
            for piece in pieces:
                file.write(at, piece)
                told, at = at, at + len(piece)
                while step is not None and at >= (edge := sum(file.span(step))):
                    # recorded after the bytes are written: a step in the journal promises that they were
                    file.record_step(step, download.sums.block(step - first))
                    report.moved(edge - told)
                    told, step = edge, runs.begin(run)
                if step is not None:
                    report.moved(at - told)
                elif at < end:
                    return

    def _stream(self, start: int, end: int, step: int) -> tuple[Download, Generator[bytes | memoryview, None, None]]:
        """Return a stream of bytes and what has arrived of it, whose checksums are those of steps."""
        first, self._first = self._first, None
        if first is not None:
            return first.download, first.pieces()
        download = Download(ByteRange(start, end - start), self._info.generation, block_size=step)
        bucket, key = self._info.bucket, self._info.key
        return download, self._remote.read(bucket, key, download, timeout=self._deadline.left())
