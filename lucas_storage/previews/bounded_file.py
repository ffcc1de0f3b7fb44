"""A file of which a preview reads no more than so many bytes."""

from __future__ import annotations

import io
from typing import BinaryIO, Final, cast

from actorc.storage.units import shown_size
from lucas_storage.errors import LimitError

BYTES_MAX: Final = 64 << 20
"""Bytes that a preview reads at most."""


def bounded(inner: BinaryIO) -> BinaryIO:
    """Return a file that gives no more than `BYTES_MAX` bytes of another one, which it closes; then `LimitError`."""
    return cast("BinaryIO", _Bounded(inner, BYTES_MAX))


class _Bounded(io.RawIOBase):
    def __init__(self, inner: BinaryIO, most: int) -> None:
        self._inner = inner
        self._left = most
        self._most = most

    def read(self, size: int | None = -1) -> bytes:
        # One byte more than is left tells whether there were more.
        wanted = self._left + 1 if size is None or size < 0 else min(size, self._left + 1)
        data = self._inner.read(wanted)
        self._left -= len(data)
        if self._left < 0:
            raise LimitError(f"a preview reads {shown_size(self._most)} at most, and its beginning takes more")
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        return self._inner.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._inner.close()
        super().close()
