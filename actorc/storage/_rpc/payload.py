"""The bytes of an upload or download: framing, checksums, resuming. Pure: no sockets, no messages, no waiting."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TypeAlias, cast

from actorc.storage._wire.checksum import BlockSums, crc32c
from actorc.storage.errors import IntegrityError, InvalidParameterError
from actorc.storage.models import WHOLE, ByteRange, Chunk, ObjectInfo
from actorc.storage.rules import BLOCK_SIZE, MAX_CHUNK_SIZE

from .byte_source import (
    Buffers,
    ByteSource,
    checked_piece,
    checked_source,
    position,
    read_piece,
    size_of,
    wrapped_errors,
)

Progress: TypeAlias = "Callable[[int, int | None], None]"
"""Called with the bytes done, which never decrease, and the total if it is known."""


class Upload:
    """The bytes of one object or part to upload. For one thread.

    Buffers are not copied: the caller owns them, and must not change them before the upload ends.

    Args:
        source: A buffer, a list or tuple of buffers, or a seekable file, which can be sent again after a broken
            connection, or a stream or an iterable, which is read once.
        read_size: Bytes to read from a file at once; 1 MiB at most, the size of a frame.
        progress: Called as bytes are handed to the network.
        check: Called after the last byte was read and before the commit; raises to prevent it.

    Raises:
        InvalidParameterError: `source` is not a source of bytes.
    """

    def __init__(
        self,
        source: ByteSource,
        read_size: int = MAX_CHUNK_SIZE,
        progress: Progress | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.check = check
        self._source = checked_source(source)
        self._read_size = min(read_size, MAX_CHUNK_SIZE)
        self._progress = progress
        self._reported = 0
        self._start = position(self._source)
        self._started = False
        self.size = size_of(self._source, self._start)
        """Size in bytes, if it is known."""
        # a file that was just written stands at its end, and would be stored as nothing, without a word
        if self._start and self.size == 0:
            raise InvalidParameterError(
                f"the file stands at its end, behind {self._start} bytes, with nothing left to send; call seek(0) first"
            )
        self._sums = BlockSums()

    @property
    def replayable(self) -> bool:
        """Whether `chunks` can be called again."""
        return not self._started or self._start is not None or self.is_buffer

    @property
    def is_buffer(self) -> bool:
        """Whether the source is memory, all of which is there at once."""
        return isinstance(self._source, tuple)

    @property
    def buffers(self) -> Buffers | None:
        """The memory that is the source; None if the source is none."""
        return self._source if isinstance(self._source, tuple) else None

    @property
    def file(self) -> tuple[int, int] | None:
        """The descriptor of the file that is the source, and where its bytes begin; None if the source is none."""
        source = self._source
        raw = source.raw if isinstance(source, io.BufferedReader) else source
        # not a file object of another kind: what it reads may not be what its descriptor has
        if self._start is None or type(raw) is not io.FileIO or not raw.readable():
            return None
        return raw.fileno(), self._start

    @property
    def sent(self) -> int:
        """Bytes that the current attempt has yielded."""
        return self._sums.size

    def checksum(self) -> int:
        """Return the CRC-32C of the bytes that the current attempt has yielded."""
        return self._sums.whole()

    def chunks(self) -> Iterator[Chunk]:
        """Yield the object from its beginning, at most 1 MiB in each chunk; a chunk may be a view of the source.

        Raises:
            SourceFailedError: The source raised.
            IntegrityError: A file changed its size while it was read.
        """
        if self._started and self._start is not None:
            # back to where the caller's file stood: what is before may belong to something else
            self._file.seek(self._start)
        self._started = True
        self._sums = BlockSums()
        for piece in _frames(wrapped_errors(self.pieces())):
            crc = crc32c(piece)
            chunk = Chunk(self._sums.size, piece, crc)
            self._sums.add(piece, crc)
            yield chunk
            self.report(self.sent)
        # before the commit: an exception here leaves nothing stored
        self.check()
        self._check_size()

    @property
    def _file(self) -> IO[bytes]:
        return cast("IO[bytes]", self._source)

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Yield the bytes of the source from its current position; its exceptions are raised unchanged."""
        if isinstance(self._source, tuple):
            yield from self._source
        elif hasattr(self._source, "read"):
            while read := read_piece(self._file, self._read_size):
                yield read
        else:
            for piece in self._source:
                yield checked_piece(piece)

    def _check_size(self) -> None:
        if self.size is not None and self.size != self.sent:
            raise IntegrityError(
                f"the source changed while it was uploaded; it held {self.size} bytes and gave {self.sent}; "
                "nothing was stored"
            )

    def report(self, sent: int) -> None:
        """Report the bytes that the current attempt has sent."""
        # a repeated attempt begins at zero, but the progress shown must not decrease
        if self._progress is not None and sent > self._reported:
            self._reported = sent
            self._progress(sent, self.size)

    def skip(self) -> None:
        """Move the file behind its bytes, which another reader has read."""
        if self._start is not None and self.size is not None:
            self._file.seek(self._start + self.size)


class Download:
    """The state of one download: resumes at the first missing byte, pinned to one generation. For one thread.

    Args:
        part: The range of bytes to read.
        generation: The generation to read; None for the current one.
        block_size: Bytes of the blocks whose checksums are kept.
    """

    def __init__(self, part: ByteRange = WHOLE, generation: int | None = None, *, block_size: int = BLOCK_SIZE) -> None:
        self._part = part
        self._next = part.offset
        self._stop: int | None = None
        self.sums = BlockSums(block_size)
        """The checksums of the bytes accepted so far."""
        self.generation = generation
        """The generation that is read; None until the server described the object."""
        self.info: ObjectInfo | None = None
        """The object; None until the server described it."""
        self.requests = 0
        """Requests that were made for its bytes; each further one because a connection broke."""

    @property
    def received(self) -> int:
        """Bytes accepted so far, over all attempts."""
        return self._next - self._part.offset

    @property
    def size(self) -> int | None:
        """Bytes of the range; None until the server described the object."""
        return None if self._stop is None else max(0, self._stop - self._part.offset)

    def remaining(self) -> ByteRange:
        """Return the range of bytes that are missing."""
        length = self._part.length
        return ByteRange(self._next, None if length is None else length - self.received)

    def describe(self, info: ObjectInfo) -> None:
        """Record the object that the server sends, and pin its generation.

        Raises:
            IntegrityError: A resumed download is of another generation.
        """
        if self.info is not None and self.info.generation != info.generation:
            # bytes of two generations must never be joined into one object
            raise IntegrityError("the server resumed with another generation of the object", info.bucket, info.key)
        self.info, self.generation = info, info.generation
        _, self._stop = self._part.clamp(info.size)

    def feed(self, chunk: Chunk) -> bytes | memoryview:
        """Return the bytes of `chunk`, verified.

        Raises:
            IntegrityError: They do not match their checksum or do not follow what came before; retryable.
        """
        # verified here, before the caller sees a byte; what arrived damaged is asked for again
        if self.info is None or chunk.offset != self._next or crc32c(chunk.data) != chunk.crc32c:
            raise _damaged()
        self._next += len(chunk.data)
        self.sums.add(chunk.data, chunk.crc32c)
        return chunk.data

    def finish(self) -> None:
        """Check that all bytes arrived.

        Raises:
            IntegrityError: Bytes are missing (retryable), or those of the whole object do not match its checksum.
        """
        if self.info is None or self._stop is None or self._next != max(self._stop, self._part.offset):
            raise IntegrityError("the server ended a download early", retryable=True)
        whole = self._part.offset == 0 and self._stop == self.info.size
        if whole and self.sums.whole() != self.info.crc32c:
            raise _unlike(self.info)


def whole_object(chunk: Chunk, info: ObjectInfo) -> bytes:
    """Return the bytes of a chunk that must be all of an object, summed once for both of its checksums.

    The same as a `Download` of it, in a third of the time, which is much of that of a small object.

    Raises:
        IntegrityError: They are damaged or not all (retryable), or do not match the checksum of the object.
    """
    total = crc32c(chunk.data)
    if chunk.offset or len(chunk.data) != info.size or total != chunk.crc32c:
        raise _damaged()
    if total != info.crc32c:
        raise _unlike(info)
    return bytes(chunk.data)


def _damaged() -> IntegrityError:
    return IntegrityError("bytes arrived damaged or out of order; they were not used", retryable=True)


def _unlike(info: ObjectInfo) -> IntegrityError:
    return IntegrityError("the object does not match its checksum", info.bucket, info.key)


def _frames(pieces: Iterable[bytes | memoryview], size: int = MAX_CHUNK_SIZE) -> Iterator[bytes | memoryview]:
    """Split and join pieces to frames of `size` bytes, the last one shorter; whole frames are not copied."""
    short: list[bytes | memoryview] = []
    length = 0
    for piece in pieces:
        if not short and len(piece) == size:
            yield piece
            continue
        view = memoryview(piece)
        while view.nbytes:
            part = view[: size - length]
            view = view[len(part) :]
            if len(part) == size:
                yield part
                continue
            # a bytearray or view may be overwritten by its owner when the next piece is asked for; bytes cannot
            short.append(part if isinstance(piece, bytes) else bytes(part))
            length += len(part)
            if length == size:
                yield b"".join(short)
                short, length = [], 0
    if short:
        yield b"".join(short)
