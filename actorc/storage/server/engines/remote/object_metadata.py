"""The description of an object, kept as metadata of the store's object."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from actorc.storage.errors import InvalidParameterError
from actorc.storage.models import ObjectAttributes, ObjectInfo
from actorc.storage.server.engines.etags import etag_of
from actorc.storage.server.engines.times import utc

from .stored_fields import GREATEST_GENERATION, LAST_US, number, texts

# letters and digits alone: Azure takes no hyphen in a name, and proxies drop headers with an underscore
_GENERATION: Final = "acsgeneration"
_WRITTEN: Final = "acswritten"
_CRC32C: Final = "acscrc32c"
_CALL: Final = "acscall"
_REQUEST: Final = "acsrequest"
_BEFORE: Final = "acsbefore"
_METADATA: Final = "acsmetadata"
_CONTENT_TYPE: Final = "Content-Type"

_MAX_METADATA: Final = 1792
"""Bytes as encoded; S3 takes 2 KiB, names and values of the other fields included."""
_MAX_WITH_BEFORE: Final = 1920
"""Bytes of names and values with those of calls before; S3 takes 2 KiB, which no record may exceed for their sake."""
_MOST_BEFORE: Final = 8
_VISIBLE: Final = re.compile(r"[!-~]([ -~]*[!-~])?")


class EarlierCall(NamedTuple):
    """A call whose object was replaced on a condition that it met."""

    call: str
    """Its identity, from `call_id`."""
    generation: int
    """The generation of its object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The fields that a commit stores with the bytes."""

    generation: int
    written_us: int
    """Microseconds since 1970-01-01 UTC."""
    crc32c: int
    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    call: str = ""
    """Identity of the call that made the object, from `call_id`."""
    request: bytes | None = None
    """The `fingerprint` of that call; None: written by a version that did not store it."""
    before: tuple[EarlierCall, ...] = ()
    """The calls whose objects led to this one, each replaced on a condition, the latest first; as many as have room."""

    def attributes(self) -> dict[str, str]:
        """Return the fields as the store takes them."""
        kept = {
            _CONTENT_TYPE: self.content_type,
            _GENERATION: str(self.generation),
            _WRITTEN: str(self.written_us),
            _CRC32C: f"{self.crc32c:08x}",
            _CALL: self.call,
        }
        if self.request is not None:
            kept[_REQUEST] = self.request.hex()
        if self.metadata:
            kept[_METADATA] = _encoded(self.metadata)
        if before := _fitting(self.before, kept):
            kept[_BEFORE] = before
        return kept

    @classmethod
    def of(cls, attributes: Mapping[str, str]) -> Record | None:
        """Return the fields that the store holds; None if this service did not write the object."""
        try:
            return cls(
                generation=number(attributes[_GENERATION], GREATEST_GENERATION),
                written_us=number(attributes[_WRITTEN], LAST_US),
                crc32c=number(attributes[_CRC32C], 0xFFFF_FFFF, base=16),
                content_type=attributes[_CONTENT_TYPE],
                metadata=texts(json.loads(attributes.get(_METADATA, "{}"))),
                call=attributes.get(_CALL, ""),
                request=bytes.fromhex(attributes[_REQUEST]) if _REQUEST in attributes else None,
                before=_earlier(attributes.get(_BEFORE, "")),
            )
        except (KeyError, ValueError, RecursionError):
            return None

    def made_before(self, call: str) -> EarlierCall | None:
        """Return the call among those before this one, or None."""
        return next((each for each in self.before if each.call == call), None)

    def replacing(self, replaced: Record | None) -> Record:
        """Return this record for an object that replaces another one on a condition."""
        if replaced is None:
            return replace(self, before=())
        return replace(self, before=(EarlierCall(replaced.call, replaced.generation), *replaced.before))

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
        """Etag of this generation."""
        return etag_of(self.generation, self.crc32c)


def _fitting(before: Sequence[EarlierCall], kept: Mapping[str, str]) -> str:
    """Return as many calls as the store has room for beside the other fields."""
    used = len(_BEFORE) + sum(len(name) + len(value) for name, value in kept.items() if name != _CONTENT_TYPE)
    texts = [f"{each.call}:{each.generation:x}" for each in before[:_MOST_BEFORE] if each.call]
    while texts and used + len(",".join(texts)) > _MAX_WITH_BEFORE:
        texts.pop()
    return ",".join(texts)


def _earlier(text: str) -> tuple[EarlierCall, ...]:
    pairs = (each.partition(":") for each in text.split(",") if each)
    return tuple(EarlierCall(call, int(generation, 16)) for call, _, generation in pairs)


def call_id(operation: str, idempotency_key: str) -> str:
    """Return the identity of a call, stored with the object that it makes; empty for a call without a key."""
    return hashlib.sha256(f"{operation}\0{idempotency_key}".encode()).hexdigest()[:32] if idempotency_key else ""


def check_attributes(attributes: ObjectAttributes) -> None:
    """Raise if the store cannot hold the attributes.

    Raises:
        InvalidParameterError: The metadata is too long, or the content type is not visible ASCII.
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
    # signatures of S3 take several spaces in a header for one
    return json.dumps(dict(metadata), separators=(",", ":")).replace(" ", "\\u0020")
