"""Bytes on their way: cutting, checking, resuming. Pure: no sockets, no messages, no waiting."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any, TypeAlias, cast

from actorc.storage._wire.checksum import BlockSums, crc32c
from actorc.storage.errors import IntegrityError, InvalidParameterError
from actorc.storage.models import WHOLE, ByteRange, Chunk, ObjectInfo
from actorc.storage.rules import MAX_CHUNK_SIZE

Progress: TypeAlias = "Callable[[int, int | None], None]"
"""Called with bytes done, which only grow, and the total if it is known."""

ByteSource: TypeAlias = "bytes | bytearray | memoryview | IO[bytes] | Iterable[bytes | memoryview]"
"""What an upload can be read from."""


class SourceFailedError(Exception):
    """The caller's own source raised; `original` is what it raised."""

    def __init__(self, original: Exception) -> None:
        super().__init__(str(original))
        self.original = original


@contextmanager
def source_errors() -> Iterator[None]:
    """Raise what the caller's own source raised inside, as it was."""
    try:
        yield
    except SourceFailedError as failed:
        raise failed.original from failed.original.__cause__


class Upload:
    """One object on its way to the server.

    Args:
        source: Where the bytes come from. A buffer or a seekable file can be sent again after a broken connection;
            anything else is read once.
        read_size: Bytes asked of a file at once; 1 MiB at most, the size of a frame.
        progress: Told of bytes handed to the network.
        check: Called when everything was read and nothing is stored yet; raises if it must not be.

    Raises:
        InvalidParameterError: `source` is nothing bytes can be read from.
    """

    def __init__(
        self,
        source: ByteSource,
        read_size: int = MAX_CHUNK_SIZE,
        progress: Progress | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._check = check
        self._source = _checked_source(source)
        self._read_size = min(read_size, MAX_CHUNK_SIZE)
        self._progress = progress
        self._reported = 0
        self._start = _position(self._source)
        self._started = False
        self.size = _size(self._source, self._start)
        """Bytes to come, if that is known."""
        self._sums = BlockSums()

    @property
    def replayable(self) -> bool:
        """Whether `chunks` can be called again."""
        return not self._started or self._start is not None or isinstance(self._source, memoryview)

    @property
    def sent(self) -> int:
        """Bytes the present attempt has yielded."""
        return self._sums.size

    def checksum(self) -> int:
        """Return the CRC-32C of everything the present attempt has yielded."""
        return self._sums.whole()

    def chunks(self) -> Iterator[Chunk]:
        """Yield the object from its beginning, at most 1 MiB in each chunk.

        Raises:
            SourceFailedError: The source raised.
            IntegrityError: A file changed its size while it was read.
        """
        if self._started and self._start is not None:
            self._file.seek(self._start)
        self._started = True
        self._sums = BlockSums()
        for piece in _frames(_told_apart(self.pieces())):
            crc = crc32c(piece)
            chunk = Chunk(self._sums.size, piece, crc)
            self._sums.add(piece, crc)
            yield chunk
            self._report()
        self._check()
        self._check_size()

    @property
    def _file(self) -> IO[bytes]:
        return cast("IO[bytes]", self._source)

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Yield what the source gives from where it stands; what it raises is raised unchanged."""
        if isinstance(self._source, memoryview):
            yield self._source
        elif hasattr(self._source, "read"):
            while read := _read(self._file, self._read_size):
                yield read
        else:
            for piece in self._source:
                yield _checked_piece(piece)

    def _check_size(self) -> None:
        if self.size is not None and self.size != self.sent:
            raise IntegrityError(
                f"the source changed while it was uploaded; it held {self.size} bytes and gave {self.sent}; "
                "nothing was stored"
            )

    def _report(self) -> None:
        if self._progress is not None and self.sent > self._reported:
            self._reported = self.sent
            self._progress(self.sent, self.size)


class Download:
    """One object, or a part of it, on its way from the server; resumes where it broke, pinned to one generation.

    Args:
        part: The bytes wanted.
        generation: The generation wanted; None takes the present one.
    """

    def __init__(self, part: ByteRange = WHOLE, generation: int | None = None) -> None:
        self._part = part
        self._next = part.offset
        self._stop: int | None = None
        self._sums = BlockSums()
        self.generation = generation
        """The generation being read; known once the server described it."""
        self.info: ObjectInfo | None = None
        """The object, once the server described it."""

    @property
    def received(self) -> int:
        """Bytes accepted so far, over all attempts."""
        return self._next - self._part.offset

    def remaining(self) -> ByteRange:
        """Return what to ask for next."""
        length = self._part.length
        return ByteRange(self._next, None if length is None else length - self.received)

    def describe(self, info: ObjectInfo) -> None:
        """Take note of the object the server is sending; pins its generation."""
        if self.info is not None and self.info.generation != info.generation:
            raise IntegrityError("the server resumed with another generation of the object", info.bucket, info.key)
        self.info, self.generation = info, info.generation
        _, self._stop = self._part.clamp(info.size)

    def feed(self, chunk: Chunk) -> bytes | memoryview:
        """Return the bytes of `chunk` once they are proven.

        Raises:
            IntegrityError: They do not match their checksum or do not follow what came before; retryable.
        """
        if self.info is None or chunk.offset != self._next or crc32c(chunk.data) != chunk.crc32c:
            raise IntegrityError("bytes arrived damaged or out of order; they were not used", retryable=True)
        self._next += len(chunk.data)
        self._sums.add(chunk.data, chunk.crc32c)
        return chunk.data

    def finish(self) -> None:
        """Check that everything came.

        Raises:
            IntegrityError: Bytes are missing (retryable), or those of the whole object do not match its checksum.
        """
        if self.info is None or self._stop is None or self._next != max(self._stop, self._part.offset):
            raise IntegrityError("the server ended a download early", retryable=True)
        whole = self._part.offset == 0 and self._stop == self.info.size
        if whole and self._sums.whole() != self.info.crc32c:
            raise IntegrityError("the object does not match its checksum", self.info.bucket, self.info.key)


def _checked_source(source: ByteSource) -> memoryview | IO[bytes] | Iterable[bytes | memoryview]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _flat(source)
    if isinstance(source, str):
        raise InvalidParameterError("data is bytes, not str; encode it first, for example with .encode()")
    if not hasattr(source, "read") and not hasattr(source, "__iter__"):
        raise InvalidParameterError(
            f"data is bytes, an open binary file or an iterable of bytes, not {type(source).__name__}"
        )
    return source


def _flat(buffer: bytes | bytearray | memoryview) -> memoryview:
    view = memoryview(buffer)
    if not view.c_contiguous:
        raise InvalidParameterError("the buffer is not contiguous; pass bytes(buffer)")
    return view.cast("B") if view.nbytes else memoryview(b"")


def _position(source: object) -> int | None:
    """Return where a seekable file stands, None for everything else."""
    try:
        return source.tell() if source.seekable() else None  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return None


def _size(source: Any, start: int | None) -> int | None:
    if isinstance(source, memoryview):
        return source.nbytes
    if start is None:
        return None
    end = source.seek(0, os.SEEK_END)
    source.seek(start)
    return max(0, int(end) - start)


def _read(file: IO[bytes], size: int) -> bytes:
    piece = file.read(size)
    if piece is None:
        raise InvalidParameterError("the stream is non-blocking and had nothing to read; pass a blocking one")
    return bytes(_checked_piece(piece))


def _checked_piece(piece: object) -> bytes | memoryview:
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, (bytearray, memoryview)):
        return _flat(piece)
    kind = type(piece).__name__
    raise InvalidParameterError(f"the source gave {kind} where bytes were expected; open files in binary mode")


def _told_apart(pieces: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Mark what the source raises, so that nothing mistakes it for a failure of the network."""
    try:
        yield from pieces
    except Exception as error:
        raise SourceFailedError(error) from error


def _frames(pieces: Iterable[bytes | memoryview], size: int = MAX_CHUNK_SIZE) -> Iterator[bytes | memoryview]:
    """Cut and join pieces to frames of `size` bytes, the last one shorter; whole frames are not copied."""
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
            short.append(part if isinstance(piece, bytes) else bytes(part))
            length += len(part)
            if length == size:
                yield b"".join(short)
                short, length = [], 0
    if short:
        yield b"".join(short)
