"""The trailer of a blob: name, attributes and checksums behind its bytes, from which a lost index row is restored.

A file is the payload at offset 0, the fields as JSON, the CRC-32C of each block of the payload in 4 bytes each, and a
footer of fixed size with the length of each. The footer's checksum covers everything but the payload. Files of earlier
versions have only a payload; its size is in the index.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from dataclasses import fields as dataclass_fields
from typing import Any, Final

from actorc.storage._wire.checksum import crc32c
from actorc.storage.content_types import DEFAULT_CONTENT_TYPE
from actorc.storage.models import ObjectAttributes
from actorc.storage.rules import MiB
from actorc.storage.server.engines.local.rows import pack_json, pack_sums, unpack_sums

from .fsops import FsOps

OBJECT: Final = "object"
PART: Final = "part"
MANIFEST: Final = "manifest"
"""A blob without payload that names the parts of a multipart object."""

_MAGIC = b"LUCASBLB"
_VERSION = 1
_FOOTER = struct.Struct("<QIIIHxx8s")  # payload, fields, sums; checksum; version, magic
_MAX_FIELDS_SIZE = 64 * MiB  # fields of 10 000 parts take a twentieth of it; a damaged footer must not fill the memory


class DamagedTrailerError(ValueError):
    """A blob has a trailer, and it is damaged or of a later version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One part as a manifest names it."""

    size: int
    """Bytes."""
    crc32c: int
    file: str = ""
    """Name of its blob; empty: it is small, and `data` has it."""
    data: str | None = None
    """Its bytes in base64; None though there is no blob: they were too many for the manifest."""


@dataclass(slots=True, kw_only=True)
class Trailer:
    """Description of a blob and of the object it belongs to, or belonged to.

    Not frozen: each write makes one, and frozen ones take four times as long to make.
    """

    kind: str
    """`OBJECT`, `PART` or `MANIFEST`."""
    bucket: str
    key: str
    content_type: str = DEFAULT_CONTENT_TYPE
    metadata: Mapping[str, str] = field(default_factory=dict)
    ttl: int | None = None
    """Seconds from `written_us` on that the object lives; None: for ever."""
    upload_id: str = ""
    number: int = 0
    """Number of the part."""
    pieces: tuple[Piece, ...] = ()
    """Parts of a manifest, in order."""
    order: int = 0
    """Greater than every generation committed before the blob was renamed into place."""
    written_us: int = 0
    """Time of writing in microseconds since 1970-01-01 UTC."""
    size: int = 0
    """Bytes of the payload; of a manifest, of the whole object."""
    crc32c: int = 0
    """CRC-32C of the same bytes."""
    sums: tuple[int, ...] = ()
    """CRC-32C of every block of the payload."""

    @property
    def payload(self) -> int:
        """Bytes of the payload in this file."""
        return 0 if self.kind == MANIFEST else self.size

    @property
    def expires_us(self) -> int | None:
        """Expiry of the object in microseconds since 1970-01-01 UTC; None: never."""
        return None if self.ttl is None else self.written_us + self.ttl * 1_000_000

    @property
    def place(self) -> str:
        """Name of the object and part, for messages."""
        part = f", part {self.number} of an upload" if self.kind == PART else ""
        return f"{self.bucket}/{self.key}{part}"

    def described(self, attributes: ObjectAttributes) -> Trailer:
        """Return a copy with the attributes of an object."""
        return replace(
            self, content_type=attributes.content_type, metadata=dict(attributes.metadata), ttl=attributes.ttl
        )


def pack_trailer(trailer: Trailer) -> bytes:
    """Return the serialized trailer."""
    # not all of asdict(), which copies and takes ten times as long
    fields = {name: value for name, empty in _DEFAULTS.items() if (value := getattr(trailer, name)) != empty}
    if trailer.metadata:
        fields["metadata"] = dict(trailer.metadata)
    if trailer.pieces:
        fields["pieces"] = [asdict(piece) for piece in trailer.pieces]
    body = pack_json(fields).encode()
    sums = pack_sums(trailer.sums)
    return body + sums + _footer(trailer.payload, body, sums)


def read_trailer(fsops: FsOps, descriptor: int) -> Trailer | None:
    """Return the trailer of an open blob; None if it has none.

    Raises:
        DamagedTrailerError: It has one that is damaged, or written by a later version.
        OSError: The file cannot be read.
    """
    length = os.fstat(descriptor).st_size
    tail = fsops.read(descriptor, _FOOTER.size, max(length - _FOOTER.size, 0))
    if len(tail) < _FOOTER.size or not tail.endswith(_MAGIC):
        return None
    payload, fields, sums, _, version, _ = _FOOTER.unpack(tail)
    if version != _VERSION:
        raise DamagedTrailerError(f"its trailer has version {version} and this server knows {_VERSION} only")
    if payload + fields + sums + _FOOTER.size != length or fields + sums > _MAX_FIELDS_SIZE:
        raise DamagedTrailerError("its trailer does not fit the length of the file")
    body = fsops.read(descriptor, fields + sums, payload)
    packed, rest = body[:fields], body[fields:]
    if _footer(payload, packed, rest) != tail:
        raise DamagedTrailerError("its trailer does not match its checksum")
    return _unpacked(json.loads(packed), unpack_sums(rest))


def _unpacked(fields: dict[str, Any], sums: tuple[int, ...]) -> Trailer:
    pieces = tuple(Piece(**piece) for piece in fields.pop("pieces", ()))
    # fields that a later version adds are ignored
    known = {name: value for name, value in fields.items() if name in _DEFAULTS}
    return Trailer(**known, pieces=pieces, sums=sums)


def _footer(payload: int, fields: bytes, sums: bytes) -> bytes:
    head = struct.pack("<QIIH", payload, len(fields), len(sums), _VERSION)
    checksum = crc32c(head, crc32c(sums, crc32c(fields)))
    return _FOOTER.pack(payload, len(fields), len(sums), checksum, _VERSION, _MAGIC)


_DEFAULT_TRAILER: Final = Trailer(kind="", bucket="", key="")
_DEFAULTS: Final = {
    each.name: getattr(_DEFAULT_TRAILER, each.name) for each in dataclass_fields(Trailer) if each.name != "sums"
}
