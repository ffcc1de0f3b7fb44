"""The calls to which the client cuts what is too much for one, made to the rules of the service."""

# ruff: noqa: D102 (what the methods promise is said in _rpc)

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from actorc.storage._rpc.payload import Upload
from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import IntegrityError, StorageError
from actorc.storage.models import (
    WHOLE,
    ByteRange,
    Chunk,
    DeleteResult,
    Destination,
    ObjectContent,
    ObjectInfo,
    SmallObject,
)
from actorc.storage.server.store import upload as store_upload
from actorc.storage.server.store.store import ObjectStore

T = TypeVar("T")


class StoreCalls:
    """The calls to which the client cuts a batch that is too large for one."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, destination: Destination, upload: Upload, *, timeout: float | None = None) -> ObjectInfo:  # noqa: ARG002
        begun = self._store.begin_write(
            destination.bucket, destination.key, attributes=destination.attributes, condition=destination.condition
        )
        return committed(begun, upload)

    def content(
        self,
        bucket: str,
        key: str,
        part: ByteRange = WHOLE,
        generation: int | None = None,
        *,
        if_match: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> tuple[ObjectInfo, bytes]:
        with self._store.read(bucket, key, [part], generation=generation, if_match=if_match) as (info, chunks):
            return info, b"".join([chunk.data for chunk in chunks])

    def put_batch(
        self,
        bucket: str,
        objects: Sequence[SmallObject],
        timeout: float | None = None,  # noqa: ARG002
    ) -> list[ObjectInfo | StorageError]:
        return self._store.put_many(bucket, objects)

    def get_batch(
        self,
        bucket: str,
        keys: Sequence[str],
        timeout: float | None = None,  # noqa: ARG002
    ) -> list[ObjectContent | StorageError]:
        return list(self._store.read_many(bucket, keys))

    def get_ranges(
        self,
        bucket: str,
        key: str,
        parts: Sequence[ByteRange],
        generation: int | None = None,
        *,
        if_match: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> tuple[ObjectInfo, list[bytes]]:
        info, chunks = self._store.read_ranges(bucket, key, parts, generation=generation, if_match=if_match)
        return info, [checked(chunk, bucket, key) for chunk in chunks]

    def delete_batch(self, bucket: str, keys: Sequence[str], timeout: float | None = None) -> list[DeleteResult]:  # noqa: ARG002
        return self._store.delete_many(bucket, keys)


def checked(chunk: Chunk, bucket: str, key: str) -> bytes:
    """Return the bytes of a chunk if they match its checksum."""
    if crc32c(chunk.data) != chunk.crc32c:
        raise IntegrityError("a chunk does not match the checksum that comes with it", bucket, key)
    return bytes(chunk.data)


def committed(begun: store_upload.Upload[T], upload: Upload) -> T:
    """Send what an upload has as one of the store; return what its commit returned."""
    with begun:
        for chunk in upload.chunks():
            begun.write(chunk)
        return begun.commit(size=upload.sent, crc32c=upload.checksum())
