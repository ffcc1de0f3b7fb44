"""Size of a table in memory, computed from the metadata of its file before anything is decoded.

A file of a thousand bytes can describe a hundred gigabytes: by codecs, by runs of one value, by one long text that
every row repeats. Where a file does not tell the size of its rows, they are decoded few at a time.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from . import flatbuffer
from .parquet_footer import BYTE_ARRAY, Chunk, groups_in
from .thrift_compact import Struct, read_struct

_WIDTHS: Final = (1, 4, 8, 12, 4, 8, 4)
"""Bytes of one decoded value by physical type of Parquet; of a text, those of its offset."""
_POINTER: Final = 8
"""Bytes for each row of a column without values, as pandas holds it."""
_BATCH: Final = 1 << 16
"""Rows decoded at a time where a column may repeat a long text."""
_STEP: Final = 8
"""Batches that it takes at least to fill the allowed memory, so that the limit is exceeded by one batch at most."""
_RECORD_BATCH, _DICTIONARY = 3, 2
"""Kinds of message in ``Message.fbs`` of Arrow."""
_HEADER_TYPE, _HEADER = 1, 2
"""Fields of a Message there."""
_BUFFERS, _COMPRESSION = 2, 3
"""Fields of a RecordBatch."""
_DATA: Final = 1
"""Field of a DictionaryBatch that holds a RecordBatch."""


@dataclass(frozen=True, slots=True)
class SharedText:
    """One part of a column of texts that its rows may share."""

    column: int
    """Number of the column, nested ones counted."""
    longest: int
    """Bytes of the longest text at most."""
    repeated: int
    """Bytes of the texts if every row has the longest one."""


@dataclass(frozen=True, slots=True)
class ParquetSize:
    """Sizes of the columns of a Parquet file, by its footer."""

    decoded: int
    """Bytes of all columns when decoded, except texts that many rows share."""
    texts: tuple[SharedText, ...]
    """Of columns whose rows may share a text."""
    groups: list[list[Chunk]]
    """The chunks of each row group."""


def of_parquet(data: memoryview) -> ParquetSize:
    """Return the decoded size of a Parquet file.

    Raises:
        ValueError: It is no Parquet file.
    """
    length = int.from_bytes(data[-8:-4], "little")
    if bytes(data[-4:]) != b"PAR1" or length > len(data) - 8:
        raise ValueError("the footer is missing")
    try:
        footer, _ = read_struct(data[len(data) - 8 - length :], 0)
        return _of_footer(footer, data)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError("the footer lacks something") from error


def _of_footer(footer: Struct, data: memoryview) -> ParquetSize:
    # The first element is the root, and has no children if the table has no columns.
    lengths = [element.get(2, 0) for element in footer[2][1:] if not element.get(5)]
    decoded, texts, groups = 0, [], groups_in(footer)
    for group in groups:
        for index, (length, chunk) in enumerate(zip(lengths, group, strict=True)):
            values = max(chunk.values, chunk.rows)  # both are claims: the larger one bounds what pyarrow allocates
            width = _WIDTHS[chunk.physical_type] if chunk.physical_type <= BYTE_ARRAY else length
            decoded += max(0, chunk.uncompressed, values * width)
            if chunk.physical_type == BYTE_ARRAY and chunk.dictionary is not None:
                shared = max(0, _dictionary_size(data, chunk.dictionary, chunk.uncompressed))
                texts.append(SharedText(index, shared, shared * values))
    return ParquetSize(decoded, tuple(texts), groups)


def _dictionary_size(data: memoryview, offset: int, otherwise: int) -> int:
    """Return the decoded bytes of a dictionary page by its header; `otherwise` if it is no header of one."""
    try:
        # The header may be damaged on purpose; then the size of the whole column counts, which is the larger one.
        header, _ = read_struct(data, offset)
        return int(header[2]) if header[1] == _DICTIONARY else otherwise
    except (ValueError, LookupError, TypeError):
        return otherwise


def rows_at_a_time(allowed: int, longest: int) -> int:
    """Return the number of rows that can be decoded before their size must be checked."""
    return max(1, min(_BATCH, allowed // _STEP // max(1, longest)))


def of_messages(arrow: Any, stored: Any) -> int:
    """Return the decoded bytes of the compressed buffers of an Arrow stream; the others are mapped and need no memory.

    Raises:
        ValueError: The stream holds a damaged message.
    """
    total = 0
    with arrow.BufferReader(stored) as file:
        reader = arrow.ipc.MessageReader.open_stream(file)
        for message in iter(_next(reader), None):
            if message.metadata is not None and message.body is not None:
                total += _of_message(memoryview(message.metadata).cast("B"), memoryview(message.body).cast("B"))
    return total


def of_rows(arrow: Any, table: Any) -> int:
    """Return the bytes, once converted, of columns that store no bytes for a row: those of nulls and of runs."""
    types = arrow.types
    return sum(
        _POINTER * table.num_rows
        for field in table.schema
        if types.is_null(field.type) or types.is_run_end_encoded(field.type)
    )


def _next(reader: Any) -> Callable[[], Any]:
    def message() -> Any:
        try:
            return reader.read_next_message()
        except StopIteration:
            return None

    return message


def _of_message(metadata: memoryview, body: memoryview) -> int:
    try:
        return _of_batch(metadata, body)
    except (struct.error, IndexError) as error:
        raise ValueError("a message of an Arrow stream leads out of it") from error


def _of_batch(metadata: memoryview, body: memoryview) -> int:
    message = flatbuffer.offset(metadata, 0)
    kind = flatbuffer.field(metadata, message, _HEADER_TYPE)
    header = flatbuffer.field(metadata, message, _HEADER)
    if kind is None or header is None or metadata[kind] not in (_RECORD_BATCH, _DICTIONARY):
        return 0
    batch = flatbuffer.offset(metadata, header)
    if metadata[kind] == _DICTIONARY:
        data = flatbuffer.field(metadata, batch, _DATA)
        if data is None:
            return 0
        batch = flatbuffer.offset(metadata, data)
    buffers = flatbuffer.field(metadata, batch, _BUFFERS)
    if buffers is None or flatbuffer.field(metadata, batch, _COMPRESSION) is None:
        return 0
    # A compressed buffer begins with the size of its content, 8 bytes, which is what pyarrow allocates.
    return sum(
        _decoded_size(body, start, size)
        for start, size in flatbuffer.structs(metadata, flatbuffer.offset(metadata, buffers))
    )


def _decoded_size(body: memoryview, start: int, size: int) -> int:
    if start < 0 or size < 0 or start + size > len(body):
        raise IndexError(start)
    if size < 8:
        return 0
    (decoded,) = struct.unpack_from("<q", body, start)
    return max(0, int(decoded))  # -1 says that it is not compressed
