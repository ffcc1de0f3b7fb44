"""CRC-32C of byte strings, of blocks, and of whole objects.

The checksum of an object is combined from those of its blocks, so every byte is summed once, and a block's checksum
goes from the wire to the disk and back unchanged.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from fastcrc.crc32 import iscsi

from actorc.storage.rules import BLOCK_SIZE

if TYPE_CHECKING:
    from typing_extensions import Buffer

_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), reflected; RFC 3720, appendix B.4


class _Checksum(Protocol):
    def __call__(self, data: Buffer, start: int = 0, /) -> int: ...


crc32c: Final[_Checksum] = iscsi
"""Return the CRC-32C of `data`, continuing from `start`.

A buffer is read in place; from 16 KiB on, other threads run meanwhile, and must not change it. The function of the
library itself, since a call sums some dozens of short texts.
"""


def combine(first: int, second: int, second_length: int) -> int:
    """Return the CRC-32C of two byte strings joined, given that of each and the length of the second.

    The method is zlib's ``crc32_combine``: appending zero bytes is linear over GF(2), so it is a matrix.
    """
    if not first or not second_length:
        return first ^ second
    return _apply(_zeros(second_length), first) ^ second


class BlockSums:
    """The CRC-32C of every block of a byte stream, and of the whole. For one thread; keeps no reference to the data.

    Args:
        block_size: Bytes in every block but the last.
    """

    def __init__(self, block_size: int = BLOCK_SIZE) -> None:
        self._block_size = block_size
        self._done: list[int] = []
        self._open = 0
        self._filled = 0
        self.size = 0
        """Bytes added so far."""

    def add(self, data: bytes | memoryview, crc: int) -> None:
        """Append `data`, whose checksum is `crc`; the data is read before the call returns, and not kept."""
        view = memoryview(data)
        self.size += len(view)
        # the common case, a frame within one block: its checksum was made on the wire, so no byte is summed again
        if self._filled + len(view) <= self._block_size:
            self._extend(len(view), crc)
            return
        while view:
            piece = view[: self._block_size - self._filled]
            self._extend(len(piece), crc32c(piece))
            view = view[len(piece) :]

    def _extend(self, length: int, crc: int) -> None:
        self._open = combine(self._open, crc, length) if self._filled else crc
        self._filled += length
        if self._filled == self._block_size:
            self._done.append(self._open)
            self._open = self._filled = 0

    def blocks(self) -> list[int]:
        """Return the checksum of every block, the unfinished last one included."""
        return [*self._done, self._open] if self._filled else list(self._done)

    def block(self, index: int) -> int:
        """Return the checksum of one block; it may be the unfinished last one."""
        return self._done[index] if index < len(self._done) else self._open

    def whole(self) -> int:
        """Return the checksum of everything added."""
        total = 0
        for crc in self._done:
            total = combine(total, crc, self._block_size)
        return combine(total, self._open, self._filled)


_Matrix = tuple[int, ...]


def _apply(matrix: _Matrix, vector: int) -> int:
    total = 0
    for row in matrix:
        if vector & 1:
            total ^= row
        vector >>= 1
        if not vector:
            break
    return total


def _square(matrix: _Matrix) -> _Matrix:
    return tuple(_apply(matrix, row) for row in matrix)


@lru_cache(maxsize=64)
def _power_of_two_zeros(exponent: int) -> _Matrix:
    """Return the matrix that appends ``2 ** exponent`` zero bits."""
    if exponent == 0:
        return (_POLYNOMIAL, *(1 << bit for bit in range(31)))
    return _square(_power_of_two_zeros(exponent - 1))


@lru_cache(maxsize=1024)
def _zeros(length: int) -> _Matrix:
    """Return the matrix that appends `length` zero bytes."""
    matrix: _Matrix = tuple(1 << bit for bit in range(32))
    bits, exponent = length, 3
    while bits:
        if bits & 1:
            step = _power_of_two_zeros(exponent)
            matrix = tuple(_apply(step, row) for row in matrix)
        bits >>= 1
        exponent += 1
    return matrix
