"""Records on the pages of a damaged index, which are read without its trees.

A tree of SQLite whose root is gone leads to nothing, though its other pages are whole. Here each page of the file is
taken for itself, and each of its cells for a record.

The format: https://www.sqlite.org/fileformat2.html, sections 1.3 to 1.6 and 2.1.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

_DATABASE_HEADER: Final = 100
_DEFAULT_PAGE_SIZE: Final = 4096
"""Bytes; assumed where the first page does not say it."""
_TABLE_LEAF: Final = 0x0D
_INDEX_LEAF: Final = 0x0A
_INDEX_INTERIOR: Final = 0x02
_HEADER_SIZES: Final = {_TABLE_LEAF: 8, _INDEX_LEAF: 8, _INDEX_INTERIOR: 12}
"""Bytes of the header of each kind of page that has records, by its first byte."""
_MAX_COLUMNS: Final = 64
_MAX_RECORD: Final = 1 << 24
"""Bytes; more than an index ever writes, so a longer one is damage and not worth to be put together."""
_INTEGER_SIZES: Final = (0, 1, 2, 3, 4, 6, 8)
_FLOAT: Final = 7
_ZERO: Final = 8
_ONE: Final = 9
_FIRST_BLOB: Final = 12

Value = int | float | bytes | None


class Record(NamedTuple):
    """A record as it was found; nothing proves it."""

    rowid: int | None
    """None: it is of a table without row ids, or of an index."""
    values: tuple[Value, ...]
    """Its fields; text as bytes."""


class _Cell(NamedTuple):
    rowid: int | None
    size: int
    at: int


class DatabaseFile:
    """The pages of a database file that SQLite may refuse to read. Its log must have been written into it.

    Args:
        file: The file; it is read whenever records are.

    Attributes:
        knows_free_pages: Whether the list of free pages is whole. If not, records of free pages are among those found,
            of rows that were removed or replaced.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        header = file.read(_DATABASE_HEADER).ljust(_DATABASE_HEADER, b"\0")
        self._page_size = _page_size(header)
        self._count = file.seek(0, os.SEEK_END) // self._page_size
        self._free = self._free_pages(*struct.unpack_from(">II", header, 32))
        self.knows_free_pages = self._free is not None and header.startswith(b"SQLite format 3\0")

    def records(self) -> Iterator[Record]:
        """Yield the records of all pages that are not free, in the order of the file."""
        free = self._free if self.knows_free_pages and self._free else frozenset()
        for number in range(1, self._count + 1):
            if number not in free:
                yield from self._records_on(number)

    def _records_on(self, number: int) -> Iterator[Record]:
        page = self._page(number)
        start = _DATABASE_HEADER if number == 1 else 0
        kind = page[start]
        if kind not in _HEADER_SIZES:
            return
        pointers = start + _HEADER_SIZES[kind]
        (cells,) = struct.unpack_from(">H", page, start + 3)
        if pointers + 2 * cells > self._page_size:
            return
        for (at,) in struct.iter_unpack(">H", page[pointers : pointers + 2 * cells]):
            try:
                yield self._record(page, kind, at)
            except (ValueError, IndexError, struct.error):
                # a damaged cell says nothing about the next one
                continue

    def _record(self, page: memoryview, kind: int, at: int) -> Record:
        cell = _cell(page, kind, at)
        return Record(cell.rowid, _values(self._payload(page, cell, is_table=kind == _TABLE_LEAF)))

    def _payload(self, page: memoryview, cell: _Cell, *, is_table: bool) -> memoryview:
        if cell.size > _MAX_RECORD:
            raise ValueError("the record is too long")
        local = self._local_size(cell.size, is_table=is_table)
        if cell.at + local > self._page_size:
            raise ValueError("the cell ends behind its page")
        if local == cell.size:
            return page[cell.at : cell.at + local]
        payload = bytearray(page[cell.at : cell.at + local])
        (following,) = struct.unpack_from(">I", page, cell.at + local)
        # each page of the chain has some of it, so a chain that is a ring ends as well
        while len(payload) < cell.size:
            more = self._page(following)
            (following,) = struct.unpack_from(">I", more)
            payload += more[4 : min(self._page_size, 4 + cell.size - len(payload))]
        return memoryview(payload)

    def _local_size(self, size: int, *, is_table: bool) -> int:
        """Return the bytes of a record that are on its own page; the rest is on overflow pages."""
        most = self._page_size - 35 if is_table else (self._page_size - 12) * 64 // 255 - 23
        if size <= most:
            return size
        least = (self._page_size - 12) * 32 // 255 - 23
        wanted = least + (size - least) % (self._page_size - 4)
        return wanted if wanted <= most else least

    def _free_pages(self, trunk: int, count: int) -> frozenset[int] | None:
        """Return the numbers of the free pages; None if their list is damaged."""
        free: set[int] = set()
        while trunk:
            if not 1 < trunk <= self._count or trunk in free:
                return None
            page = self._page(trunk)
            following, leaves = struct.unpack_from(">II", page)
            if leaves > self._page_size // 4 - 2:
                return None
            free.add(trunk)
            free.update(struct.unpack_from(f">{leaves}I", page, 8))
            trunk = following
        return frozenset(free) if len(free) == count else None

    def _page(self, number: int) -> memoryview:
        if not 0 < number <= self._count:
            raise ValueError("there is no such page")
        self._file.seek((number - 1) * self._page_size)
        page = self._file.read(self._page_size)
        if len(page) < self._page_size:
            raise ValueError("the file ends within the page")
        return memoryview(page)


def _page_size(header: bytes) -> int:
    (size,) = struct.unpack_from(">H", header, 16)
    size = 65536 if size == 1 else size
    is_possible = header.startswith(b"SQLite format 3\0") and size >= 512 and not size & (size - 1)
    return int(size) if is_possible else _DEFAULT_PAGE_SIZE


def _cell(page: memoryview, kind: int, at: int) -> _Cell:
    if kind == _INDEX_INTERIOR:
        at += 4  # the page to its left
    size, at = _varint(page, at)
    if kind != _TABLE_LEAF:
        return _Cell(None, size, at)
    rowid, at = _varint(page, at)
    return _Cell(rowid - (1 << 64) if rowid >> 63 else rowid, size, at)


def _values(payload: memoryview) -> tuple[Value, ...]:
    header_size, at = _varint(payload, 0)
    kinds: list[int] = []
    while at < header_size and len(kinds) <= _MAX_COLUMNS:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    if at != header_size:
        raise ValueError("the header of the record is damaged")
    values: list[Value] = []
    for kind in kinds:
        size = _size(kind)
        if at + size > len(payload):
            raise ValueError("the record ends within a field")
        values.append(_value(kind, bytes(payload[at : at + size])))
        at += size
    return tuple(values)


def _size(kind: int) -> int:
    if kind >= _FIRST_BLOB:
        return (kind - _FIRST_BLOB) // 2
    if kind in {_ZERO, _ONE}:
        return 0
    return 8 if kind == _FLOAT else _INTEGER_SIZES[kind]


def _value(kind: int, data: bytes) -> Value:
    if kind >= _FIRST_BLOB:
        return data
    if kind in {_ZERO, _ONE}:
        return kind - _ZERO
    if kind == _FLOAT:
        return float(struct.unpack(">d", data)[0])
    return int.from_bytes(data, "big", signed=True) if kind else None


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return a number as SQLite writes it, the highest seven bits first, and the offset behind it."""
    number = 0
    for place in range(at, at + 8):
        byte = data[place]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, place + 1
    return number << 8 | data[at + 8], at + 9
