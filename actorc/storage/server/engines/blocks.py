"""Objects as segments, segments as blocks with a checksum each, and the chunks of a range."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from actorc.storage._wire.checksum import combine, crc32c
from actorc.storage.models import ByteRange, Chunk
from actorc.storage.rules import BLOCK_SIZE


class ChecksummedBlocks(Protocol):
    """Stored bytes and the checksums of their blocks."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def sums(self) -> Sequence[int]:
        """CRC-32C of every block."""


S = TypeVar("S", bound=ChecksummedBlocks)


def block_length(size: int, index: int) -> int:
    """Return the number of bytes in block `index` of a segment of `size` bytes."""
    return min(BLOCK_SIZE, size - index * BLOCK_SIZE)


def cut(
    part: ByteRange,
    segments: Sequence[S],
    load: Callable[[S, int], bytes],
    load_whole: Callable[[S, int], bytes] | None = None,
) -> Iterator[Chunk]:
    """Yield the bytes of `part`, one chunk per block it touches; nothing for a range behind the end of the object.

    Args:
        part: The range to read.
        segments: The segments of the object, in order; blocks are counted anew in each.
        load: Returns the bytes of one block of a segment, verified against its checksum.
        load_whole: Likewise, of a block that is sent whole, with its checksum; `load` if not given.
    """
    first, stop = part.clamp(sum(segment.size for segment in segments))
    base = 0
    for segment in segments:
        if base >= stop:
            return
        if first < base + segment.size:
            yield from _cut_segment(segment, base, first, stop, load, load_whole or load)
        base += segment.size


def _cut_segment(
    segment: S,
    base: int,
    first: int,
    stop: int,
    load: Callable[[S, int], bytes],
    load_whole: Callable[[S, int], bytes],
) -> Iterator[Chunk]:
    begin, end = max(first - base, 0), min(stop - base, segment.size)
    for index in range(begin // BLOCK_SIZE, -(-end // BLOCK_SIZE) if begin < end else 0):
        at = index * BLOCK_SIZE
        if begin <= at and at + block_length(segment.size, index) <= end:
            # it keeps its stored checksum, so that it is not summed once more for the wire
            yield Chunk(base + at, load_whole(segment, index), segment.sums[index])
            continue
        data = load(segment, index)[max(begin - at, 0) : end - at]
        yield Chunk(base + max(begin, at), data, crc32c(data))


def joined_checksum(parts: Iterable[tuple[int, int]]) -> int:
    """Return the CRC-32C of byte strings joined, given checksum and length of each."""
    total = 0
    for crc, length in parts:
        total = combine(total, crc, length)
    return total
