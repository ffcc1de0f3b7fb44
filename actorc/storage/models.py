"""Arguments and results of calls.

Inside they are frozen dataclasses; at the edge of the client they become plain dicts, typed as `TypedDict`, because
users index them. The module needs only the standard library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, NotRequired, TypedDict

from .errors import StorageError

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Chunk(NamedTuple):
    """Consecutive bytes of an object, with their checksum.

    The chunk does not own a view in `data`: its source says how long it may be used.
    """

    offset: int
    """Position of the first byte in the object."""
    data: bytes | memoryview
    crc32c: int
    """CRC-32C of `data`, unsigned."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``offset`` up to, not including, ``offset + length``; without a length, up to the end.

    A negative offset, which only calls with many ranges take, counts from the end of the object.
    """

    offset: int = 0
    length: int | None = None

    def clamp(self, size: int) -> tuple[int, int]:
        """Return (first byte, byte after the last) within an object of `size` bytes."""
        first = min(self.offset if self.offset >= 0 else max(0, size + self.offset), size)
        stop = size if self.length is None else min(size, first + self.length)
        return first, max(stop, first)


WHOLE = ByteRange()
NOTHING = ByteRange(0, 0)


@dataclass(frozen=True, slots=True)
class Condition:
    """Condition on the current object for a change; checked inside the commit."""

    if_absent: bool = False
    if_match: str | None = None
    """The etag that the current object must have."""


ANY = Condition()


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectAttributes:
    """Attributes that a writer gives to an object, beside its bytes."""

    content_type: str = "application/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)
    ttl: int | None = None
    """Seconds that the object lives; None: for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """The object that a write makes, and the condition on the one it replaces."""

    bucket: str
    key: str
    attributes: ObjectAttributes = ObjectAttributes()
    condition: Condition = ANY


class ObjectInfo(NamedTuple):
    """One generation of one object.

    A tuple, since every call makes some of them, and a frozen dataclass of ten fields takes five times as long.
    """

    bucket: str
    key: str
    size: int
    """Bytes."""
    etag: str
    """Opaque; equal only for the same generation. Not a digest of the content."""
    generation: int
    """Grows with every write on a server; never reused."""
    crc32c: int
    """CRC-32C of the whole content, unsigned."""
    content_type: str
    metadata: Mapping[str, str]
    last_modified: datetime
    """Aware, UTC."""
    expires_at: datetime | None = None
    """Aware, UTC; None: never."""

    @classmethod
    def without_details(cls, bucket: str, key: str, size: int, last_modified: datetime) -> ObjectInfo:
        """Return the entry of a listing without details, in which everything else is empty."""
        return cls(bucket, key, size, "", 0, 0, "", {}, last_modified)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartInfo:
    """A stored part of a multipart upload."""

    number: int
    """1 to 10000; parts are joined in this order."""
    size: int
    """Bytes."""
    etag: str
    """Opaque; given when the upload is completed."""
    crc32c: int
    """CRC-32C of the part, unsigned."""
    last_modified: datetime
    """Aware, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadInfo:
    """A multipart upload under way."""

    bucket: str
    key: str
    upload_id: str
    created_at: datetime
    """Aware, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPage:
    """One page of uploads under way, in order of key, then of their beginning."""

    uploads: tuple[UploadInfo, ...] = ()
    next_after: tuple[str, str] | None = None
    """Key and upload id behind which the next page continues; None on the last page."""

    @classmethod
    def of(cls, shown: Sequence[UploadInfo], *, more: bool) -> UploadPage:
        """Return a page of uploads in order; `more` says whether others follow."""
        return cls(uploads=tuple(shown), next_after=(shown[-1].key, shown[-1].upload_id) if more else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResult:
    """The result for one key of a batch."""

    key: str
    deleted: bool
    """Whether there was an object."""
    error: StorageError | None = None


class SmallObject(NamedTuple):
    """An object of a batch put, with its bytes."""

    key: str
    data: bytes | memoryview
    crc32c: int
    """CRC-32C of `data`, unsigned."""
    attributes: ObjectAttributes = ObjectAttributes()
    condition: Condition = ANY


class ObjectContent(NamedTuple):
    """The result for one key of a batch get."""

    info: ObjectInfo
    data: bytes | None
    """All bytes, whose checksum is that of `info`; None if they are more than a batch takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketInfo:
    """A bucket."""

    name: str
    created_at: datetime
    """Aware, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """A listing of objects, in byte order of their UTF-8 keys."""

    bucket: str
    prefix: str = ""
    delimiter: str = ""
    """Any string; keys that contain it behind the prefix are rolled up into common prefixes. Empty: no rolling up."""
    after: str = ""
    """List only names strictly greater: a key, or a common prefix, which skips everything beneath it."""
    limit: int = 1000
    """Objects and common prefixes together."""
    within: str = ""
    """List only keys that begin with this, which itself begins with `prefix`, and roll them up behind `prefix`; empty:
    all keys that begin with `prefix`."""
    details: bool = True
    """Whether objects are described in full. Otherwise an engine gives at least key, size and time of the last change,
    by no request for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPage:
    """One page of a listing."""

    objects: tuple[ObjectInfo, ...] = ()
    common_prefixes: tuple[str, ...] = ()
    next_after: str = ""
    """The last name of this page, behind which the next one continues (`ListQuery.after`); empty on the last page."""

    @classmethod
    def of(cls, shown: Sequence[ObjectInfo | str], *, more: bool) -> ObjectPage:
        """Return a page of objects and common prefixes in order; `more` says whether others follow."""
        last = shown[-1] if more else ""
        return cls(
            objects=tuple(each for each in shown if isinstance(each, ObjectInfo)),
            common_prefixes=tuple(each for each in shown if isinstance(each, str)),
            next_after=last.key if isinstance(last, ObjectInfo) else last,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """Version, limits and capabilities of a server."""

    version: str
    engine: str
    durable: bool
    max_chunk_size: int
    """Bytes of payload in one message."""
    max_inline_size: int
    """Bytes of an object that fit into one unary put."""
    auto_create_buckets: bool
    capabilities: tuple[str, ...]
    time: datetime
    """Aware, UTC, by the server's clock."""
    http_endpoint: str = ""
    """Base of presigned URLs; empty: the server makes none."""


class PutResult(TypedDict):
    """Result of a write."""

    bucket: str
    key: str
    size: int
    etag: str
    content_type: str
    generation: int


class ObjectHead(PutResult):
    """Result of `head_object`, and of listings for one object."""

    last_modified: datetime
    metadata: dict[str, str]
    crc32c: str
    """Eight lower-case hexadecimal digits."""
    expires_at: datetime | None


class ObjectWithData(ObjectHead):
    """Result of `get_objects` for one object."""

    data: bytes


class NewObject(TypedDict):
    """Argument of `put_objects` for one object; what may be left out is as in `put_object`."""

    key: str
    data: Buffer
    content_type: NotRequired[str | None]
    metadata: NotRequired[Mapping[str, str] | None]
    if_absent: NotRequired[bool]
    if_match: NotRequired[str | None]
    ttl: NotRequired[int | None]


class CompletedPart(TypedDict):
    """Argument of `complete_multipart_upload` for one part."""

    part_number: int
    etag: str


class PartResult(CompletedPart):
    """Result of `upload_part`, and of `list_parts` for one part."""

    size: int
    crc32c: str
    """Eight lower-case hexadecimal digits."""
    last_modified: datetime


class NewUpload(TypedDict):
    """Result of `create_multipart_upload`."""

    bucket: str
    key: str
    upload_id: str


class UploadResult(TypedDict):
    """Result of multipart methods for one upload under way."""

    bucket: str
    key: str
    upload_id: str
    created_at: datetime


class UploadList(TypedDict):
    """Result of `list_multipart_uploads`."""

    bucket: str
    prefix: str
    uploads: list[UploadResult]
    is_truncated: bool
    next_page_token: str | None


class DeleteObjectsResult(TypedDict):
    """Result of `delete_objects`; the errors are `StorageError` objects, by key."""

    deleted: list[str]
    """Keys without an object now, whether or not there was one."""
    errors: dict[str, StorageError]


class PutObjectsResult(TypedDict):
    """Result of `put_objects`; the errors are `StorageError` objects, by key."""

    stored: list[PutResult]
    """In the order of the argument."""
    errors: dict[str, StorageError]


class GetObjectsResult(TypedDict):
    """Result of `get_objects`; the errors are `StorageError` objects, by key."""

    objects: list[ObjectWithData]
    """In the order of the argument."""
    errors: dict[str, StorageError]


class ListResult(TypedDict):
    """Result of `list_objects`."""

    bucket: str
    prefix: str
    objects: list[ObjectHead]
    common_prefixes: list[str]
    is_truncated: bool
    next_page_token: str | None


class DownloadResult(TypedDict):
    """Result of `download_file`."""

    bucket: str
    key: str
    file_path: str
    size: int
    etag: str
    generation: int


class BucketResult(TypedDict):
    """Result of bucket methods for one bucket."""

    name: str
    created_at: datetime


class ServerInfoResult(TypedDict):
    """Result of `server_info`."""

    version: str
    engine: str
    durable: bool
    max_chunk_size: int
    max_inline_size: int
    auto_create_buckets: bool
    capabilities: list[str]
    time: datetime
    http_endpoint: str | None
    transport: str
    """What carried the call: ``unix``, the socket of a server of this user on this machine, or ``grpc``."""
