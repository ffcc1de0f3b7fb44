"""The hidden part file of a large download, and its journal of the steps that are complete.

A step in the journal counts only if the file has bytes with its checksum: nothing is synced, so after a power cut
either may be on the disk without the other.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path
from typing import Final, Self

from actorc.storage._wire.checksum import combine, crc32c
from actorc.storage.errors import IntegrityError
from actorc.storage.files import file_copies
from actorc.storage.models import ObjectInfo
from actorc.storage.rules import MiB

from .download_target import publish
from .first_stream import MIN_STEP
from .upload_journal import fingerprint, is_resumable, locked, sweep

_MAX_STEPS: Final = 1 << 16
_JOURNAL: Final = ".journal"
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def is_begun(path: Path, bucket: str, key: str) -> bool:
    """Return whether an earlier process has left a part of this download, perhaps of another generation."""
    target = Path(os.path.realpath(path))
    return _shared_path(target, bucket, key).with_suffix(_JOURNAL).exists()


class PartFile:
    """A file beside the target that collects the bytes of one object, in any order. Any thread may write.

    A context manager. The file is kept for a later process if this one is killed, or if the block ends with a failure
    of the network; after any other exception it is removed. One process at a time uses it; another process gets a file
    of its own, which is always removed.

    Args:
        target: Final path; its directory exists.
        info: The object and its generation.
    """

    def __init__(self, target: Path, info: ObjectInfo) -> None:
        self._target = target
        self._info = info
        self.step = -(-max(MIN_STEP, info.size // _MAX_STEPS) // MiB) * MiB
        """Bytes of a step, which is one line of the journal; the last one is shorter. A broken stream loses less."""
        self._sums: dict[int, int] = {}
        self._recorded: dict[int, int] = {}
        self._lock = threading.Lock()  # guards `_sums`, and keeps lines of the journal whole
        sweep(target.parent, ".download-*.part", _JOURNAL)
        self._path, self._file, self._shared = _opened(target, _shared_path(target, info.bucket, info.key))
        # replacing a file waits until all of the new one is on its way to the disk
        self._begins_early = target.exists()
        self._log = os.open(self._path.with_suffix(_JOURNAL), _FLAGS | os.O_APPEND, 0o600)
        self._load()

    @property
    def descriptor(self) -> int:
        """The open file, for writes other than by `write`; it stays this object's."""
        return self._file

    @property
    def is_resumed(self) -> bool:
        """Whether an earlier process recorded steps; `has_step` tells which of them are there."""
        return bool(self._recorded)

    @property
    def steps(self) -> int:
        """Number of steps."""
        return -(-self._info.size // self.step)

    def span(self, index: int) -> tuple[int, int]:
        """Return first byte and size of a step."""
        start = index * self.step
        return start, min(self.step, self._info.size - start)

    def _load(self) -> None:
        """Read the steps in the journal if it is of this object; otherwise empty journal and file."""
        header = json.dumps([self._info.generation, self._info.etag, self._info.size, self._info.crc32c, self.step])
        with os.fdopen(os.dup(self._log), "rb") as log:
            lines = log.read().decode(errors="replace").splitlines()
        if lines[:1] == [header]:
            self._recorded = dict(filter(None, map(_recorded_step, lines[1:])))
            return
        _empty(self._log)
        _empty(self._file)
        os.write(self._log, f"{header}\n".encode())

    def has_step(self, index: int) -> bool:
        """Return whether an earlier process wrote this step; reads the bytes and compares their checksum."""
        start, size = self.span(index)
        crc = length = 0
        while index in self._recorded and length < size:
            data = os.pread(self._file, min(MiB, size - length), start + length)
            if not data:
                return False
            crc, length = crc32c(data, crc), length + len(data)
        if self._recorded.get(index) != crc or length != size:
            return False
        with self._lock:
            self._sums[index] = crc
        return True

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write `data` at `offset`. Any thread may call it."""
        file_copies.write(self._file, data, offset)

    def record_step(self, index: int, crc: int) -> None:
        """Record in the journal that a step was written, with its CRC-32C. Any thread may call it."""
        with self._lock:
            self._sums[index] = crc
            os.write(self._log, f"{index} {crc:08x}\n".encode())
        if self._begins_early:
            from actorc.storage.files import early_writeback  # noqa: PLC0415  # loads `ctypes`, for this alone

            early_writeback.begin(self._file, *self.span(index))

    def publish(self, *, overwrite: bool) -> None:
        """Move the complete file to its target.

        Raises:
            IntegrityError: It does not match the checksum of the object.
            FileExistsError: Another process made the target in between and `overwrite` is false.
        """
        whole = 0
        for index in range(self.steps):
            whole = combine(whole, self._sums[index], self.span(index)[1])
        # also the steps of earlier processes are part of this sum
        if whole != self._info.crc32c:
            raise IntegrityError("the object does not match its checksum", self._info.bucket, self._info.key)
        publish(self._path, self._target, overwrite)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        # unlinked before the lock is released with the descriptor, so that no other process resumes a file that goes
        # away
        if not self._shared or error is None or not is_resumable(error):
            self._path.with_suffix(_JOURNAL).unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)
        os.close(self._log)
        os.close(self._file)


def _shared_path(target: Path, bucket: str, key: str) -> Path:
    """Return the path of the file that processes resume from one another."""
    return target.with_name(f".download-{fingerprint(target, bucket, key)}.part")


def _opened(target: Path, shared: Path) -> tuple[Path, int, bool]:
    """Return path and descriptor of the file, and whether a later process may resume it."""
    # without a lock, or beside a file of another user, the download still works, and is merely not resumed
    with contextlib.suppress(OSError):
        descriptor = locked(shared)
        if descriptor is not None:
            return shared, descriptor, True
    path = target.with_name(f".download-{os.urandom(8).hex()}.part")
    return path, os.open(path, _FLAGS | os.O_EXCL, 0o666), False


def _empty(descriptor: int) -> None:
    """Remove what is in a file.

    A file that is empty already is not truncated: ext4 takes that for the replacement of its content, and then writes
    the file to the disk before it lets go of it.
    """
    if os.fstat(descriptor).st_size:
        os.ftruncate(descriptor, 0)


def _recorded_step(line: str) -> tuple[int, int] | None:
    """Return index and checksum of a step, or None for an incomplete line."""
    index, _, crc = line.partition(" ")
    try:
        return int(index), int(crc, 16)
    except ValueError:
        return None
