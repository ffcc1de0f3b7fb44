"""The chunks of columns in a Parquet file, by its footer.

By our own reader: pyarrow ends the process where it is asked for a chunk whose statistics do not fit together.
Format: https://github.com/apache/parquet-format, ``FileMetaData`` in ``parquet.thrift``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from .thrift_compact import Struct, read_struct

_GROUPS, _CHUNKS, _ROWS, _ABOUT = 4, 1, 3, 3
"""Fields of the footer, of a row group (two), and of a chunk."""
_TYPE, _PATH, _VALUES, _UNCOMPRESSED, _PACKED, _DATA, _DICTIONARY, _STATISTICS = 1, 3, 5, 6, 7, 9, 11, 12
"""Fields of what is said about a chunk."""
BYTE_ARRAY: Final = 6
"""The physical type of texts and other bytes of any length; the one after it has a length of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The values of one column in one row group, as the footer claims them."""

    path: tuple[str, ...]
    """The name of the column; of a nested one, those of its parts."""
    physical_type: int
    values: int
    rows: int
    """Of the row group."""
    uncompressed: int
    """Bytes once they are unpacked."""
    packed: int
    """Bytes in the file."""
    data: int
    """Where its first page of data begins."""
    dictionary: int | None
    """Where the page of its dictionary begins; None if it has none."""
    statistics: Struct

    @property
    def begin(self) -> int:
        """Where its first page begins, as pyarrow reads it."""
        return self.dictionary if self.dictionary and 0 < self.dictionary < self.data else self.data


def groups_of(stored: Any) -> list[list[Chunk]]:
    """Return the chunks of each row group.

    Args:
        stored: The file, or its end, as bytes that can be sliced.

    Raises:
        ValueError: The footer is damaged.
    """
    length = int.from_bytes(stored[-8:-4], "little")
    try:
        footer, _ = read_struct(stored[len(stored) - 8 - length :], 0)
        return groups_in(footer)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError("the footer lacks something") from error


def groups_in(footer: Struct) -> list[list[Chunk]]:
    """Return the chunks of each row group in a footer.

    Raises:
        LookupError, TypeError, AttributeError, ValueError: The footer is damaged.
    """
    return [[_chunk(chunk[_ABOUT], group[_ROWS]) for chunk in group[_CHUNKS]] for group in footer[_GROUPS]]


def _chunk(about: Struct, rows: int) -> Chunk:
    found = Chunk(
        path=tuple(bytes(name).decode() for name in about[_PATH]),
        physical_type=about[_TYPE],
        values=about[_VALUES],
        rows=rows,
        uncompressed=about[_UNCOMPRESSED],
        packed=about[_PACKED],
        data=about[_DATA],
        dictionary=about.get(_DICTIONARY),
        statistics=about.get(_STATISTICS) or {},
    )
    numbers = (found.physical_type, found.values, found.rows, found.uncompressed, found.packed, found.data)
    if any(type(number) is not int for number in numbers) or type(found.dictionary) not in {int, type(None)}:
        raise TypeError("a number is none")
    return found
