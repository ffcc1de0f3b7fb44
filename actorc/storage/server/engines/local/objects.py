# ruff: noqa: D102 (what the methods promise is said in base.py)
"""One object on its way in, and one open for reading."""

from __future__ import annotations

import os
from collections.abc import Iterator

from actorc.storage._checksum import BlockSums, crc32c
from actorc.storage.errors import IntegrityError, StorageError
from actorc.storage.models import ANY, WHOLE, ByteRange, Chunk, Condition, ObjectAttributes, ObjectInfo
from actorc.storage.rules import BLOCK_SIZE, KiB
from actorc.storage.server.engines.base import ObjectReader, Writer
from actorc.storage.server.engines.blocks import block_length, cut

from .blobs import Blobs, StagedBlob
from .faults import Health, explained
from .fsops import FsOps
from .index import Index
from .rows import Content

INLINE_MAX = 16 * KiB
"""Bytes; objects up to this size live in the index, so that storing one costs a single sync."""


class LocalWriter(Writer):
    """Holds a small object in memory and a larger one in a staging file.

    Args:
        bucket: Where it goes.
        key: Where it goes.
        declared_size: Room to reserve on the disk, in bytes.
        index: Where it is published.
        blobs: Where its bytes go if they are many.
        health: Says after a failed commit whether it can still be told what is on the disk.
    """

    def __init__(
        self,
        bucket: str,
        key: str,
        *,
        declared_size: int | None,
        index: Index,
        blobs: Blobs,
        health: Health,
    ) -> None:
        self._name = (bucket, key)
        self._index = index
        self._blobs = blobs
        self._health = health
        self._sums = BlockSums()
        self._small = bytearray()
        self._staged: StagedBlob | None = None
        self._open = True
        if declared_size is not None and declared_size > INLINE_MAX:
            with explained():
                self._staged = blobs.stage(declared_size)

    def write(self, data: bytes | memoryview, crc32c: int) -> None:
        self._check_open()
        try:
            with explained():
                self._append(data)
        except BaseException:
            self.abort()
            raise
        self._sums.add(data, crc32c)

    @property
    def size(self) -> int:
        return self._sums.size

    def checksum(self) -> int:
        return self._sums.whole()

    def commit(
        self, attributes: ObjectAttributes, condition: Condition = ANY, *, idempotency_key: str = ""
    ) -> ObjectInfo:
        self._check_open()
        try:
            with explained():
                info, is_new = self._publish(attributes, condition, idempotency_key)
        except Exception:
            if not self._health.good:
                self._keep()  # the failed commit may be on the disk all the same
            self.abort()
            raise
        except BaseException:
            self._keep()  # interrupted, perhaps behind the commit
            self.abort()
            raise
        if is_new:
            self._keep()
        self.abort()
        return info

    def abort(self) -> None:
        self._open = False
        self._small = bytearray()
        staged, self._staged = self._staged, None
        if staged is not None:
            staged.drop()

    def _append(self, data: bytes | memoryview) -> None:
        if self._staged is None:
            if len(self._small) + len(data) <= INLINE_MAX:
                self._small += data
                return
            self._staged = self._blobs.stage()
            self._staged.append(self._small)
        self._staged.append(data)

    def _publish(
        self, attributes: ObjectAttributes, condition: Condition, idempotency_key: str
    ) -> tuple[ObjectInfo, bool]:
        sums = tuple(self._sums.blocks())
        if self._staged is None:
            content = Content(sums=sums, data=bytes(self._small))
        else:
            content = Content(sums=sums, file=self._staged.publish())
        return self._index.put(
            *self._name,
            content,
            size=self._sums.size,
            crc32c=self._sums.whole(),
            attributes=attributes,
            condition=condition,
            idempotency_key=idempotency_key,
        )

    def _keep(self) -> None:
        if self._staged is not None:
            self._staged.keep()

    def _check_open(self) -> None:
        if not self._open:
            raise StorageError("the writer was committed or aborted before; begin a new one", None, *self._name)


class LocalReader(ObjectReader):
    """Reads blocks and proves each before it is handed out.

    Args:
        info: The generation.
        content: Where its bytes are.
        descriptor: The open blob, owned by this reader from now on; None if the bytes are inline.
        blobs: Where the blob can be opened anew.
        fsops: The disk.
    """

    def __init__(self, info: ObjectInfo, content: Content, descriptor: int | None, blobs: Blobs, fsops: FsOps) -> None:
        self.info = info
        self._content = content
        self._descriptor = descriptor
        self._blobs = blobs
        self._fsops = fsops
        self._open = True

    def chunks(self, part: ByteRange = WHOLE) -> Iterator[Chunk]:
        return cut(part, self.info.size, self._content.sums, self._block)

    def close(self) -> None:
        self._open = False
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _block(self, index: int) -> bytes:
        if not self._open:
            raise StorageError("the reader is closed; open the object anew", None, self.info.bucket, self.info.key)
        with explained():
            for load in (self._load, self._load_anew):
                data = load(index)
                if len(data) == block_length(self.info.size, index) and crc32c(data) == self._content.sums[index]:
                    return data
        raise IntegrityError(
            f"block {index} of the object is damaged on the disk of the server; write the object again",
            self.info.bucket,
            self.info.key,
        )

    def _load(self, index: int) -> bytes:
        if self._descriptor is None:
            assert self._content.data is not None
            return self._content.data
        return self._fsops.read(self._descriptor, block_length(self.info.size, index), index * BLOCK_SIZE)

    def _load_anew(self, index: int) -> bytes:
        if self._content.file is None:
            return b""
        try:
            descriptor = self._fsops.open(self._blobs.path(self._content.file))
        except FileNotFoundError:  # replaced or deleted meanwhile: the open descriptor is all there is
            return self._load(index)
        try:
            return self._fsops.read(descriptor, block_length(self.info.size, index), index * BLOCK_SIZE)
        finally:
            os.close(descriptor)
