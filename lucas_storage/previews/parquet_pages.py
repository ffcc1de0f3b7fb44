"""A Parquet file whose pages are looked at on their way to pyarrow, before it takes memory for them.

The header of a page claims its size once unpacked and its number of values, whatever the footer says, and pyarrow
allocates both: two gigabytes for a page of a hundred bytes. The headers lie among the bytes that pyarrow reads, so that
looking at them fetches nothing.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, Final

from actorc.storage.units import shown_size
from lucas_storage.errors import LimitError
from lucas_storage.formats.tables.parquet_footer import Chunk
from lucas_storage.formats.tables.parquet_ranges import Ranged
from lucas_storage.formats.tables.thrift_compact import Struct, read_struct

PAGE_MAX: Final = 64 << 20
"""Bytes of a page once it is unpacked; programs make pages of about one MiB."""
NESTED_MAX: Final = 16 << 20
"""Values of a column of lists that are read for a preview; a single row may have them all, and is decoded at once."""
_HEADER_MAX: Final = 1 << 20
"""Bytes of the header of a page, which has statistics."""
_UNPACKED, _PACKED, _DATA, _DATA_V2 = 2, 3, 5, 8
"""Fields of the header of a page."""
_VALUES: Final = 1
"""Field of what it says about data."""


class PageLimitError(LimitError):
    """A page is larger than a preview unpacks."""


class WatchedFile(io.RawIOBase):
    """The bytes of a file as `pyarrow.PythonFile` reads them, up to a page that is too large."""

    def __init__(self, stored: memoryview | Ranged) -> None:
        self._stored = stored
        self._at = 0
        self._pages: list[_Pages] = []

    def watch(self, chunks: Iterable[Chunk]) -> None:
        """Raise `PageLimitError` from now on where the header of a page of these chunks is read that is too large.

        The bytes of each chunk are read in order, those of several by turns.
        """
        self._pages = [_Pages(chunk) for chunk in chunks]

    def read(self, size: int | None = -1) -> bytes:
        """Return bytes from the present position on."""
        end = len(self._stored) if size is None or size < 0 else min(len(self._stored), self._at + size)
        data = self._bytes(self._at, end)
        for pages in self._pages:
            pages.look_at(self._at, data)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to another position, and return it."""
        self._at = offset + (0, self._at, len(self._stored))[whence]
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it has positions."""
        return True

    def _bytes(self, begin: int, end: int) -> bytes:
        stored = self._stored
        found = stored[begin:end] if isinstance(stored, memoryview) else stored.read(begin, end - begin)
        return bytes(found)


class _Pages:
    """The headers of the pages of one chunk, as its bytes pass by in order."""

    def __init__(self, chunk: Chunk) -> None:
        self._next = chunk.begin
        """Where the header of the next page begins."""
        self._end = chunk.begin + max(0, chunk.packed)
        self._is_nested = len(chunk.path) > 1
        self._begun = b""
        """The beginning of that header, from bytes that were read before."""
        self._values = 0

    def look_at(self, at: int, data: bytes) -> None:
        while self._next < self._end and at <= self._next + len(self._begun) < at + len(data):
            header = self._begun + data[self._next + len(self._begun) - at :]
            try:
                page, length = read_struct(memoryview(header), 0)
            except ValueError:
                self._begun = header
                if len(header) > _HEADER_MAX:
                    raise PageLimitError("the header of a page of the table is longer than a preview reads") from None
                return
            self._begun = b""
            self._check(page)
            self._next += length + max(0, _number(page, _PACKED))

    def _check(self, page: Struct) -> None:
        if (unpacked := _number(page, _UNPACKED)) > PAGE_MAX:
            raise PageLimitError(
                f"a preview unpacks pages of {shown_size(PAGE_MAX)} at most, and one claims {shown_size(unpacked)}"
            )
        if self._is_nested:
            self._values += max(0, *(_number(page.get(kind), _VALUES) for kind in (_DATA, _DATA_V2)))
            if self._values > NESTED_MAX:
                raise PageLimitError(
                    f"a preview reads {NESTED_MAX} values of lists at most, and the first rows have more"
                )


def _number(structure: Any, field: int) -> int:
    found = structure.get(field) if isinstance(structure, dict) else None
    return found if isinstance(found, int) else 0
