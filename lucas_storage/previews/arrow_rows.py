"""The first rows of a large Arrow stream, of which only their bytes are read.

A table is often written as one record batch, which pyarrow reads whole. The metadata of the batch tells where each
buffer lies; of those of a flat column, their beginnings are enough. Nested columns and those with a dictionary are left
out.
Format: https://arrow.apache.org/docs/format/Columnar.html, "Encapsulated message format" and "Recordbatch message".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from lucas_storage.formats.base import package
from lucas_storage.formats.tables import flatbuffer

_CONTINUATION: Final = b"\xff\xff\xff\xff"
_METADATA_MAX: Final = 4 << 20
"""Bytes of the metadata of a message: some ten thousand columns."""
_MESSAGES_MAX: Final = 1000
"""Messages before the first batch: the schema, and a dictionary for each column that has one."""
_TEXTS_MAX: Final = 256 << 10
"""Bytes of the texts of a column that are read."""
_SCHEMA, _RECORD_BATCH = 1, 3
"""Kinds of message in ``Message.fbs`` of Arrow."""
_KIND, _HEADER, _BODY_LENGTH = 1, 2, 3
"""Fields of a Message there."""
_LENGTH, _BUFFERS, _COMPRESSION = 0, 2, 3
"""Fields of a RecordBatch."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The first batch of a stream."""

    rows: int
    body: int
    """Where its body begins in the file."""
    buffers: list[tuple[int, int]]
    """Position in the body, and bytes, of each buffer."""


def columns(file: BinaryIO, schema: Any, count: int, most: int) -> list[Any] | None:
    """Return the first columns of a stream, cut to its first rows; None if only the whole batch tells them.

    A column that is left out is None in the list.

    Args:
        file: The stream, seekable.
        schema: Its schema.
        count: Rows.
        most: Columns.

    Raises:
        ValueError: The metadata is damaged.
    """
    try:
        batch = _first_batch(file)
        return None if batch is None else list(_columns(file, schema, batch, max(0, min(count, batch.rows)), most))
    except (struct.error, IndexError) as error:
        raise ValueError("a message of an Arrow stream leads out of it") from error


def _first_batch(file: BinaryIO) -> Batch | None:
    file.seek(0)
    for _ in range(_MESSAGES_MAX):
        prefix = file.read(8)
        (length,) = struct.unpack_from("<i", prefix, 4)
        if prefix[:4] != _CONTINUATION or not 0 < length <= _METADATA_MAX:
            return None
        metadata = memoryview(file.read(length))
        body = file.tell()
        message = flatbuffer.offset(metadata, 0)
        if _byte(metadata, message, _KIND) == _RECORD_BATCH:
            return _batch(metadata, message, body)
        file.seek(body + _number(metadata, message, _BODY_LENGTH))
    return None


def _batch(metadata: memoryview, message: int, body: int) -> Batch | None:
    header = flatbuffer.field(metadata, message, _HEADER)
    batch = flatbuffer.offset(metadata, header) if header is not None else 0
    buffers = flatbuffer.field(metadata, batch, _BUFFERS)
    if buffers is None or flatbuffer.field(metadata, batch, _COMPRESSION) is not None:
        return None
    found = list(flatbuffer.structs(metadata, flatbuffer.offset(metadata, buffers)))
    return Batch(_number(metadata, batch, _LENGTH), body, found)


def _byte(metadata: memoryview, table: int, number: int) -> int:
    place = flatbuffer.field(metadata, table, number)
    return 0 if place is None else metadata[place]


def _number(metadata: memoryview, table: int, number: int) -> int:
    place = flatbuffer.field(metadata, table, number)
    return 0 if place is None else int(struct.unpack_from("<q", metadata, place)[0])


def _columns(file: BinaryIO, schema: Any, batch: Batch, count: int, most: int) -> Iterator[Any]:
    arrow = package("pyarrow", "arrow")
    at = 0
    for field in list(schema)[:most]:
        used = _buffers_of(arrow.types, field.type)
        if used is None:
            return  # of those behind it, the buffers are not known
        yield _column(arrow, file, field.type, batch, batch.buffers[at : at + used], count)
        at += used


def _buffers_of(types: Any, kind: Any) -> int | None:
    """Return the number of buffers that a column of a type has; None if only its data tells."""
    if types.is_null(kind):
        return 0
    if types.is_dictionary(kind):
        return 2
    if _is_text(types, kind):
        return 3
    if kind.num_fields == 0:
        return 2 if _width(kind) else None
    own = 1 if types.is_struct(kind) or types.is_fixed_size_list(kind) else 2
    if not (own == 1 or types.is_list(kind) or types.is_large_list(kind) or types.is_map(kind)):
        return None
    inner = [_buffers_of(types, kind.field(number).type) for number in range(kind.num_fields)]
    return None if None in inner else own + sum(filter(None, inner))


def _is_text(types: Any, kind: Any) -> bool:
    return bool(types.is_string(kind) or types.is_binary(kind)) or _is_large(types, kind)


def _is_large(types: Any, kind: Any) -> bool:
    return bool(types.is_large_string(kind) or types.is_large_binary(kind))


def _width(kind: Any) -> int:
    """Return the bits of a value; 0 if it has no fixed number."""
    try:
        return int(kind.bit_width)
    except ValueError:
        return 0


def _column(arrow: Any, file: BinaryIO, kind: Any, batch: Batch, buffers: list[tuple[int, int]], count: int) -> Any:
    """Return the beginning of a column; None if it is nested or has a dictionary."""
    types = arrow.types
    if types.is_null(kind):
        return arrow.nulls(count)
    if types.is_dictionary(kind) or not (_is_text(types, kind) or (kind.num_fields == 0 and _width(kind))):
        return None
    present = _read(file, batch, buffers[0], (count + 7) // 8)
    if not _is_text(types, kind):
        parts = [_read(file, batch, buffers[1], (count * _width(kind) + 7) // 8)]
    else:
        size, letter = (8, "q") if _is_large(types, kind) else (4, "i")
        offsets = _read(file, batch, buffers[1], (count + 1) * size)
        bounds = struct.unpack(f"<{count + 1}{letter}", offsets)
        if not 0 <= bounds[0] <= bounds[-1] <= _TEXTS_MAX:
            return None
        parts = [offsets, _read(file, batch, buffers[2], bounds[-1])]
    held = [arrow.py_buffer(part) if part else None for part in (present, *parts)]
    column = arrow.Array.from_buffers(kind, count, held)
    # The bytes are a stranger's: bounds, and texts that are no UTF-8, are checked before a value is made.
    column.validate(full=True)
    return column


def _read(file: BinaryIO, batch: Batch, buffer: tuple[int, int], size: int) -> bytes:
    start, length = buffer
    if start < 0:
        raise IndexError(start)
    file.seek(batch.body + start)
    return file.read(min(size, max(0, length)))
