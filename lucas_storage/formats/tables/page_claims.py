"""What the pages of a Parquet file claim, compared with its footer before anything is decoded.

pyarrow allocates what the header of a page claims, its size once unpacked and its number of values, whatever the footer
says: two gigabytes for a page of a hundred bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from actorc.storage.units import shown_size
from lucas_storage.errors import DecodeError

from .parquet_footer import Chunk
from .thrift_compact import Struct, read_struct

PAGE: Final = 64 << 20
"""Bytes of an unpacked page that may always be claimed, since not every program counts the bytes of a column alike;
programs make pages of about one MiB."""
_UNPACKED, _PACKED, _DICTIONARY = 2, 3, 7
"""Fields of the header of a page."""
_DATA: Final = (5, 8)
"""Fields of both versions of pages of data."""
_VALUES: Final = 1
"""Field of what is said about data, and about a dictionary."""
_FIXED: Final = 7
"""The physical type of values that may have one byte; those of a dictionary of any other type have four at least."""


def check_pages(stored: memoryview, chunks: Iterable[Chunk]) -> None:
    """Check that the pages of some chunks take no more memory than the footer says.

    Raises:
        DecodeError: One claims more; names the column.
        ValueError: What should be the header of a page is none.
    """
    for chunk in chunks:
        if chunk.rows <= 0:  # nothing of it is read
            continue
        try:
            _check(stored, chunk)
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError("the header of a page lacks something") from error


def _check(stored: memoryview, chunk: Chunk) -> None:
    at, values, most = chunk.begin, 0, max(chunk.uncompressed, PAGE)
    end = at + chunk.packed
    while at < end:
        page, at = read_struct(stored, at)
        unpacked, packed = page[_UNPACKED], page[_PACKED]
        if packed < 0:  # or its end would be before it
            raise ValueError("a page has less than no bytes")
        if unpacked > most:
            raise _claims(chunk, shown_size(unpacked), shown_size(chunk.uncompressed))
        entries = _values(page, _DICTIONARY)
        if entries * (1 if chunk.physical_type == _FIXED else 4) > unpacked:
            raise _claims(chunk, f"a dictionary of {entries} values", f"{shown_size(unpacked)} for it")
        # Of other columns pyarrow allocates no more values than the footer has rows.
        values += max(_values(page, kind) for kind in _DATA)
        if len(chunk.path) > 1 and values > chunk.values:
            raise _claims(chunk, f"{values} values", f"{chunk.values} values")
        at += packed


def _values(page: Struct, kind: int) -> int:
    about: Any = page.get(kind)
    return about[_VALUES] if about else 0


def _claims(chunk: Chunk, claimed: str, told: str) -> DecodeError:
    return DecodeError(
        f"a page of the column {'.'.join(chunk.path)!r:.100} claims {claimed}, and the footer {told}; the table is "
        "damaged, or made to fill the memory, and is not read; write it again"
    )
