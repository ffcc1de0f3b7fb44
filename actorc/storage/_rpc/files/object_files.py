"""An object whose files are open in this process: reading, mapping and copying it without a connection."""

from __future__ import annotations

import mmap
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from actorc.storage._wire.checksum import combine, crc32c
from actorc.storage.errors import DamagedMessageError, IntegrityError
from actorc.storage.files import file_copies
from actorc.storage.models import ByteRange, ObjectInfo
from actorc.storage.rules import BLOCK_SIZE

_ATTEMPTS: Final = 2
"""Times that a block is read before it is called damaged; an error on the way from the disk may not come again."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive bytes of an object: those that a file begins with, or `data`."""

    size: int
    """Bytes."""
    sums: Sequence[int]
    """CRC-32C of every block."""
    descriptor: int = -1
    """The file; -1: there is none."""
    is_unchanged: bool = False
    """Whether the server says that nothing has written to the file since it was stored or verified."""
    data: bytes = b""

    def fill(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset`, unverified; return the number of bytes.

        They are fewer only if the file ends before, or its disk cannot read them.
        """
        if self.descriptor >= 0:
            try:
                return file_copies.read_into(self.descriptor, buffer, offset)
            except OSError:
                return 0
        data = self.data[offset : offset + len(buffer)]
        buffer[: len(data)] = data
        return len(data)

    def block(self, index: int) -> tuple[int, int]:
        """Return the position of a block, and its length."""
        begin = index * BLOCK_SIZE
        return begin, min(BLOCK_SIZE, self.size - begin)


class ObjectFiles:
    """One generation of an object, open. A context manager that closes it. For one thread at a time.

    Deleting or replacing the object does not disturb it.

    Args:
        info: The generation.
        segments: Its bytes in order; their descriptors belong to this object from now on.

    Raises:
        DamagedMessageError: They are not those of the object.
    """

    def __init__(self, info: ObjectInfo, segments: Sequence[Segment]) -> None:
        self.info = info
        self._segments = segments
        if sum(segment.size for segment in segments) != info.size or not all(map(_is_complete, segments)):
            raise DamagedMessageError("the files of the object do not have its size")

    def read(self, part: ByteRange) -> bytes:
        """Return the bytes of a range, verified.

        Raises:
            IntegrityError: A block of it is damaged.
        """
        first, stop = part.clamp(self.info.size)
        from .new_bytes import filled  # noqa: PLC0415  # loads `ctypes`, which only large objects need

        return filled(stop - first, lambda buffer: self.read_into(buffer, first))

    def pieces(self, part: ByteRange) -> Generator[bytes, None, None]:
        """Yield the bytes of a range, verified, in pieces of at most one block."""
        first, stop = part.clamp(self.info.size)
        while first < stop:
            # up to the end of the block, so that none is verified twice
            end = min(stop, first + BLOCK_SIZE - first % BLOCK_SIZE)
            yield self.read(ByteRange(first, end - first))
            first = end

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset`, verified; return its size.

        Raises:
            IntegrityError: A block of it is damaged.
        """
        size = len(buffer)
        if size == self.info.size:
            self._check_sums()
        for segment, first, last in self._within(offset, len(buffer)):
            self._read_segment(segment, buffer[: last - first], first)
            buffer = buffer[last - first :]
        return size

    def view(self, part: ByteRange) -> memoryview:
        """Return the bytes of a range as read-only memory: a map of the file, or a copy of several files.

        A map comes at once if the server says that the file is unchanged, else once all of it is verified.

        Raises:
            IntegrityError: A block is damaged.
        """
        files = [segment for segment in self._segments if segment.size]
        if len(files) != 1 or files[0].descriptor < 0:
            return memoryview(self.read(part))
        self._check_length(files[0])
        mapped = memoryview(mmap.mmap(files[0].descriptor, files[0].size, access=mmap.ACCESS_READ))
        if not files[0].is_unchanged:
            self._check_sums()
            self._verify(files[0], mapped)
        first, stop = part.clamp(self.info.size)
        return mapped[first:stop]

    def copy(self, target: int, offset: int, length: int) -> int:
        """Copy bytes to the same place in another file, and return the CRC-32C of the copy, for the caller to verify.

        Args:
            target: Descriptor of the file.
            offset: Position of the first byte, in the object and in the file.
            length: Number of bytes.

        Raises:
            IntegrityError: A file ends before.
        """
        crc, is_cloned = 0, self._clone(target, offset, length)
        buffer = memoryview(bytearray(min(length, BLOCK_SIZE)))
        for start in range(offset, offset + length, BLOCK_SIZE):
            piece = buffer[: offset + length - start]
            if is_cloned:
                piece = piece[: file_copies.read_into(target, piece, start)]
            else:
                self._fill(piece, start)
                file_copies.write(target, piece, start)
            crc = crc32c(piece, crc)
        return crc

    def take_only_file(self) -> tuple[int, int] | None:
        """Return the descriptor of the one file that has all bytes, now the caller's, and their number.

        None if they are in several files, or in none.
        """
        files = [segment for segment in self._segments if segment.size]
        if len(files) != 1 or files[0].descriptor < 0:
            return None
        self._segments = [segment for segment in self._segments if segment is not files[0]]
        return files[0].descriptor, files[0].size

    def close(self) -> None:
        """Close the files; views stay valid."""
        segments, self._segments = self._segments, ()
        for segment in segments:
            if segment.descriptor >= 0:
                os.close(segment.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _within(self, offset: int, length: int) -> Iterator[tuple[Segment, int, int]]:
        """Yield the segments that a range of the object touches, each with the range in it."""
        base = 0
        for segment in self._segments:
            first, last = max(offset, base), min(offset + length, base + segment.size)
            if first < last:
                yield segment, first - base, last - base
            base += segment.size

    def _fill(self, buffer: memoryview, offset: int) -> None:
        for segment, first, last in self._within(offset, len(buffer)):
            if segment.fill(buffer[: last - first], first) < last - first:
                raise self._damaged(segment, first // BLOCK_SIZE)
            buffer = buffer[last - first :]

    def _clone(self, target: int, offset: int, length: int) -> bool:
        (segment, first, last), *others = self._within(offset, length)
        if others or segment.descriptor < 0:
            return False
        return file_copies.clone(segment.descriptor, first, target, offset, last - first)

    def _check_sums(self) -> None:
        """Check that the checksums of all blocks are those of the object."""
        whole = 0
        for segment in self._segments:
            for index, crc in enumerate(segment.sums):
                whole = combine(whole, crc, segment.block(index)[1])
        if whole != self.info.crc32c:
            raise IntegrityError("the object does not match its checksum", self.info.bucket, self.info.key)

    def _read_segment(self, segment: Segment, buffer: memoryview, offset: int) -> None:
        stop = offset + len(buffer)
        for index in range(offset // BLOCK_SIZE, -(-stop // BLOCK_SIZE)):
            begin, length = segment.block(index)
            first, last = max(begin, offset), min(begin + length, stop)
            part = buffer[first - offset : last - offset]
            if len(part) == length:
                self._read_block(segment, index, part)
                continue
            # a checksum is that of a whole block
            block = memoryview(bytearray(length))
            self._read_block(segment, index, block)
            part[:] = block[first - begin : last - begin]

    def _read_block(self, segment: Segment, index: int, buffer: memoryview) -> None:
        for _ in range(_ATTEMPTS):
            read = segment.fill(buffer, segment.block(index)[0])
            if read == len(buffer) and crc32c(buffer) == segment.sums[index]:
                return
        raise self._damaged(segment, index)

    def _verify(self, segment: Segment, mapped: memoryview) -> None:
        for index, crc in enumerate(segment.sums):
            begin, length = segment.block(index)
            if crc32c(mapped[begin : begin + length]) != crc:
                raise self._damaged(segment, index)

    def _check_length(self, segment: Segment) -> None:
        # a map behind the end of a file ends the process when it is read
        if os.fstat(segment.descriptor).st_size < segment.size:
            raise self._damaged(segment, len(segment.sums) - 1)

    def _damaged(self, segment: Segment, index: int) -> IntegrityError:
        before = sum(len(other.sums) for other in self._segments[: self._segments.index(segment)])
        return IntegrityError(
            f"block {before + index} of the object is damaged on the disk of the server; write the object again",
            self.info.bucket,
            self.info.key,
        )


def _is_complete(segment: Segment) -> bool:
    has_bytes = segment.descriptor >= 0 or len(segment.data) == segment.size
    return has_bytes and len(segment.sums) == -(-segment.size // BLOCK_SIZE)
