"""Writers of objects and parts: bytes in the index or in a blob, and the commit that publishes them."""

# ruff: noqa: D102 (the methods are documented in base.py)

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from actorc.storage._wire.checksum import BlockSums, crc32c
from actorc.storage.errors import StorageError
from actorc.storage.models import ANY, Condition, ObjectAttributes, ObjectInfo, PartInfo
from actorc.storage.rules import KiB
from actorc.storage.server.engines.errors import file_too_short
from actorc.storage.server.engines.readers_writers import ObjectWriter, PartWriter, Writer

from .disk.blobs import Blobs
from .disk.errors import explained
from .disk.health import Health
from .disk.staged_blob import StagedBlob
from .disk.trailer import OBJECT, PART, Trailer, pack_trailer
from .index.index import Index
from .rows import Segment

T = TypeVar("T")

INLINE_MAX = 16 * KiB
"""Bytes; objects and parts up to this size live in the index, so that storing one costs a single sync."""


class LocalWriter(Writer):
    """Collects bytes in memory up to `INLINE_MAX`, beyond that in a staged blob. For one thread at a time.

    Args:
        index: The index, which publishes the object or part.
        declared_size: Bytes expected; reserved on the disk as they arrive.
        blobs: The blobs.
        health: Whether the state on disk is still known after a failed commit.
    """

    def __init__(self, *, index: Index, declared_size: int | None, blobs: Blobs, health: Health) -> None:
        self._index = index
        self._blobs = blobs
        self._health = health
        self._sums = BlockSums()
        self._small = bytearray()
        self._staged: StagedBlob | None = None
        self._open = True
        if declared_size is not None and declared_size > INLINE_MAX:
            with explained():
                self._staged = StagedBlob(blobs, declared_size)

    def write(self, data: bytes | memoryview, crc32c: int) -> None:
        self._check_open()
        try:
            with explained():
                self._append(data)
        except BaseException:
            # at once: a blob with a gap must never be committed
            self.abort()
            raise
        self._sums.add(data, crc32c)

    def import_file(self, descriptor: int, offset: int, length: int) -> None:
        self._check_open()
        if self._is_small(length):
            super().import_file(descriptor, offset, length)
            return
        try:
            with explained():
                self._copy(descriptor, offset, length)
        except BaseException:
            self.abort()
            raise

    @property
    def size(self) -> int:
        return self._sums.size

    def checksum(self) -> int:
        return self._sums.whole()

    def abort(self) -> None:
        self._open = False
        self._small = bytearray()
        staged, self._staged = self._staged, None
        if staged is not None:
            staged.drop()

    def _append(self, data: bytes | memoryview) -> None:
        if self._is_small(len(data)):
            self._small += data
        else:
            self._stage().append(data)

    def _copy(self, descriptor: int, offset: int, length: int) -> None:
        end = self.size + length
        # summed as it is read back: the file of the caller may change after it was copied
        for data in self._stage().copy(descriptor, offset, length):
            self._sums.add(data, crc32c(data))
        if self.size < end:
            raise file_too_short()

    def _is_small(self, more: int) -> bool:
        return self._staged is None and len(self._small) + more <= INLINE_MAX

    def _stage(self) -> StagedBlob:
        """Return the blob, begun with what was collected before."""
        if self._staged is None:
            self._staged = StagedBlob(self._blobs)
            self._staged.append(self._small)
        return self._staged

    def _commit(self, trailer: Trailer, publish: Callable[[Segment], tuple[T, bool]]) -> T:
        """Call `publish` and return its result; keep the blob only if the index refers to it, or may."""
        self._check_open()
        try:
            with explained():
                answer, is_new = publish(self._segment(trailer))
        except Exception:
            if not self._health.good:
                self._keep()  # the failed commit may nevertheless be on the disk
            self.abort()
            raise
        except BaseException:
            self._keep()  # interrupted, perhaps after the commit
            self.abort()
            raise
        if is_new:
            self._keep()
        self.abort()
        return answer

    def _segment(self, trailer: Trailer) -> Segment:
        size, sums = self._sums.size, tuple(self._sums.blocks())
        if self._staged is None:
            return Segment(size=size, sums=sums, data=bytes(self._small))
        # reserved before the blob has its name: whatever is committed by then has a smaller generation
        trailer.order, trailer.written_us = self._index.reserve()
        trailer.size, trailer.crc32c, trailer.sums = size, self.checksum(), sums
        return self._published(self._staged, trailer)

    def _published(self, staged: StagedBlob, trailer: Trailer) -> Segment:
        file = staged.publish(pack_trailer(trailer))
        sums = tuple(self._sums.blocks())
        return Segment(size=self._sums.size, sums=sums, file=file, stamp=staged.stamp, order=trailer.order)

    def _keep(self) -> None:
        if self._staged is not None:
            self._staged.keep()

    def _check_open(self) -> None:
        if not self._open:
            raise StorageError("the writer was committed or aborted before; begin a new one")


class LocalObjectWriter(LocalWriter, ObjectWriter):
    """The writer of one object.

    Args:
        bucket: Bucket of the object.
        key: Key of the object.
        index: The index.
        declared_size: Bytes expected.
        blobs: The blobs.
        health: Whether the state on disk is still known after a failed commit.
    """

    def __init__(
        self, bucket: str, key: str, *, index: Index, declared_size: int | None, blobs: Blobs, health: Health
    ) -> None:
        super().__init__(index=index, declared_size=declared_size, blobs=blobs, health=health)
        self._name = (bucket, key)

    def commit(
        self, attributes: ObjectAttributes, condition: Condition = ANY, *, idempotency_key: str = ""
    ) -> ObjectInfo:
        bucket, key = self._name
        return self._commit(
            Trailer(
                kind=OBJECT,
                bucket=bucket,
                key=key,
                content_type=attributes.content_type,
                metadata=attributes.metadata,
                ttl=attributes.ttl,
            ),
            lambda segment: self._index.put(
                bucket,
                key,
                segment,
                crc32c=self.checksum(),
                attributes=attributes,
                condition=condition,
                idempotency_key=idempotency_key,
            ),
        )


class LocalPartWriter(LocalWriter, PartWriter):
    """The writer of one part.

    Args:
        bucket: Bucket of the upload.
        key: Key of the upload.
        upload_id: Id of the upload.
        number: Number of the part.
        index: The index.
        declared_size: Bytes expected.
        blobs: The blobs.
        health: Whether the state on disk is still known after a failed commit.
    """

    def __init__(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        *,
        index: Index,
        declared_size: int | None,
        blobs: Blobs,
        health: Health,
    ) -> None:
        super().__init__(index=index, declared_size=declared_size, blobs=blobs, health=health)
        self._part = (bucket, key, upload_id, number)

    def commit(self, *, idempotency_key: str = "") -> PartInfo:
        bucket, key, upload_id, number = self._part
        return self._commit(
            Trailer(kind=PART, bucket=bucket, key=key, upload_id=upload_id, number=number),
            lambda segment: self._index.uploads.add_part(
                bucket, key, upload_id, number, segment, crc32c=self.checksum(), idempotency_key=idempotency_key
            ),
        )
