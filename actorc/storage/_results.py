"""Models to the plain dicts that users index; the one edge where this happens."""

from __future__ import annotations

from collections.abc import Sequence

from .models import (
    BucketInfo,
    BucketResult,
    DownloadResult,
    ListResult,
    ObjectHead,
    ObjectInfo,
    PutResult,
    ServerInfo,
    ServerInfoResult,
)


def put_result(info: ObjectInfo) -> PutResult:
    """Return what a write tells."""
    return PutResult(
        bucket=info.bucket,
        key=info.key,
        size=info.size,
        etag=info.etag,
        content_type=info.content_type,
        generation=info.generation,
    )


def object_head(info: ObjectInfo) -> ObjectHead:
    """Return everything known of an object but its bytes."""
    return ObjectHead(
        **put_result(info),
        last_modified=info.last_modified,
        metadata=dict(info.metadata),
        crc32c=f"{info.crc32c:08x}",
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
    """Return what a download to a file tells."""
    return DownloadResult(
        bucket=info.bucket,
        key=info.key,
        file_path=file_path,
        size=info.size,
        etag=info.etag,
        generation=info.generation,
    )


def bucket_result(info: BucketInfo) -> BucketResult:
    """Return a bucket."""
    return BucketResult(name=info.name, created_at=info.created_at)


def server_info_result(info: ServerInfo) -> ServerInfoResult:
    """Return what a server is and can do."""
    return ServerInfoResult(
        version=info.version,
        engine=info.engine,
        durable=info.durable,
        max_chunk_size=info.max_chunk_size,
        max_inline_size=info.max_inline_size,
        auto_create_buckets=info.auto_create_buckets,
        capabilities=list(info.capabilities),
    )
