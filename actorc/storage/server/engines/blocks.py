"""An object as blocks with a checksum each, cut into the chunks of a range."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from actorc.storage._checksum import crc32c
from actorc.storage.models import ByteRange, Chunk
from actorc.storage.rules import BLOCK_SIZE


def block_length(size: int, index: int) -> int:
    """Return the bytes in block `index` of an object of `size` bytes."""
    return min(BLOCK_SIZE, size - index * BLOCK_SIZE)


def cut(part: ByteRange, size: int, sums: Sequence[int], load: Callable[[int], bytes]) -> Iterator[Chunk]:
    """Yield the bytes of `part`, one chunk per block it touches; nothing for a range behind the end.

    Args:
        part: The bytes asked for.
        size: Bytes in the object.
        sums: CRC-32C of every block; a whole block leaves with its own as it is.
        load: Returns the bytes of one block, already proven against its checksum.
    """
    first, stop = part.clamp(size)
    for index in range(first // BLOCK_SIZE, -(-stop // BLOCK_SIZE) if first < stop else 0):
        base = index * BLOCK_SIZE
        block = load(index)
        data = block[max(first - base, 0) : stop - base]
        yield Chunk(base + max(first - base, 0), data, sums[index] if len(data) == len(block) else crc32c(data))
