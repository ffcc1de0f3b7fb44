"""Objects as file objects: seekable reads by range, and writes that only a clean close publishes."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Final, TypeAlias, cast

from actorc.storage._rpc import result_dicts
from actorc.storage.errors import InvalidParameterError
from actorc.storage.models import PutResult
from actorc.storage.rules import MiB
from actorc.storage.seekable_reader import SeekableReader

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from actorc.storage._transfer.stream_upload import StreamUpload

MODES: Final = ("rb", "wb", "r", "w")

_MAX_AHEAD: Final = 8 * MiB

Fetch: TypeAlias = "Callable[[int, int], Generator[bytes, None, None]]"
"""Returns the pieces of a range, given its first byte and its length."""


def check_mode(mode: object) -> str:
    """Return `mode` if a file can be opened so."""
    if not isinstance(mode, str) or mode not in MODES:
        raise InvalidParameterError(f"mode is one of {', '.join(map(repr, MODES))}, not {mode!r}")
    return mode


def reader(fetch: Fetch, size: int, ahead: int, name: str) -> io.BufferedReader:
    """Return a seekable binary file over the bytes of one generation of an object.

    Args:
        fetch: Reads a range of it.
        size: Bytes of the object.
        ahead: Bytes to read at least; doubled, up to 8 MiB, while reading goes on without seeking.
        name: What the file says its name is.
    """
    return io.BufferedReader(_RangeReader(fetch, size, ahead, name), min(ahead, MiB))


class _RangeReader(SeekableReader):
    def __init__(self, fetch: Fetch, size: int, ahead: int, name: str) -> None:
        super().__init__(size)
        self._fetch = fetch
        self._least = self._ahead = ahead
        self._pieces: Generator[bytes, None, None] | None = None
        self._piece = memoryview(b"")
        self._piece_at = 0
        self.name = name
        self.mode = "rb"

    def read_at(self, offset: int, size: int) -> memoryview:
        if offset != self._piece_at:
            self._drop()
            self._piece_at = offset
        if not self._piece:
            self._piece = memoryview(self._fetched())
        piece, self._piece = self._piece[:size], self._piece[size:]
        self._piece_at += len(piece)
        return piece

    def readall(self) -> bytes:
        self._drop()
        left = self._size - self._position
        rest = b"".join(self._fetch(self._position, left)) if left > 0 else b""
        self._position += len(rest)
        return rest

    def _fetched(self) -> bytes:
        piece = next(self._pieces, None) if self._pieces is not None else None
        if piece is None:
            self._pieces = self._fetch(self._piece_at, min(self._ahead, self._size - self._piece_at))
            self._ahead = min(2 * self._ahead, max(self._least, _MAX_AHEAD))
            piece = next(self._pieces)
        return piece

    def _drop(self) -> None:
        if self._pieces is not None:
            self._pieces.close()
        self._pieces, self._piece, self._ahead = None, memoryview(b""), self._least

    def close(self) -> None:
        self._drop()
        super().close()


class ObjectWriter(io.BufferedIOBase):
    """A binary file that becomes an object when it is closed.

    Not when the body of its ``with`` raises, not when it is forgotten, and not after a write that failed.

    Args:
        upload: Takes the bytes.
        name: What the file says its name is.
    """

    def __init__(self, upload: StreamUpload, name: str) -> None:
        self._upload = upload
        self.name = name
        self.mode = "wb"
        self.result: PutResult | None = None
        """What was stored, once the file is closed."""

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the bytes written so far."""
        return self._upload.written

    def write(self, data: Buffer) -> int:
        """Append `data`; after a failure the file is closed and nothing will be stored."""
        if self.closed:
            raise ValueError("write to a closed file")
        before = self._upload.written
        try:
            self._upload.write(memoryview(data))
        except BaseException:
            self.abort()
            raise
        return self._upload.written - before

    def close(self) -> None:
        """Publish the object; closing again does nothing."""
        if self.closed:
            return
        try:
            self.result = result_dicts.put_result(self._upload.finish())
        finally:
            self.abort()

    def abort(self) -> None:
        """Close the file without publishing anything."""
        if not self.closed:
            super().close()
            self._upload.__exit__(None, None, None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        if not self.closed:
            super().close()
            self._upload.cancel()


class TextWriter(io.TextIOWrapper):
    """A text file that becomes an object when it is closed, as `ObjectWriter` does."""

    def abort(self) -> None:
        """Close the file without publishing anything."""
        cast("ObjectWriter", self.buffer).abort()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        """Do not do what the base class does: close, and so publish."""


def as_mode(file: io.BufferedReader | ObjectWriter, mode: str, encoding: str | None, newline: str | None) -> IO[Any]:
    """Return `file`, wrapped for text if `mode` asks for it."""
    if mode == "r":
        return io.TextIOWrapper(cast("Any", file), encoding or "utf-8", newline=newline)
    if mode == "w":
        return TextWriter(cast("Any", file), encoding or "utf-8", newline=newline)
    return cast("IO[Any]", file)
