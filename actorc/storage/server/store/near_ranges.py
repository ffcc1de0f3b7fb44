"""Many ranges of one object at once: placed within it, cut to one answer, and read together where they are near."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import InvalidRangeError
from actorc.storage.models import NOTHING, ByteRange, Chunk
from actorc.storage.rules import MAX_PAGE_BYTES, MiB
from actorc.storage.server.engines.readers_writers import ObjectReader

NEAR: Final = MiB
"""Bytes between two ranges that are read as one: engines verify blocks of that size, and a request to a remote store
takes as long as that many bytes."""


def placed(parts: Iterable[ByteRange], size: int) -> list[tuple[int, int]]:
    """Return first byte and end of each range in an object of `size` bytes; together they fit into one answer.

    Raises:
        InvalidRangeError: One begins behind the end of the object.
    """
    found, room = [], MAX_PAGE_BYTES
    for part in parts:
        if part.offset > size:
            raise InvalidRangeError(
                f"a range begins at byte {part.offset} and the object has {size}; begin at {size} or before"
            )
        first, stop = part.clamp(size)
        stop = min(stop, first + room)
        room -= stop - first
        found.append((first, stop))
    return found


def first_read(parts: Sequence[ByteRange]) -> ByteRange:
    """Return the range that is read first as far as that is known without the size of the object, else an empty one.

    Those that count from the end may turn out to belong to it; then it is read anew.
    """
    spans = [(part.offset, part.offset + (part.length or 0)) for part in parts if part.offset >= 0]
    group = next(_groups(sorted(range(len(spans)), key=spans.__getitem__), spans), [])
    return _hull([spans[index] for index in group]) if group else NOTHING


def read(reader: ObjectReader, spans: Sequence[tuple[int, int]]) -> list[Chunk]:
    """Return the bytes of each span, a first byte and an end, in their order; each with a checksum of its own."""
    order = sorted(range(len(spans)), key=spans.__getitem__)
    pieces: list[list[memoryview]] = [[] for _ in spans]
    for group in _groups(order, spans):
        _fill(reader, [(spans[index], pieces[index]) for index in group])
    filled = (b"".join(each) for each in pieces)
    return [Chunk(first, data, crc32c(data)) for (first, _), data in zip(spans, filled, strict=True)]


def _groups(order: Iterable[int], spans: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    group: list[int] = []
    end = 0
    for index in order:
        first, stop = spans[index]
        if first == stop:
            continue
        if group and first > end + NEAR:
            yield group
            group = []
        end = max(end, stop) if group else stop
        group.append(index)
    if group:
        yield group


def _fill(reader: ObjectReader, wanted: list[tuple[tuple[int, int], list[memoryview]]]) -> None:
    """Read from the first byte of the first span, in ascending order, to the end of all, and keep what is wanted."""
    for chunk in reader.chunks(_hull([span for span, _ in wanted])):
        at, data = chunk.offset, memoryview(chunk.data)
        for (begin, stop), pieces in wanted:
            if begin >= at + len(data):
                break
            piece = data[max(begin - at, 0) : max(stop - at, 0)]
            if piece:
                # copied, or a small range would keep all of its block in memory
                pieces.append(memoryview(bytes(piece)))
        wanted = [each for each in wanted if each[0][1] > at + len(data)]


def _hull(spans: Sequence[tuple[int, int]]) -> ByteRange:
    """Return what lies between the first byte and the end of all spans, which are in ascending order."""
    first, end = spans[0][0], max(stop for _, stop in spans)
    return ByteRange(first, end - first)
