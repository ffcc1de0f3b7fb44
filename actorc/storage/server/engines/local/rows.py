"""Conversion between rows of the index and models."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actorc.storage.models import BucketInfo, ObjectInfo, PartInfo, SmallObject
from actorc.storage.server.engines.etags import etag_of
from actorc.storage.server.engines.times import utc

FIELDS = "generation, size, crc32c, content_type, metadata, modified_us, expires_us"
"""The columns `object_info` reads, in its order; ``object`` and ``retained`` share them."""


ALIVE = "(expires_us IS NULL OR expires_us > :now)"
"""SQL condition of objects that have not expired."""


_JSON = json.JSONEncoder(ensure_ascii=False)  # json.dumps would make a new one for each call


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A contiguous run of an object's bytes: their blob or the bytes themselves, and their checksums."""

    size: int
    """Bytes."""
    sums: tuple[int, ...]
    """CRC-32C of every block."""
    file: str | None = None
    """Name of the blob."""
    data: bytes | None = None
    """The bytes themselves, if they are kept inline."""
    stamp: bytes | None = None
    """The stamp of the blob when it was written or last verified; None: none is recorded."""
    order: int = 0
    """The generation reserved when the blob was written, as its trailer has it; 0: none."""


def inline(small: SmallObject) -> Segment:
    """Return the segment of an object whose bytes are kept inline; at most one block."""
    return Segment(size=len(small.data), sums=(small.crc32c,) if small.data else (), data=bytes(small.data))


def object_info(bucket: str, key: str, row: tuple[Any, ...]) -> ObjectInfo:
    """Return the object that a row of `FIELDS` describes."""
    generation, size, crc, content_type, metadata, modified_us, expires_us = row
    return ObjectInfo(
        bucket=bucket,
        key=key,
        size=size,
        etag=etag_of(generation, crc),
        generation=generation,
        crc32c=crc,
        content_type=content_type,
        metadata=unpack_metadata(metadata),
        last_modified=utc(modified_us),
        expires_at=None if expires_us is None else utc(expires_us),
    )


def part_info(row: tuple[int, ...]) -> PartInfo:
    """Return the part that a row of number, size, generation, crc32c and time describes."""
    number, size, generation, crc, modified_us = row
    return PartInfo(number=number, size=size, etag=etag_of(generation, crc), crc32c=crc, last_modified=utc(modified_us))


def bucket_info(row: tuple[str, int]) -> BucketInfo:
    """Return the bucket that a row of name and creation time describes."""
    return BucketInfo(name=row[0], created_at=utc(row[1]))


def pack_metadata(metadata: Mapping[str, str]) -> str:
    """Return user metadata in its stored form."""
    return pack_json(dict(metadata)) if metadata else "{}"


def pack_json(value: object) -> str:
    """Return `value` as JSON."""
    return _JSON.encode(value)


def unpack_metadata(packed: str) -> dict[str, str]:
    """Return stored user metadata."""
    found: dict[str, str] = json.loads(packed) if packed != "{}" else {}
    return found


def pack_sums(sums: tuple[int, ...]) -> bytes:
    """Return block checksums in their stored form, 4 bytes each."""
    return struct.pack(f"<{len(sums)}I", *sums)


def unpack_sums(packed: bytes) -> tuple[int, ...]:
    """Return stored block checksums."""
    return struct.unpack(f"<{len(packed) // 4}I", packed)


def are_of(info: ObjectInfo, segments: Sequence[Segment]) -> bool:
    """Return whether segments are as long as an object and, if they are a single block, have its checksum.

    A row that the disk put back to what it was may lead to content that is of another object by now, and prove itself.
    Of several blocks the reader finds that, who sums them.
    """
    if sum(segment.size for segment in segments) != info.size:
        return False
    sums = segments[0].sums if len(segments) == 1 else ()
    return len(sums) != 1 or sums[0] == info.crc32c


def call_id(*parts: str) -> bytes:
    """Return the identity under which a call's result is recorded; empty if the idempotency key, the last part, is."""
    return hashlib.sha256("\0".join(parts).encode()).digest() if parts[-1] else b""
