"""Etags of generations, and ids of multipart uploads."""

from __future__ import annotations

import secrets


def etag_of(generation: int, crc32c: int) -> str:
    """Return the etag of a generation with this checksum."""
    return f"{generation:x}-{crc32c:08x}"


def upload_id_of(generation: int) -> str:
    """Return a secret id for a new upload; as text it is greater than those of lower generations."""
    return f"{generation:016x}{secrets.token_hex(16)}"
