"""Parquet files of which only ranges are fetched: their footer, checked, and some of their columns."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final, cast

from lucas_storage.errors import DecodeError
from lucas_storage.formats.base import package
from lucas_storage.limits import allowed, check_expansion

from . import decoded_size
from .page_claims import check_pages
from .parquet_footer import BYTE_ARRAY, Chunk, groups_of
from .thrift_compact import read_struct

_TAIL: Final = 64 << 10
"""Bytes at the end of a file that are read first, as pyarrow does; they hold the footer of most files."""
_HEADER: Final = 256
"""Bytes in which the header of a page is sought."""
_DICTIONARY_PAGE: Final = 2
_WIDEST: Final = 12
"""Bytes of a value of the widest type of Parquet that has no length of its own."""


class Ranged:
    """The bytes of a file of which only the end is fetched; a position before it raises IndexError."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file = file
        self._size = size
        self._begin = max(0, size - _TAIL)
        self._tail = self.read(self._begin, _TAIL)
        length = int.from_bytes(self._tail[-8:-4], "little") + 8
        if _TAIL < length <= size:
            self._begin = size - length
            self._tail = self.read(self._begin, length)

    def read(self, begin: int, length: int) -> memoryview:
        """Return bytes from anywhere in the file."""
        self.file.seek(begin)
        return memoryview(self.file.read(length))

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, int):
            if place < self._begin:
                raise IndexError(place)
            return self._tail[place - self._begin]
        start, stop, _ = place.indices(self._size)
        if start < self._begin:
            raise IndexError(start)
        return self._tail[start - self._begin : stop - self._begin]


def opened(file: BinaryIO, size: int) -> memoryview | Ranged:
    """Return the bytes of a file, mapped if they are on the disk, and then closed."""
    try:
        descriptor = file.fileno()
    except OSError:  # they are in memory, or elsewhere
        return Ranged(file, size)
    # Closed, since nobody would close it: a lazy frame has no end.
    with file:
        return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)) if size else memoryview(b"")


def as_input(arrow: Any, stored: memoryview | Ranged) -> Any:
    """Return bytes as pyarrow reads them."""
    return arrow.py_buffer(stored) if isinstance(stored, memoryview) else arrow.PythonFile(stored.file, mode="r")


def checked_footer(stored: memoryview | Ranged) -> decoded_size.ParquetSize:
    """Return the sizes that the footer claims.

    Raises:
        DecodeError: It is no footer, or a damaged one.
    """
    try:
        # Before pyarrow sees it: a damaged footer can end the process.
        return decoded_size.of_parquet(cast("memoryview", stored))
    except (ValueError, IndexError) as error:
        raise _no_table() from error


def check_nested(stored: memoryview | Ranged) -> None:
    """Check the pages of columns of lists in a file that is mapped, of which pyarrow allocates all that they claim.

    Raises:
        DecodeError: They claim more than the footer.
    """
    if not isinstance(stored, memoryview):
        return
    try:
        check_pages(stored, (chunk for group in groups_of(stored) for chunk in group if len(chunk.path) > 1))
    except ValueError as error:
        raise _no_table() from error


def read_columns(parquet: Any, names: Sequence[str], stored: memoryview | Ranged, ratio: int) -> Any:
    """Return columns of a Parquet file, whose decoded size is bounded before they are read, or counted meanwhile."""
    decoded, longest, repeated = _claims(parquet, names, stored)
    check_expansion(decoded, len(stored), ratio)
    if isinstance(stored, memoryview):  # elsewhere, to look at each page would fetch them one by one
        check_pages(stored, (chunk for _, chunk in _chunks(names, stored)))
    most = allowed(len(stored), ratio)
    if repeated <= most:
        return parquet.read(columns=list(names)).select(names)
    # One long text may stand for every row, or for none; the footer does not say, so the size is counted.
    batches, total = [], 0
    for batch in parquet.iter_batches(decoded_size.rows_at_a_time(most, longest), columns=list(names)):
        total += batch.nbytes
        check_expansion(total, len(stored), ratio)
        batches.append(batch.select(names))
    return package("pyarrow", "arrow").Table.from_batches(batches)


def _claims(parquet: Any, names: Sequence[str], stored: memoryview | Ranged) -> tuple[int, int, int]:
    """Return the decoded bytes of columns, of the longest text that rows may share, and of such texts in all rows."""
    decoded = longest = repeated = 0
    for index, chunk in _chunks(names, stored):
        rows = max(chunk.values, chunk.rows)
        width = max(_WIDEST, parquet.schema.column(index).length or 0)
        decoded += max(0, chunk.uncompressed, width * rows)
        if chunk.physical_type == BYTE_ARRAY and chunk.dictionary is not None:
            text = dictionary_size(stored, chunk)
            longest, repeated = max(longest, text), repeated + text * rows
    return decoded, longest, repeated


def _chunks(names: Sequence[str], stored: memoryview | Ranged) -> Iterator[tuple[int, Chunk]]:
    """Yield the chunks of some columns, each with the number of its column."""
    wanted = set(names)
    for group in groups_of(stored):
        for index, chunk in enumerate(group):
            if not wanted.isdisjoint((".".join(chunk.path), chunk.path[0])):
                yield index, chunk


def dictionary_size(stored: memoryview | Ranged, chunk: Chunk) -> int:
    """Return the decoded bytes of a dictionary by the header of its page; those of the column if it is no header."""
    begin = chunk.dictionary or 0
    try:
        head = stored[begin : begin + _HEADER] if isinstance(stored, memoryview) else stored.read(begin, _HEADER)
        header, _ = read_struct(head, 0)
        return max(0, int(header[2])) if header[1] == _DICTIONARY_PAGE else chunk.uncompressed
    except (ValueError, LookupError, TypeError):
        return chunk.uncompressed


def _no_table() -> DecodeError:
    return DecodeError("an artifact of format parquet@1 is not a table that pyarrow reads here")
