"""Writers of objects and parts in memory, and readers of objects."""

# ruff: noqa: D102 (the methods are documented in base.py)

from __future__ import annotations

from collections.abc import Callable, Iterator

from actorc.storage._wire.checksum import BlockSums
from actorc.storage.errors import StorageError
from actorc.storage.models import ANY, WHOLE, ByteRange, Chunk, Condition, ObjectAttributes, ObjectInfo, PartInfo
from actorc.storage.rules import BLOCK_SIZE
from actorc.storage.server.engines.blocks import cut
from actorc.storage.server.engines.readers_writers import ObjectReader, ObjectWriter, PartWriter, Writer

from .bucket import Segment, StoredObject


class MemoryWriter(Writer):
    """Collects bytes until `take`. For one thread at a time."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._sums = BlockSums()
        self._open = True

    def write(self, data: bytes | memoryview, crc32c: int) -> None:
        self._check_open()
        self._data += data
        self._sums.add(data, crc32c)

    @property
    def size(self) -> int:
        return self._sums.size

    def checksum(self) -> int:
        return self._sums.whole()

    def abort(self) -> None:
        self._open = False
        self._data = bytearray()

    def take(self) -> tuple[Segment, int]:
        """Return the bytes and their checksum, once; nothing can be written afterwards."""
        self._check_open()
        segment = Segment(bytes(self._data), self._sums.blocks())
        self.abort()
        return segment, self._sums.whole()

    def _check_open(self) -> None:
        if not self._open:
            raise StorageError("the writer was committed or aborted before; begin a new one")


class MemoryObjectWriter(MemoryWriter, ObjectWriter):
    """The writer of one object.

    Args:
        publish: Called with bytes, checksum, attributes, condition and idempotency key.
    """

    def __init__(self, publish: Callable[[Segment, int, ObjectAttributes, Condition, str], ObjectInfo]) -> None:
        super().__init__()
        self._publish = publish

    def commit(
        self, attributes: ObjectAttributes, condition: Condition = ANY, *, idempotency_key: str = ""
    ) -> ObjectInfo:
        return self._publish(*self.take(), attributes, condition, idempotency_key)


class MemoryPartWriter(MemoryWriter, PartWriter):
    """The writer of one part.

    Args:
        publish: Called with bytes, checksum and idempotency key.
    """

    def __init__(self, publish: Callable[[Segment, int, str], PartInfo]) -> None:
        super().__init__()
        self._publish = publish

    def commit(self, *, idempotency_key: str = "") -> PartInfo:
        return self._publish(*self.take(), idempotency_key)


class MemoryReader(ObjectReader):
    """Reads one generation; its bytes are immutable, so nothing is held or copied.

    Args:
        stored: The generation.
    """

    def __init__(self, stored: StoredObject) -> None:
        self.info = stored.info
        self._segments = stored.segments

    def chunks(self, part: ByteRange = WHOLE) -> Iterator[Chunk]:
        return cut(part, self._segments, _block)

    def close(self) -> None:
        pass


def _block(segment: Segment, index: int) -> bytes:
    return segment.data[index * BLOCK_SIZE : (index + 1) * BLOCK_SIZE]
