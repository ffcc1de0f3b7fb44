"""Rows of the index as models, and back."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any

from actorc.storage.models import BucketInfo, ObjectInfo
from actorc.storage.server.engines.verdicts import etag_of, utc

FIELDS = "generation, size, crc32c, content_type, metadata, modified_us"
"""The columns `object_info` reads, in its order; ``object`` and ``retained`` share them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Where the bytes of one generation are, and what proves them."""

    sums: tuple[int, ...]
    """CRC-32C of every block."""
    file: str | None = None
    """Name of the blob."""
    data: bytes | None = None
    """The bytes themselves, if they are kept inline."""


def object_info(bucket: str, key: str, row: tuple[Any, ...]) -> ObjectInfo:
    """Return the object that a row of `FIELDS` describes."""
    generation, size, crc, content_type, metadata, modified_us = row
    return ObjectInfo(
        bucket=bucket,
        key=key,
        size=size,
        etag=etag_of(generation, crc),
        generation=generation,
        crc32c=crc,
        content_type=content_type,
        metadata=json.loads(metadata) if metadata != "{}" else {},
        last_modified=utc(modified_us),
    )


def bucket_info(row: tuple[str, int]) -> BucketInfo:
    """Return the bucket that a row of name and creation time describes."""
    return BucketInfo(name=row[0], created_at=utc(row[1]))


def pack_sums(sums: tuple[int, ...]) -> bytes:
    """Return block checksums as they are stored, 4 bytes each."""
    return struct.pack(f"<{len(sums)}I", *sums)


def unpack_sums(packed: bytes) -> tuple[int, ...]:
    """Return stored block checksums."""
    return struct.unpack(f"<{len(packed) // 4}I", packed)


def call_id(*parts: str) -> bytes:
    """Return what a call with an idempotency key is remembered under; empty if the last part, the key, is."""
    return hashlib.sha256("\0".join(parts).encode()).digest() if parts[-1] else b""
