"""Conversion of models to the plain dicts that the client returns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, cast

from actorc.storage.errors import StorageError
from actorc.storage.models import (
    BucketInfo,
    BucketResult,
    DeleteObjectsResult,
    DeleteResult,
    DownloadResult,
    GetObjectsResult,
    ListResult,
    ObjectHead,
    ObjectInfo,
    ObjectWithData,
    PartInfo,
    PartResult,
    PutObjectsResult,
    PutResult,
    ServerInfo,
    ServerInfoResult,
    UploadInfo,
    UploadList,
    UploadResult,
)

_ERROR_FIELDS: Final = ("code", "message", "bucket", "key", "request_id", "retryable")


def put_result(info: ObjectInfo) -> PutResult:
    """Return the result of a write."""
    return PutResult(
        bucket=info.bucket,
        key=info.key,
        size=info.size,
        etag=info.etag,
        content_type=info.content_type,
        generation=info.generation,
    )


def object_head(info: ObjectInfo) -> ObjectHead:
    """Return the description of an object."""
    return ObjectHead(
        **put_result(info),
        last_modified=info.last_modified,
        metadata=dict(info.metadata),
        # in a listing without details there is none, nor a generation
        crc32c=f"{info.crc32c:08x}" if info.generation else "",
        expires_at=info.expires_at,
    )


def list_result(
    bucket: str, prefix: str, objects: Sequence[ObjectInfo], prefixes: Sequence[str], token: str
) -> ListResult:
    """Return a listing."""
    return ListResult(
        bucket=bucket,
        prefix=prefix,
        objects=[object_head(info) for info in objects],
        common_prefixes=list(prefixes),
        is_truncated=bool(token),
        next_page_token=token or None,
    )


def download_result(info: ObjectInfo, file_path: str) -> DownloadResult:
    """Return the result of a download to a file."""
    return DownloadResult(
        bucket=info.bucket,
        key=info.key,
        file_path=file_path,
        size=info.size,
        etag=info.etag,
        generation=info.generation,
    )


def part_result(info: PartInfo) -> PartResult:
    """Return a stored part."""
    return PartResult(
        part_number=info.number,
        size=info.size,
        etag=info.etag,
        crc32c=f"{info.crc32c:08x}",
        last_modified=info.last_modified,
    )


def upload_result(info: UploadInfo) -> UploadResult:
    """Return an upload under way."""
    return UploadResult(bucket=info.bucket, key=info.key, upload_id=info.upload_id, created_at=info.created_at)


def upload_list(bucket: str, prefix: str, uploads: Sequence[UploadInfo], token: str) -> UploadList:
    """Return a listing of uploads under way."""
    return UploadList(
        bucket=bucket,
        prefix=prefix,
        uploads=[upload_result(info) for info in uploads],
        is_truncated=bool(token),
        next_page_token=token or None,
    )


def delete_objects_result(results: Sequence[DeleteResult]) -> DeleteObjectsResult:
    """Return the result of a batch."""
    return DeleteObjectsResult(
        deleted=[result.key for result in results if result.error is None],
        errors={result.key: result.error for result in results if result.error is not None},
    )


def put_objects_result(results: Iterable[tuple[str, ObjectInfo | StorageError]]) -> PutObjectsResult:
    """Return the result of a batch, given that of each key."""
    stored: list[PutResult] = []
    errors: dict[str, StorageError] = {}
    for key, result in results:
        if isinstance(result, StorageError):
            errors[key] = result
        else:
            stored.append(put_result(result))
    return PutObjectsResult(stored=stored, errors=errors)


def get_objects_result(results: Iterable[tuple[str, tuple[ObjectInfo, bytes] | StorageError]]) -> GetObjectsResult:
    """Return the result of a batch, given that of each key."""
    objects: list[ObjectWithData] = []
    errors: dict[str, StorageError] = {}
    for key, result in results:
        if isinstance(result, StorageError):
            errors[key] = result
        else:
            objects.append(ObjectWithData(**object_head(result[0]), data=result[1]))
    return GetObjectsResult(objects=objects, errors=errors)


def bucket_result(info: BucketInfo) -> BucketResult:
    """Return a bucket."""
    return BucketResult(name=info.name, created_at=info.created_at)


def server_info_result(info: ServerInfo, transport: str) -> ServerInfoResult:
    """Return the limits and capabilities of a server, and what carried the call."""
    told = {"capabilities": list(info.capabilities), "http_endpoint": info.http_endpoint or None}
    return cast("ServerInfoResult", asdict(info) | told | {"transport": transport})


def to_json(value: object) -> Any:
    """Return the JSON equivalent of a value in a result, for ``json.dumps(result, default=to_json)``.

    A `datetime` becomes its ISO 8601 text, which `datetime.fromisoformat` reads, and a `StorageError` a dict of
    ``code``, ``message``, ``bucket``, ``key``, ``request_id`` and ``retryable``. Every dict and list that a client
    returns can be written so, but for that of `get_objects`, which holds bytes.

    Raises:
        TypeError: No result holds such a value.
    """
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, StorageError):
        return {name: getattr(value, name) for name in _ERROR_FIELDS}
    raise TypeError(f"an object of type {type(value).__name__} is in no result of a client, and not JSON serializable")


to_json.__module__ = "actorc.storage._results"  # where processes of any version find it
