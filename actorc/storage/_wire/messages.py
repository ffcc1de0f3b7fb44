"""Conversions between protobuf messages and models; each pair side by side."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage.errors import StorageError
from actorc.storage.models import (
    ANY,
    BucketInfo,
    ByteRange,
    Chunk,
    Condition,
    DeleteResult,
    Destination,
    ObjectAttributes,
    ObjectContent,
    ObjectInfo,
    PartInfo,
    ServerInfo,
    SmallObject,
    UploadInfo,
)

from .error_status import error_from_status, status_message

_BRIEF = 160
"""Characters that are kept of an error message in a batch answer, which may contain thousands of them."""
_OF_A_SERVER = tuple(each.name for each in fields(ServerInfo) if each.name not in {"capabilities", "time"})
"""Fields of `ServerInfo` that the message has by the same name and with the same value."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)  # made once: every answer has a time, and each entry of a listing or batch


def microseconds(moment: datetime) -> int:
    """Return an aware time as whole microseconds since the epoch."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(us: int) -> datetime:
    """Return microseconds since the epoch as an aware UTC time."""
    return _EPOCH + timedelta(microseconds=us)


def object_message(info: ObjectInfo, *, with_metadata: bool = True) -> pb.ObjectInfo:
    """Return `info` as a message."""
    return pb.ObjectInfo(
        bucket=info.bucket,
        key=info.key,
        size=info.size,
        etag=info.etag,
        generation=info.generation,
        crc32c=info.crc32c,
        content_type=info.content_type,
        # most objects have none, and protobuf copies an empty mapping as slowly as one of some entries
        metadata=(info.metadata or None) if with_metadata else None,
        last_modified_us=microseconds(info.last_modified),
        expires_us=microseconds(info.expires_at) if info.expires_at else 0,
    )


def object_info(message: pb.ObjectInfo) -> ObjectInfo:
    """Return `message` as a model."""
    return ObjectInfo(
        bucket=message.bucket,
        key=message.key,
        size=message.size,
        etag=message.etag,
        generation=message.generation,
        crc32c=message.crc32c,
        content_type=message.content_type,
        metadata=dict(message.metadata) if message.metadata else {},
        last_modified=moment(message.last_modified_us),
        expires_at=moment(message.expires_us) if message.expires_us else None,
    )


def part_message(info: PartInfo) -> pb.PartInfo:
    """Return `info` as a message."""
    return pb.PartInfo(
        number=info.number,
        size=info.size,
        etag=info.etag,
        crc32c=info.crc32c,
        last_modified_us=microseconds(info.last_modified),
    )


def part_info(message: pb.PartInfo) -> PartInfo:
    """Return `message` as a model."""
    return PartInfo(
        number=message.number,
        size=message.size,
        etag=message.etag,
        crc32c=message.crc32c,
        last_modified=moment(message.last_modified_us),
    )


def upload_message(info: UploadInfo) -> pb.MultipartUpload:
    """Return `info` as a message."""
    return pb.MultipartUpload(
        bucket=info.bucket, key=info.key, upload_id=info.upload_id, created_us=microseconds(info.created_at)
    )


def upload_info(message: pb.MultipartUpload) -> UploadInfo:
    """Return `message` as a model."""
    return UploadInfo(
        bucket=message.bucket,
        key=message.key,
        upload_id=message.upload_id,
        created_at=moment(message.created_us),
    )


def delete_message(result: DeleteResult) -> pb.DeleteResult:
    """Return `result` as a message."""
    failed = status_message(result.error) if result.error else None
    return pb.DeleteResult(key=result.key, deleted=result.deleted, failed=failed)


def brief_delete_message(result: DeleteResult) -> pb.DeleteResult:
    """Return `result` as a message whose reason for a failure takes a few hundred bytes at most."""
    message = delete_message(result)
    if result.error:
        message.failed.CopyFrom(_brief_status(result.error))
    return message


def _brief_status(error: StorageError) -> pb.Status:
    return status_message(type(error)(error.message[:_BRIEF]))


def delete_result(message: pb.DeleteResult) -> DeleteResult:
    """Return `message` as a model."""
    error = _named(error_from_status(message.failed), message.key) if message.HasField("failed") else None
    return DeleteResult(key=message.key, deleted=message.deleted, error=error)


def _named(error: StorageError, key: str) -> StorageError:
    error.key = error.key or key
    return error


def new_object_message(small: SmallObject) -> pb.NewObject:
    """Return `small` as a message."""
    attributes = small.attributes
    return pb.NewObject(
        key=small.key,
        content_type=attributes.content_type,
        metadata=dict(attributes.metadata),
        condition=None if small.condition == ANY else condition_message(small.condition),
        ttl_seconds=attributes.ttl or 0,
        crc32c=small.crc32c,
        data=bytes(small.data),
    )


def small_object(message: pb.NewObject) -> SmallObject:
    """Return `message` as a model."""
    attributes = ObjectAttributes(
        content_type=message.content_type, metadata=dict(message.metadata), ttl=message.ttl_seconds or None
    )
    given = condition(message.condition) if message.HasField("condition") else ANY
    return SmallObject(message.key, message.data, message.crc32c, attributes, given)


def put_message(key: str, result: ObjectInfo | StorageError, *, brief: bool = False) -> pb.PutResult:
    """Return the result for one key of a batch as a message, without the metadata of the object.

    Args:
        key: The key.
        result: The object, or the error.
        brief: Whether the reason for a failure is to take a few hundred bytes at most.
    """
    if isinstance(result, StorageError):
        return pb.PutResult(key=key, failed=_brief_status(result) if brief else status_message(result))
    return pb.PutResult(key=key, object=object_message(result, with_metadata=False))


def put_result(message: pb.PutResult) -> ObjectInfo | StorageError:
    """Return `message` as a model."""
    if message.HasField("failed"):
        return _named(error_from_status(message.failed), message.key)
    return object_info(message.object)


def get_message(key: str, result: ObjectContent | StorageError) -> pb.GetResult:
    """Return the result for one key of a batch as a message."""
    if isinstance(result, StorageError):
        return pb.GetResult(key=key, failed=status_message(result))
    return pb.GetResult(
        key=key, object=object_message(result.info), data=result.data or b"", too_large=result.data is None
    )


def get_result(message: pb.GetResult) -> ObjectContent | StorageError:
    """Return `message` as a model."""
    if message.HasField("failed"):
        return _named(error_from_status(message.failed), message.key)
    return ObjectContent(object_info(message.object), None if message.too_large else message.data)


def head_message(key: str, result: ObjectInfo | StorageError) -> pb.HeadResult:
    """Return the description for one key of a batch as a message."""
    if isinstance(result, StorageError):
        return pb.HeadResult(key=key, failed=status_message(result))
    return pb.HeadResult(key=key, object=object_message(result))


def head_result(message: pb.HeadResult) -> ObjectInfo | StorageError:
    """Return `message` as a model."""
    if message.HasField("failed"):
        return _named(error_from_status(message.failed), message.key)
    return object_info(message.object)


def bucket_message(info: BucketInfo) -> pb.BucketInfo:
    """Return `info` as a message."""
    return pb.BucketInfo(name=info.name, created_us=microseconds(info.created_at))


def bucket_info(message: pb.BucketInfo) -> BucketInfo:
    """Return `message` as a model."""
    return BucketInfo(name=message.name, created_at=moment(message.created_us))


def condition_message(condition: Condition) -> pb.Condition:
    """Return `condition` as a message."""
    return pb.Condition(if_absent=condition.if_absent, if_match=condition.if_match or "")


def attributes(
    message: pb.PutObjectRequest | pb.WriteOpen | pb.CreateMultipartUploadRequest | pb.Attributes, ttl_seconds: int = 0
) -> ObjectAttributes:
    """Return the attributes that a request gives an object."""
    return ObjectAttributes(content_type=message.content_type, metadata=dict(message.metadata), ttl=ttl_seconds or None)


def condition(message: pb.Condition) -> Condition:
    """Return `message` as a model."""
    return Condition(if_absent=message.if_absent, if_match=message.if_match or None)


def destination_fields(destination: Destination) -> dict[str, Any]:
    """Return the fields that every request has that begins to write an object."""
    return {
        "bucket": destination.bucket,
        "key": destination.key,
        "content_type": destination.attributes.content_type,
        "metadata": dict(destination.attributes.metadata),
        "condition": condition_message(destination.condition),
        "ttl_seconds": destination.attributes.ttl or 0,
    }


def range_message(part: ByteRange) -> pb.ByteRange:
    """Return `part` as a message."""
    return pb.ByteRange(offset=part.offset, length=part.length)


def byte_range(message: pb.ByteRange) -> ByteRange:
    """Return `message` as a model."""
    return ByteRange(message.offset, message.length if message.HasField("length") else None)


def chunk_message(chunk: Chunk) -> pb.Chunk:
    """Return `chunk` as a message."""
    return pb.Chunk(offset=chunk.offset, crc32c=chunk.crc32c, data=bytes(chunk.data))


def chunk(message: pb.Chunk) -> Chunk:
    """Return `message` as a model."""
    return Chunk(message.offset, message.data, message.crc32c)


def server_message(info: ServerInfo) -> pb.GetServerInfoResponse:
    """Return `info` as a message."""
    same = {name: getattr(info, name) for name in _OF_A_SERVER}
    return pb.GetServerInfoResponse(**same, capabilities=info.capabilities, time_us=microseconds(info.time))


def server_info(message: pb.GetServerInfoResponse) -> ServerInfo:
    """Return `message` as a model."""
    same = {name: getattr(message, name) for name in _OF_A_SERVER}
    return ServerInfo(**same, capabilities=tuple(message.capabilities), time=moment(message.time_us))
