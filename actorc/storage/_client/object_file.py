"""Objects as file objects: seekable reads by range, and writes that become visible by a clean close only."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator
from typing import IO, TYPE_CHECKING, Any, Final, TypeAlias, cast

from actorc.storage._rpc import result_dicts
from actorc.storage.errors import InvalidParameterError
from actorc.storage.files.seekable_reader import SeekableReader
from actorc.storage.models import ByteRange, PutResult
from actorc.storage.rules import MiB

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from actorc.storage._rpc.files.object_files import ObjectFiles
    from actorc.storage._transfer.stream_upload import StreamUpload

MODES: Final = ("rb", "wb", "r", "w")

_MAX_AHEAD: Final = 8 * MiB

Fetch: TypeAlias = "Callable[[int, int], Generator[bytes, None, None]]"
"""Returns the pieces of a range, given its first byte and its length."""


def check_mode(mode: object) -> str:
    """Return `mode` if it is one that `open_object` supports."""
    if not isinstance(mode, str) or mode not in MODES:
        raise InvalidParameterError(f"mode is one of {', '.join(map(repr, MODES))}, not {mode!r}")
    return mode


def reader(fetch: Fetch, size: int, ahead: int, name: str) -> io.BufferedReader:
    """Return a seekable binary file over the bytes of one generation of an object.

    Args:
        fetch: Reads a range of it.
        size: Size of the object in bytes.
        ahead: Bytes to read at least; doubled, up to 8 MiB, while reading is sequential.
        name: The `name` of the file.
    """
    return io.BufferedReader(_RangeReader(fetch, size, ahead, name), min(ahead, MiB))


def file_reader(files: ObjectFiles, ahead: int, name: str) -> io.BufferedReader:
    """Return a seekable binary file over an object whose files are open here; it closes them with itself."""
    return io.BufferedReader(_FilesReader(files, ahead, name), min(ahead, MiB))


class _RangeReader(SeekableReader):
    """Reads an object by ranges; each request asks for more than is needed at once. For one thread."""

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
        # seeking ends the running request, and with it the growing read-ahead
        if offset != self._piece_at:
            self._drop()
            self._piece_at = offset
        if not self._piece:
            self._piece = memoryview(self._fetched())
        piece, self._piece = self._piece[:size], self._piece[size:]
        self._piece_at += len(piece)
        return piece

    def readall(self) -> bytes:
        # one request for all the rest, since its size is known
        self._drop()
        left = self._size - self._position
        rest = b"".join(self._fetch(self._position, left)) if left > 0 else b""
        self._position += len(rest)
        return rest

    def _fetched(self) -> bytes:
        piece = next(self._pieces, None) if self._pieces is not None else None
        if piece is None:
            self._pieces = self._fetch(self._piece_at, min(self._ahead, self._size - self._piece_at))
            # grows while reading is sequential, so that a scan takes few requests and random reads fetch little
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


class _FilesReader(_RangeReader):
    """Reads an object whose files are open here. For one thread."""

    def __init__(self, files: ObjectFiles, ahead: int, name: str) -> None:
        super().__init__(lambda offset, length: files.pieces(ByteRange(offset, length)), files.info.size, ahead, name)
        self._files = files

    def close(self) -> None:
        self._files.close()
        super().close()


class ObjectWriter(io.BufferedIOBase):
    """A binary file that becomes an object when it is closed. For one thread.

    It does not if the body of its ``with`` raises, if it is garbage-collected unclosed, or after a failed write.

    Args:
        upload: Takes the bytes, each buffer copied by `write`.
        name: The `name` of the file.
    """

    def __init__(self, upload: StreamUpload, name: str) -> None:
        self._upload = upload
        self.name = name
        self.mode = "wb"
        self.result: PutResult | None = None
        """The stored object, once the file is closed."""

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the bytes written so far."""
        return self._upload.written

    def write(self, data: Buffer) -> int:
        """Append a copy of `data`; after a failure the file is closed and nothing is stored."""
        if self.closed:
            raise ValueError("write to a closed file")
        before = self._upload.written
        try:
            self._upload.write(memoryview(data))
        except BaseException:
            # at once: a caller that ignores the error must not publish an object with a gap
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
            # also after a failed `finish`, which leaves an upload on the server
            self.abort()

    def abort(self) -> None:
        """Close the file without publishing anything."""
        if not self.closed:
            super().close()
            self._upload.__exit__(None, None, None)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        # without a call to the server: the collector may run on any thread, also inside gRPC
        if not self.closed:
            super().close()
            self._upload.cancel()


class TextWriter(io.TextIOWrapper):
    """A text file that becomes an object when it is closed, as `ObjectWriter` does."""

    def abort(self) -> None:
        """Close the file without publishing anything."""
        cast("ObjectWriter", self.buffer).abort()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        """Do nothing: the base class would close the file, and so publish the object."""


def as_mode(file: io.BufferedReader | ObjectWriter, mode: str, encoding: str | None, newline: str | None) -> IO[Any]:
    """Return `file`, wrapped for text if `mode` is a text mode."""
    if mode == "r":
        return io.TextIOWrapper(cast("Any", file), encoding or "utf-8", newline=newline)
    if mode == "w":
        return TextWriter(cast("Any", file), encoding or "utf-8", newline=newline)
    return cast("IO[Any]", file)
