"""What callers give as the data of an upload: its kinds, its size, its pieces, and the errors it raises itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

from actorc.storage.buffers import flat_view
from actorc.storage.errors import InvalidParameterError

if TYPE_CHECKING:
    from typing_extensions import Buffer

ByteSource: TypeAlias = "Buffer | IO[bytes] | Iterable[Buffer]"
"""Sources that an upload can read."""
Buffers: TypeAlias = tuple[memoryview, ...]
"""Memory that is there at once, in order; flat views of single bytes."""


class SourceFailedError(Exception):
    """The caller's own source raised `original`; wrapped so that it is not mistaken for a failure of the network."""

    def __init__(self, original: Exception) -> None:
        super().__init__(str(original))
        self.original = original


@contextmanager
def source_errors() -> Iterator[None]:
    """Unwrap `SourceFailedError`: raise the exception of the caller's own source, unchanged."""
    try:
        yield
    except SourceFailedError as failed:
        raise failed.original from failed.original.__cause__


def checked_source(source: ByteSource) -> Buffers | IO[bytes] | Iterable[Buffer]:
    """Return a source as it is read: a buffer, and a list or tuple of buffers, as their memory.

    Raises:
        InvalidParameterError: It is no source of bytes.
    """
    if isinstance(source, str):
        raise InvalidParameterError("data is bytes, not str; encode it first, for example with .encode()")
    # before the others, since most buffers can be iterated over as well, and a map of a file has a `read`
    memory = _memories(source)
    if memory is not None:
        return memory
    # a set has no order, and a mapping would lose its values
    unordered = isinstance(source, (Mapping, AbstractSet))
    if unordered or (not hasattr(source, "read") and not hasattr(source, "__iter__")):
        raise InvalidParameterError(
            f"data is a bytes-like object, an open binary file or an iterable of bytes, not {type(source).__name__}"
        )
    return cast("IO[bytes] | Iterable[Buffer]", source)


def _memories(source: object) -> Buffers | None:
    """Return the memory of a buffer, or of the buffers in a list or tuple; None if `source` is neither."""
    if not isinstance(source, (list, tuple)):
        memory = _memory(source)
        return None if memory is None else (memory,)
    found = []
    for each in source:
        if isinstance(each, str) or (memory := _memory(each)) is None:
            return None
        found.append(memory)
    return tuple(found)


def _memory(source: object) -> memoryview | None:
    """Return the memory of a buffer; None if `source` is none."""
    try:
        return flat_view(source)  # type: ignore[arg-type]
    except TypeError:
        return None


def position(source: object) -> int | None:
    """Return the position of a seekable file, or None for other sources."""
    try:
        return source.tell() if source.seekable() else None  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return None


def size_of(source: Any, start: int | None) -> int | None:
    """Return the bytes from `start` on, a position that `position` gave; None if they are not known."""
    if isinstance(source, tuple):
        return sum(len(memory) for memory in source)
    if start is None:
        return None
    end = source.seek(0, os.SEEK_END)
    # measured by seeking and not by `fstat`: a file object may be in memory, or a view of a larger file
    source.seek(start)
    return max(0, int(end) - start)


def read_piece(file: IO[bytes], size: int) -> bytes:
    """Read at most `size` bytes; none at the end."""
    piece = file.read(size)
    if piece is None:
        raise InvalidParameterError("the stream is non-blocking and had nothing to read; pass a blocking one")
    return bytes(checked_piece(piece))


def checked_piece(piece: object) -> bytes | memoryview:
    """Return what a source gave, which must be bytes or a buffer."""
    if isinstance(piece, bytes):
        return piece
    memory = None if isinstance(piece, str) else _memory(piece)
    if memory is not None:
        return memory
    kind = type(piece).__name__
    raise InvalidParameterError(f"the source gave {kind} where bytes were expected; open files in binary mode")


def wrapped_errors(pieces: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Yield the pieces; wrap exceptions of the source, so that they are not mistaken for failures of the network."""
    try:
        yield from pieces
    except Exception as error:
        raise SourceFailedError(error) from error
