"""Objects as files that are written: they become visible by a clean close only."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from typing import IO, TYPE_CHECKING, cast

from actorc.storage.buffers import flat_view
from actorc.storage.models import PutResult

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from actorc.storage._transfer.stream_upload import StreamUpload


class ObjectWriter(io.BufferedIOBase):
    """A binary file that becomes an object when it is closed. For one thread.

    It does not if the body of its ``with`` raises, if it is garbage-collected unclosed, or after a failed write.

    What is written is sent while it is written. A program that goes back to change it, as those for HDF5 and TIFF do,
    writes into a temporary file from its first `seek` on, which is sent when this file is closed; but not once a part
    has been sent.

    Args:
        upload: Takes the bytes, each buffer copied by `write`.
        store: Stores the content of a temporary file instead.
        name: The `name` of the file.
        mode: The `mode` of the file.
    """

    def __init__(
        self, upload: StreamUpload, store: Callable[[IO[bytes]], PutResult], name: str, mode: str = "wb"
    ) -> None:
        self._upload = upload
        self._store = store
        self._spool: IO[bytes] | None = None
        self.name = name
        self.mode = mode
        self.result: PutResult | None = None
        """The stored object, once the file is closed."""
        if "+" in mode:
            self._spooled()

    def writable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return whether what was written can be read again."""
        return self._spool is not None

    def seekable(self) -> bool:
        """Return whether what was written can be changed."""
        return self._spool is not None

    def tell(self) -> int:
        """Return the position, at first the bytes written so far."""
        return self._upload.written if self._spool is None else self._spool.tell()

    def write(self, data: Buffer) -> int:
        """Append a copy of `data`; after a failure the file is closed and nothing is stored.

        Raises:
            TypeError: It is no bytes-like object; nothing was written, and the file is as it was.
        """
        if self.closed:
            raise ValueError("write to a closed file")
        if isinstance(data, str):
            raise TypeError("a bytes-like object is required, not 'str'")
        view = flat_view(data)
        try:
            if self._spool is None:
                self._upload.write(view)
            else:
                self._spool.write(view)
        except BaseException:
            # at once: a caller that ignores the error must not publish an object with a gap
            self.abort()
            raise
        return len(view)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, from where on writing replaces what was written, and return it.

        Raises:
            io.UnsupportedOperation: A part of what was written has been sent already. Also for the beginning of a file
                to which nothing was written: that is how `zipfile` finds out whether it has to do without.
        """
        if self._spool is None and (whence, offset) in {(os.SEEK_CUR, 0), (os.SEEK_SET, self.tell())}:
            if whence == os.SEEK_SET and offset == 0:
                raise io.UnsupportedOperation(_SENT)
            return self.tell()
        return self._spooled().seek(offset, whence)

    def truncate(self, size: int | None = None) -> int:
        """Cut what was written, or lengthen it by zeros; return its size."""
        return self._spooled().truncate(size)

    def read(self, size: int | None = -1) -> bytes:
        """Return what was written, from the position on, `size` bytes at most."""
        return self._readable().read(-1 if size is None else size)

    def read1(self, size: int = -1) -> bytes:
        """Do what `read` does."""
        return self.read(size)

    def readinto(self, buffer: Buffer) -> int:
        """Fill `buffer` with what was written, from the position on; return the number of bytes."""
        return cast("io.BufferedRandom", self._readable()).readinto(buffer)

    def _readable(self) -> IO[bytes]:
        if self._spool is None:
            raise io.UnsupportedOperation("a file that is open for writing cannot be read; use mode 'w+b'")
        return self._spooled()

    def _spooled(self) -> IO[bytes]:
        """Return the temporary file, to which what was written before has been moved."""
        if self.closed:
            raise ValueError("the file is closed")
        if self._spool is None:
            unsent = self._upload.take()
            if unsent is None:
                raise io.UnsupportedOperation(_SENT)
            import tempfile  # noqa: PLC0415  # few writers go back, and every client loads this module

            try:
                self._spool = cast("IO[bytes]", tempfile.TemporaryFile())  # noqa: SIM115  # closed by `abort`
                self._spool.write(unsent)
            except BaseException:
                # what was written is nowhere any more, as in `write`
                self.abort()
                raise
        return self._spool

    def close(self) -> None:
        """Publish the object; closing again does nothing."""
        if self.closed:
            return
        try:
            self.result = self._published()
        finally:
            # also after a failed `finish`, which leaves an upload on the server
            self.abort()

    def _published(self) -> PutResult:
        from actorc.storage._rpc import result_dicts  # noqa: PLC0415  # not needed before

        if self._spool is None:
            return result_dicts.put_result(self._upload.finish())
        self._spool.seek(0)
        return self._store(self._spool)

    def abort(self) -> None:
        """Close the file without publishing anything."""
        if not self.closed:
            self._close_without_call()
            self._upload.__exit__(None, None, None)

    def _close_without_call(self) -> None:
        super().close()
        if self._spool is not None:
            # what it has not written yet is not wanted, and must not hide the error for which this file is closed
            with suppress(OSError):
                self._spool.close()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        # without a call to the server: the collector may run on any thread, also inside gRPC
        if not self.closed:
            self._close_without_call()
            self._upload.cancel()


_SENT = "what is written is sent while it is written; use mode 'w+b' to go back in it"


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
