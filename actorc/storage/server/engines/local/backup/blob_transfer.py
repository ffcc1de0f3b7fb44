"""Blobs that go from one directory to another, every byte of them verified on the way."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from actorc.storage._wire.checksum import crc32c
from actorc.storage.rules import BLOCK_SIZE
from actorc.storage.server.engines.blocks import block_length
from actorc.storage.server.engines.local.disk.blobs import Blobs
from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.disk.quarantine import is_blob_name
from actorc.storage.server.engines.local.disk.trailer import DamagedTrailerError, read_trailer
from actorc.storage.server.engines.local.maintenance.fsck_index import Finding
from actorc.storage.server.engines.local.rows import unpack_sums

_THREADS: Final = 4
"""So many syncs at once; one after the other they would take most of the time of small blobs."""
_BATCH: Final = 256
_CONTENT: Final = (
    "SELECT id, size, sums, file, data FROM content WHERE file IS NOT NULL OR data IS NOT NULL ORDER BY id"
)
_OWNER: Final = """
WITH owner AS (SELECT :id AS id UNION ALL SELECT content_id FROM segment WHERE leaf_id = :id)
SELECT bucket.name, key FROM object JOIN bucket ON bucket.id = bucket_id WHERE content_id IN (SELECT id FROM owner)
UNION ALL SELECT bucket.name, key FROM upload JOIN part ON upload_id = upload.id JOIN bucket ON bucket.id = bucket_id
WHERE content_id IN (SELECT id FROM owner) LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Content:
    """Content of an index: a blob, or bytes that are in the index itself."""

    id: int
    size: int
    """Bytes."""
    packed_sums: bytes
    file: str | None
    """Name of the blob."""
    data: bytes | None


@dataclass(slots=True)
class Copied:
    """How much was copied, and was not there before."""

    blobs: int = 0
    bytes: int = 0


class DamagedContentError(Exception):
    """Content cannot be read, or is not what was stored; the message says why."""


class _StoppedError(Exception):
    """Another blob failed."""


class BlobTransfer:
    """Copies the blobs that an index names. Those that are there are not copied again. For one thread, with its own.

    Args:
        source: The blobs.
        target: Where they go; `None` to verify them only.
        fsops: The disk of both.
        anew: Whether to read also the blobs that are there, and to copy those that are damaged.
        resync: Whether to sync also the names of blobs that are there.
        on_bytes: Called by any thread with bytes of content that are done.
    """

    def __init__(
        self,
        source: Blobs,
        target: Blobs | None,
        fsops: FsOps,
        *,
        anew: bool,
        resync: bool,
        on_bytes: Callable[[int], None],
    ) -> None:
        self._source = source
        self._target = target
        self._fsops = fsops
        self._anew = anew
        self._resync = resync
        self._on_bytes = on_bytes
        self._stopped = threading.Event()
        self._guard = threading.Lock()  # guards the two below, which all threads change
        self._folders: set[Path] = set()
        self.copied = Copied()

    def run(self, connection: sqlite3.Connection, incoming: Path | None) -> Iterator[Finding]:
        """Copy or verify all content of an index; yield what is damaged. All names are on the medium at the end.

        Args:
            connection: The index.
            incoming: Where blobs are until all of each is on the medium.
        """
        found = (Content(*row) for row in connection.execute(_CONTENT))
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="blob") as pool:
            try:
                while batch := list(islice(found, _BATCH)):
                    problems = pool.map(lambda content: self._problem(content, incoming), batch)
                    for content, problem in zip(batch, problems, strict=True):
                        if problem:
                            yield Finding("damaged", _owner(connection, content), problem)
            except BaseException:
                # or the pool would first finish blobs of any size
                self._stopped.set()
                raise
        if self._target is not None:
            for folder in sorted(self._folders):
                self._target.sync_directory(folder)

    def _problem(self, content: Content, incoming: Path | None) -> str:
        try:
            self._take(content, incoming)
        except DamagedContentError as error:
            return str(error)
        return ""

    def _take(self, content: Content, incoming: Path | None) -> None:
        if content.file is None:
            data = content.data or b""
            if len(data) != content.size or ((crc32c(data),) if data else ()) != unpack_sums(content.packed_sums):
                raise DamagedContentError("the bytes in the index do not match their checksums")
            return
        if not is_blob_name(content.file):
            # a backup may come from strangers, and a name must not lead out of the directory
            raise DamagedContentError(f"{content.file!r} is no name of a blob")
        try:
            with closing(_OpenBlob(self._source, self._fsops, content)) as blob:
                if self._target is None:
                    self._pump(blob, None)
                elif not self._is_there(blob, self._target):
                    assert incoming is not None
                    self._copy(blob, self._target, incoming / content.file)
        except DamagedContentError:
            # what the source has lost may be whole in the backup, whose next snapshot then has it all the same
            if self._target is None or not self._is_whole(content, self._target):
                raise

    def _is_there(self, blob: _OpenBlob, target: Blobs) -> bool:
        try:
            if target.path(blob.name).stat().st_size != blob.length:
                return False
        except FileNotFoundError:
            return False
        if self._anew:
            return self._is_whole(blob.content, target)
        self._progress(blob.content.size)
        self._found(target.path(blob.name))
        return True

    def _is_whole(self, content: Content, target: Blobs) -> bool:
        try:
            with closing(_OpenBlob(target, self._fsops, content)) as blob:
                self._pump(blob, None)
                self._found(target.path(blob.name))
        except DamagedContentError:
            return False
        return True

    def _found(self, path: Path) -> None:
        if self._resync:
            self._remember(path.parent)

    def _copy(self, blob: _OpenBlob, target: Blobs, path: Path) -> None:
        target.check_room(blob.length)
        descriptor = self._fsops.create(path)
        try:
            self._pump(blob, descriptor)
            # before the rename: a name in its place always leads to whole bytes
            self._fsops.sync(descriptor)
        except BaseException:
            self._fsops.unlink(path)
            raise
        finally:
            os.close(descriptor)
        self._remember(target.accept(path, blob.name).parent)
        with self._guard:
            self.copied.blobs += 1
            self.copied.bytes += blob.length

    def _remember(self, folder: Path) -> None:
        with self._guard:
            self._folders.add(folder)

    def _pump(self, blob: _OpenBlob, copy: int | None) -> None:
        """Read and verify a blob, and write it to the file `copy`."""
        is_cloned = copy is not None and self._fsops.clone(blob.descriptor, 0, copy, 0, max(blob.length, 1))
        # a clone is read back, since it is what must be right
        reading = copy if is_cloned and copy is not None else blob.descriptor
        offset = 0
        for piece in blob.pieces(reading):
            if copy is not None and not is_cloned:
                self._fsops.write(copy, piece, offset)
            offset += len(piece)
            self._progress(min(len(piece), max(blob.content.size - offset + len(piece), 0)))

    def _progress(self, size: int) -> None:
        if self._stopped.is_set():
            raise _StoppedError
        self._on_bytes(size)


class _OpenBlob:
    """A blob that is open for reading, from its own place or from quarantine. For one thread.

    Raises:
        DamagedContentError: It is not there, or cannot be opened.
    """

    def __init__(self, blobs: Blobs, fsops: FsOps, content: Content) -> None:
        self.content = content
        self.name = content.file or ""
        self._fsops = fsops
        try:
            self.descriptor = blobs.open(self.name)
        except FileNotFoundError:
            raise DamagedContentError(f"blob {self.name} is missing") from None
        self.length = os.fstat(self.descriptor).st_size
        """Bytes of the file, its trailer included."""

    def pieces(self, descriptor: int) -> Iterator[bytes]:
        """Yield all bytes of the file, those of its content a block at a time, verified.

        Args:
            descriptor: The file, or a clone of it.

        Raises:
            DamagedContentError: They cannot be read, or are not those that were stored.
        """
        size, sums = self.content.size, unpack_sums(self.content.packed_sums)
        if len(sums) != -(-size // BLOCK_SIZE):
            raise DamagedContentError(f"the index has {len(sums)} checksums for {size} bytes of blob {self.name}")
        for at, checksum in enumerate(sums):
            piece = self._read(descriptor, block_length(size, at), at * BLOCK_SIZE)
            if len(piece) < block_length(size, at) or crc32c(piece) != checksum:
                raise DamagedContentError(f"the bytes of blob {self.name} do not match their checksums")
            yield piece
        for offset in range(size, self.length, BLOCK_SIZE):
            yield self._read(descriptor, min(BLOCK_SIZE, self.length - offset), offset)
        self._check_trailer(descriptor, sums)

    def _read(self, descriptor: int, length: int, offset: int) -> bytes:
        try:
            return self._fsops.read(descriptor, length, offset)
        except OSError as error:
            raise DamagedContentError(f"blob {self.name} cannot be read: {error.strerror}") from error

    def _check_trailer(self, descriptor: int, sums: tuple[int, ...]) -> None:
        try:
            trailer = read_trailer(self._fsops, descriptor)
        except DamagedTrailerError as error:
            raise DamagedContentError(f"blob {self.name} could not be given back to an index, {error}") from error
        if trailer is not None and (trailer.payload, trailer.sums) != (self.content.size, sums):
            raise DamagedContentError(f"blob {self.name} says that it has other bytes")

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)


def _owner(connection: sqlite3.Connection, content: Content) -> str:
    row = connection.execute(_OWNER, {"id": content.id}).fetchone()
    return f"{row[0]}/{row[1].decode()}" if row else content.file or f"content {content.id}"
