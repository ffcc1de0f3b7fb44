"""Descriptions of objects as JSON, for metadata that headers cannot carry to every client."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import parse_qsl

from actorc.storage.models import ObjectInfo

CONTENT_TYPE: Final = "application/json; charset=utf-8"
_PARAMETER: Final = "metadata"


def is_asked_for(target: str) -> bool:
    """Return whether the query of a request, as received, asks for the description in place of the bytes."""
    query = target.partition("?")[2]
    return _PARAMETER in query and any(name == _PARAMETER for name, _ in parse_qsl(query, keep_blank_values=True))


def description(info: ObjectInfo) -> bytes:
    """Return an object's name, attributes and metadata as JSON; names and values of the metadata are exact."""
    fields = {
        "bucket": info.bucket,
        "key": info.key,
        "size": info.size,
        "etag": info.etag,
        "content_type": info.content_type,
        "generation": info.generation,
        "last_modified": info.last_modified.isoformat(),
        "expires_at": None if info.expires_at is None else info.expires_at.isoformat(),
        "crc32c": f"{info.crc32c:08x}",
        "metadata": dict(info.metadata),
    }
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"
