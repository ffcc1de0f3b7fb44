"""The codec for the messages that carry bytes.

Generated protobuf code copies a payload on every access and refuses memoryviews. Encoding `Chunk` by hand, with the
payload last, takes one join to write and one slice to read, as Arrow Flight does. The encoder writes plain proto3. The
decoder reads exactly this layout and leaves any other legal encoding to the generated parser.
"""

from __future__ import annotations

import struct
from typing import Final

from actorc import varint
from actorc.storage.models import Chunk

WRITE_CHUNK_FIELD: Final = 3
"""Number of `chunk` in WriteObjectRequest."""
READ_CHUNK_FIELD: Final = 2
"""Number of `chunk` in ReadObjectResponse."""

_LENGTH_DELIMITED = 2
_OFFSET_TAG = 1 << 3
_CRC_TAG = 2 << 3 | 5
_DATA_TAG = 3 << 3 | _LENGTH_DELIMITED
_CRC = struct.Struct("<BI")


def encode_chunk(field: int, chunk: Chunk) -> bytes:
    """Return the message whose oneof field number `field` (below 16) holds `chunk`; copies the payload once."""
    inner = b"".join(
        (
            bytes((_OFFSET_TAG,)),
            varint.encode(chunk.offset),
            _CRC.pack(_CRC_TAG, chunk.crc32c),
            bytes((_DATA_TAG,)),
            varint.encode(len(chunk.data)),
        )
    )
    outer = bytes((field << 3 | _LENGTH_DELIMITED,)) + varint.encode(len(inner) + len(chunk.data))
    return b"".join((outer, inner, chunk.data))


def decode_chunk(field: int, message: bytes) -> Chunk | None:
    """Return the chunk in `message` if it has the layout `encode_chunk` writes, else None."""
    try:
        return _decode(field, message)
    except (IndexError, ValueError, struct.error):
        # any other legal encoding of the message is left to the generated parser, so this is no error
        return None


def _decode(field: int, message: bytes) -> Chunk | None:
    if message[0] != field << 3 | _LENGTH_DELIMITED:
        return None
    length, at = varint.decode(message, 1)
    if at + length != len(message) or message[at] != _OFFSET_TAG:
        return None
    offset, at = varint.decode(message, at + 1)
    tag, crc = _CRC.unpack_from(message, at)
    at += _CRC.size
    # an offset of 2**63 or more is not an int64; the generated parser rejects it with a message
    if tag != _CRC_TAG or message[at] != _DATA_TAG or offset >= 1 << 63:
        return None
    size, at = varint.decode(message, at + 1)
    # a view, since a slice of bytes is a copy; it keeps the message, which is little more
    return Chunk(offset, memoryview(message)[at:], crc) if at + size == len(message) else None
