"""Readers of objects in the store."""

# ruff: noqa: D102 (the methods are documented in base.py)

from __future__ import annotations

from collections.abc import Iterable, Iterator

from actorc.storage._wire.checksum import BlockSums, crc32c
from actorc.storage.errors import IntegrityError, NetworkError, StorageError
from actorc.storage.models import WHOLE, ByteRange, Chunk, ObjectInfo
from actorc.storage.rules import MAX_CHUNK_SIZE
from actorc.storage.server.engines.errors import object_missing
from actorc.storage.server.engines.readers_writers import ObjectReader

from .object_store import Backend, Found


class RemoteReader(ObjectReader):
    """Reads one generation of an object. For one thread at a time.

    The request that opened it also brings the bytes wanted first, so the object cannot be replaced in between. Further
    bytes are requested with the etag of the store: they are of the same generation, or there are none.

    Args:
        backend: The store.
        name: Name of the object in the store.
        info: Description of the object.
        found: The answer that opened it.
        begun: Range of the bytes in that answer; None: it has none.
    """

    def __init__(self, backend: Backend, name: str, info: ObjectInfo, found: Found, begun: ByteRange | None) -> None:
        self.info = info
        self._backend = backend
        self._name = name
        self._etag = found.etag
        self._body: Iterable[bytes | memoryview] | None = found.body
        self._begun = None if begun is None else begun.clamp(info.size)

    def chunks(self, part: ByteRange = WHOLE) -> Iterator[Chunk]:
        first, stop = part.clamp(self.info.size)
        if first < stop:
            pieces = _pieces(self._bytes(first, stop), first, stop)
            yield from self._verified(pieces) if stop - first == self.info.size else pieces

    def close(self) -> None:
        self._body = None

    def _bytes(self, first: int, stop: int) -> Iterable[bytes | memoryview]:
        body, self._body = self._body, None
        if body is not None and self._begun == (first, stop):
            return body
        found = self._backend.get(self._name, first, stop, etag=self._etag)
        if found is None:
            raise object_missing(self.info.bucket, self.info.key, self.info.generation)
        return found.body

    def _verified(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """Yield the chunks of the whole object, the last one only if the checksum of all is right."""
        sums = BlockSums()
        for chunk in chunks:
            sums.add(chunk.data, chunk.crc32c)
            # checked before the last chunk leaves, so that no caller gets all bytes of a damaged object
            if sums.size == self.info.size and sums.whole() != self.info.crc32c:
                raise IntegrityError("the store sent other bytes than were put there; put the object again")
            yield chunk


def request_object(backend: Backend, name: str, ahead: ByteRange) -> tuple[Found | None, ByteRange | None]:
    """Request an object and the bytes wanted first; a range behind its end is no error.

    Args:
        backend: The store.
        name: Name of the object in the store.
        ahead: Range of the bytes wanted first.

    Returns:
        The answer, None if there is no object, and the range of the bytes in it, None if it has none.
    """
    if ahead == WHOLE:
        return backend.get(name), ahead
    if ahead.length == 0:
        return backend.head(name), None
    try:
        stop = None if ahead.length is None else ahead.offset + ahead.length
        return backend.get(name, ahead.offset, stop), ahead
    except StorageError as error:
        # to the store, a range that begins behind the end of the object is an error
        if error.retryable:
            raise
        found = backend.head(name)
        if found is not None and ahead.offset < found.size:
            raise
        return found, None


def _pieces(body: Iterable[bytes | memoryview], first: int, stop: int) -> Iterator[Chunk]:
    at = first
    for piece in body:
        for start in range(0, len(piece), MAX_CHUNK_SIZE):
            data = bytes(piece[start : start + MAX_CHUNK_SIZE])
            yield Chunk(at, data, crc32c(data))
            at += len(data)
    if at != stop:
        raise NetworkError("the connection to the store broke before all bytes were there; try again")
