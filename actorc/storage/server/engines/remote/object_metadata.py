"""What is known of an object beside its bytes, as metadata of the store's own object."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from actorc.storage.errors import InvalidParameterError
from actorc.storage.models import ObjectAttributes, ObjectInfo
from actorc.storage.server.engines.preconditions import etag_of, utc

# letters and digits alone: Azure takes no hyphen in a name, and proxies drop headers with an underscore
_GENERATION: Final = "acsgeneration"
_WRITTEN: Final = "acswritten"
_CRC32C: Final = "acscrc32c"
_CALL: Final = "acscall"
_REQUEST: Final = "acsrequest"
_METADATA: Final = "acsmetadata"
_CONTENT_TYPE: Final = "Content-Type"

_MAX_METADATA: Final = 1792
"""Bytes as encoded; S3 takes 2 KiB with the names and values of the others."""
_VISIBLE: Final = re.compile(r"[!-~]([ -~]*[!-~])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a commit leaves beside the bytes."""

    generation: int
    written_us: int
    """Microseconds since 1970-01-01 UTC."""
    crc32c: int
    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    call: str = ""
    """Tells which call made the object; see `call_id`."""
    request: bytes | None = None
    """The `fingerprint` of what that call asked for; None: made by a version that did not note it."""

    def attributes(self) -> dict[str, str]:
        """Return it as the store takes it."""
        kept = {
            _CONTENT_TYPE: self.content_type,
            _GENERATION: str(self.generation),
            _WRITTEN: str(self.written_us),
            _CRC32C: f"{self.crc32c:08x}",
            _CALL: self.call,
        }
        if self.request is not None:
            kept[_REQUEST] = self.request.hex()
        return {**kept, _METADATA: _encoded(self.metadata)} if self.metadata else kept

    @classmethod
    def of(cls, attributes: Mapping[str, str]) -> Record | None:
        """Return what the store holds; None if the object was not written by this service."""
        try:
            return cls(
                generation=int(attributes[_GENERATION]),
                written_us=int(attributes[_WRITTEN]),
                crc32c=int(attributes[_CRC32C], 16),
                content_type=attributes[_CONTENT_TYPE],
                metadata=json.loads(attributes.get(_METADATA, "{}")),
                call=attributes.get(_CALL, ""),
                request=bytes.fromhex(attributes[_REQUEST]) if _REQUEST in attributes else None,
            )
        except (KeyError, ValueError):
            return None

    def info(self, bucket: str, key: str, size: int) -> ObjectInfo:
        """Return the description of the object."""
        return ObjectInfo(
            bucket=bucket,
            key=key,
            size=size,
            etag=self.etag,
            generation=self.generation,
            crc32c=self.crc32c,
            content_type=self.content_type,
            metadata=self.metadata,
            last_modified=utc(self.written_us),
        )

    @property
    def etag(self) -> str:
        """That of this generation."""
        return etag_of(self.generation, self.crc32c)


def call_id(operation: str, idempotency_key: str) -> str:
    """Return what identifies a call in the metadata of what it made; empty for a call without a key."""
    return hashlib.sha256(f"{operation}\0{idempotency_key}".encode()).hexdigest()[:32] if idempotency_key else ""


def check_attributes(attributes: ObjectAttributes) -> None:
    """Refuse attributes that the store cannot hold.

    Raises:
        InvalidParameterError: The metadata is too long, or the content type is no text of a header.
    """
    if not _VISIBLE.fullmatch(attributes.content_type):
        raise InvalidParameterError("a content type is visible ASCII with this server's storage engine; change it")
    size = len(_encoded(attributes.metadata))
    if size > _MAX_METADATA:
        raise InvalidParameterError(
            f"metadata takes {size} bytes as this server's storage engine encodes it and has at most {_MAX_METADATA}; "
            "put what is longer into an object of its own"
        )


def _encoded(metadata: Mapping[str, str]) -> str:
    # runs of spaces in a header are one space to a signature
    return json.dumps(dict(metadata), separators=(",", ":")).replace(" ", "\\u0020")
