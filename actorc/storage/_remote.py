"""The server's operations as typed calls: models in, models out; messages are built and read here, never kept."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Final

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb

from . import _wire
from ._checksum import crc32c
from ._frames import READ_CHUNK_FIELD, decode_chunk
from ._retry import RetryPolicy
from ._rpc import Rpc
from ._transfer import Download, SourceFailedError, Upload
from ._upload import WriteCall
from .config import ClientOptions
from .models import (
    ANY,
    BucketInfo,
    Chunk,
    Condition,
    ListQuery,
    ObjectAttributes,
    ObjectInfo,
    ServerInfo,
)
from .rules import MAX_INLINE_SIZE

_NO_MORE: Final = ""


class RemoteStore:
    """A storage server, seen from here.

    Args:
        options: Where the server is and how long to wait.
        retry: When to try again.
    """

    def __init__(self, options: ClientOptions, retry: RetryPolicy) -> None:
        self._rpc = Rpc(options, retry)

    def server_info(self, timeout: float | None = None) -> ServerInfo:
        """Ask for limits and capabilities."""
        answer = self._rpc.ask("GetServerInfo", pb.GetServerInfoRequest(), pb.GetServerInfoResponse, timeout=timeout)
        return _wire.server_info(answer)

    def create_bucket(self, bucket: str, *, exist_ok: bool, timeout: float | None = None) -> BucketInfo:
        """Make a bucket."""
        request = pb.CreateBucketRequest(bucket=bucket, exist_ok=exist_ok, idempotency_key=_fresh_key())
        answer = self._rpc.ask("CreateBucket", request, pb.CreateBucketResponse, timeout=timeout)
        return _wire.bucket_info(answer.bucket)

    def delete_bucket(self, bucket: str, timeout: float | None = None) -> None:
        """Remove an empty bucket."""
        request = pb.DeleteBucketRequest(bucket=bucket, idempotency_key=_fresh_key())
        self._rpc.ask("DeleteBucket", request, pb.DeleteBucketResponse, timeout=timeout)

    def head_bucket(self, bucket: str, timeout: float | None = None) -> BucketInfo:
        """Describe a bucket."""
        answer = self._rpc.ask(
            "HeadBucket", pb.HeadBucketRequest(bucket=bucket), pb.HeadBucketResponse, timeout=timeout
        )
        return _wire.bucket_info(answer.bucket)

    def buckets(self, timeout: float | None = None) -> list[BucketInfo]:
        """Return all buckets in order of name."""
        answer = self._rpc.ask("ListBuckets", pb.ListBucketsRequest(), pb.ListBucketsResponse, timeout=timeout)
        return [_wire.bucket_info(message) for message in answer.buckets]

    def put(
        self,
        bucket: str,
        key: str,
        upload: Upload,
        attributes: ObjectAttributes,
        condition: Condition = ANY,
        *,
        timeout: float | None = None,
    ) -> ObjectInfo:
        """Store an object: in one call if it is known to be small, else as a stream.

        Whatever the caller's own source raises comes out as it is.
        """
        try:
            if upload.size is not None and upload.size <= MAX_INLINE_SIZE:
                return self._put_inline(bucket, key, upload, attributes, condition, timeout)
            write = _Write(bucket, key, upload, attributes, condition)
            info: ObjectInfo = self._rpc.send("WriteObject", write, timeout=timeout)
        except SourceFailedError as failed:
            raise failed.original from failed.original.__cause__
        return info

    def _put_inline(
        self,
        bucket: str,
        key: str,
        upload: Upload,
        attributes: ObjectAttributes,
        condition: Condition,
        timeout: float | None,
    ) -> ObjectInfo:
        data = b"".join(chunk.data for chunk in upload.chunks())
        request = pb.PutObjectRequest(
            bucket=bucket,
            key=key,
            content_type=attributes.content_type,
            metadata=dict(attributes.metadata),
            condition=_wire.condition_message(condition),
            idempotency_key=_fresh_key(),
            crc32c=crc32c(data),
            data=data,
        )
        return _wire.object_info(self._rpc.ask("PutObject", request, pb.PutObjectResponse, timeout=timeout).object)

    def read(
        self,
        bucket: str,
        key: str,
        download: Download,
        *,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> Iterator[bytes | memoryview]:
        """Yield the bytes of an object; `download` says which and knows the object after the first of them."""
        return self._rpc.receive("ReadObject", _Read(bucket, key, download, if_match), timeout=timeout)

    def head(self, bucket: str, key: str, timeout: float | None = None) -> ObjectInfo:
        """Describe the present object."""
        request = pb.HeadObjectRequest(bucket=bucket, key=key)
        return _wire.object_info(self._rpc.ask("HeadObject", request, pb.HeadObjectResponse, timeout=timeout).object)

    def page(
        self, query: ListQuery, token: str = _NO_MORE, timeout: float | None = None
    ) -> tuple[list[ObjectInfo], list[str], str]:
        """Return objects, common prefixes and the token of the next page, empty on the last."""
        request = pb.ListObjectsRequest(
            bucket=query.bucket,
            prefix=query.prefix,
            delimiter=query.delimiter,
            page_size=query.limit,
            page_token=token,
        )
        answer = self._rpc.ask("ListObjects", request, pb.ListObjectsResponse, timeout=timeout)
        objects = [_wire.object_info(message) for message in answer.objects]
        return objects, list(answer.common_prefixes), answer.next_page_token

    def delete(self, bucket: str, key: str, condition: Condition = ANY, timeout: float | None = None) -> bool:
        """Remove an object; return whether there was one."""
        request = pb.DeleteObjectRequest(
            bucket=bucket, key=key, if_match=condition.if_match or "", idempotency_key=_fresh_key()
        )
        return self._rpc.ask("DeleteObject", request, pb.DeleteObjectResponse, timeout=timeout).deleted

    def close(self) -> None:
        """Close the connection."""
        self._rpc.close()


class _Write:
    """An upload as `Rpc.send` drives it; all attempts carry one idempotency key, so at most one is stored."""

    def __init__(
        self, bucket: str, key: str, upload: Upload, attributes: ObjectAttributes, condition: Condition
    ) -> None:
        self._upload = upload
        self._open = pb.WriteOpen(
            bucket=bucket,
            key=key,
            content_type=attributes.content_type,
            metadata=dict(attributes.metadata),
            condition=_wire.condition_message(condition),
            idempotency_key=_fresh_key(),
            declared_size=upload.size or 0,
        )

    @property
    def replayable(self) -> bool:
        return self._upload.replayable

    def send(self, call: WriteCall) -> ObjectInfo:
        call.send(pb.WriteObjectRequest(open=self._open))
        call.answer()
        for chunk in self._upload.chunks():
            call.send_chunk(chunk)
        commit = pb.WriteCommit(size=self._upload.sent, crc32c=self._upload.checksum())
        call.send(pb.WriteObjectRequest(commit=commit))
        call.finish()
        return _wire.object_info(call.answer().done)


class _Read:
    """A download as `Rpc.receive` drives it."""

    def __init__(self, bucket: str, key: str, download: Download, if_match: str | None) -> None:
        self._bucket = bucket
        self._key = key
        self._download = download
        self._if_match = if_match or ""

    def request(self) -> bytes:
        return pb.ReadObjectRequest(
            bucket=self._bucket,
            key=self._key,
            ranges=[_wire.range_message(self._download.remaining())],
            generation=self._download.generation or 0,
            if_match=self._if_match,
        ).SerializeToString()

    def accept(self, message: bytes) -> bytes | memoryview:
        chunk = decode_chunk(READ_CHUNK_FIELD, message)
        if chunk is not None:
            return self._download.feed(chunk)
        parsed = pb.ReadObjectResponse.FromString(message)
        if parsed.HasField("object"):
            self._download.describe(_wire.object_info(parsed.object))
            return b""
        return self._download.feed(Chunk(parsed.chunk.offset, parsed.chunk.data, parsed.chunk.crc32c))

    def finish(self) -> None:
        self._download.finish()


def _fresh_key() -> str:
    return uuid.uuid4().hex
