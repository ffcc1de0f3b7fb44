"""The part of FlatBuffers that the metadata of Arrow messages needs.

A table begins with the distance back to its list of fields, which holds for each field the distance from the table, or
0. A vector begins with its length. An offset counts from its own position. Positions that lead out of the data raise
`struct.error` or IndexError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator


def offset(data: memoryview, at: int) -> int:
    """Return the position that the offset at a position leads to."""
    (distance,) = struct.unpack_from("<I", data, at)
    return at + int(distance)


def field(data: memoryview, table: int, number: int) -> int | None:
    """Return the position of a field of a table; None if it is not there."""
    (back,) = struct.unpack_from("<i", data, table)
    fields = table - int(back)
    if fields < 0:
        raise IndexError(fields)
    (length,) = struct.unpack_from("<H", data, fields)
    place = 4 + 2 * number
    if place + 2 > length:
        return None
    (distance,) = struct.unpack_from("<H", data, fields + place)
    return table + int(distance) if distance else None


def structs(data: memoryview, vector: int) -> Iterator[tuple[int, int]]:
    """Yield the items of a vector of structs of two numbers of 64 bits."""
    (count,) = struct.unpack_from("<I", data, vector)
    for index in range(count):
        yield struct.unpack_from("<qq", data, vector + 4 + 16 * index)
