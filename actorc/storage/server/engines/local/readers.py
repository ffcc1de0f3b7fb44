"""Readers of objects: blocks out of the index or of blobs, each verified before it is returned."""

# ruff: noqa: D102 (the methods are documented in base.py)

from __future__ import annotations

from collections.abc import Iterator, Sequence

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import IntegrityError, StorageError
from actorc.storage.models import WHOLE, ByteRange, Chunk, ObjectInfo
from actorc.storage.rules import BLOCK_SIZE
from actorc.storage.server.engines.blocks import block_length, cut
from actorc.storage.server.engines.readers_writers import FileSegment, ObjectReader

from .disk.errors import explained
from .disk.file_stamp import is_unchanged
from .disk.held_blobs import HeldBlobs
from .rows import Segment


class LocalReader(ObjectReader):
    """Reads blocks, and verifies each before it is returned. For one thread at a time.

    Args:
        info: The generation.
        segments: Its segments.
        blobs: The blobs among them, owned and closed by this reader.
    """

    def __init__(self, info: ObjectInfo, segments: Sequence[Segment], blobs: HeldBlobs) -> None:
        self.info = info
        self._segments = segments
        self._blobs = blobs
        self._open = True

    def chunks(self, part: ByteRange = WHOLE) -> Iterator[Chunk]:
        return cut(part, self._segments, self._block)

    def recorded_chunks(self, part: ByteRange = WHOLE) -> Iterator[Chunk]:
        return cut(part, self._segments, self._block, self._unverified_block)

    def files(self) -> tuple[FileSegment, ...] | None:
        segments = [segment for segment in self._segments if segment.size]
        if not any(segment.file for segment in segments):
            return None
        try:
            return tuple(map(self._file, segments))
        except OSError:  # a lost blob, or too many descriptors; reading by `chunks` says so, or needs fewer
            return None

    def close(self) -> None:
        self._open = False
        self._blobs.close()

    def _file(self, segment: Segment) -> FileSegment:
        if segment.file is None:
            return FileSegment(size=segment.size, sums=segment.sums, data=segment.data)
        descriptor = self._blobs.descriptor(segment.file)
        unchanged = is_unchanged(descriptor, segment.stamp)
        return FileSegment(size=segment.size, sums=segment.sums, descriptor=descriptor, is_unchanged=unchanged)

    def _unverified_block(self, segment: Segment, index: int) -> bytes:
        self._check_open()
        with explained():
            data = self._load(segment, index, anew=False)
        # one that is too short is damaged, whatever its checksum
        return data if len(data) == block_length(segment.size, index) else self._block(segment, index)

    def _block(self, segment: Segment, index: int) -> bytes:
        self._check_open()
        with explained():
            # once more through a new descriptor: an error that passes is not reported as damage
            for anew in (False, True):
                data = self._load(segment, index, anew=anew)
                if len(data) == block_length(segment.size, index) and crc32c(data) == segment.sums[index]:
                    return data
        raise IntegrityError(
            f"block {index} of the object is damaged on the disk of the server; write the object again",
            self.info.bucket,
            self.info.key,
        )

    def _check_open(self) -> None:
        if not self._open:
            raise StorageError("the reader is closed; open the object anew", None, self.info.bucket, self.info.key)

    def _load(self, segment: Segment, index: int, *, anew: bool) -> bytes:
        if segment.file is None:
            assert segment.data is not None
            return segment.data
        length = block_length(segment.size, index)
        try:
            return self._blobs.read(segment.file, length, index * BLOCK_SIZE, anew=anew)
        except FileNotFoundError:  # lost: a held blob is never removed
            return b""
