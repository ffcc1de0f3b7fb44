"""The server's operations as typed calls: models in, models out; messages are built and read here, never kept."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Final

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb

from . import _wire
from ._checksum import crc32c
from ._deadline import MOVING_SECONDS, Deadline
from ._presign import Grant
from ._remote_uploads import RemoteUploads
from ._retry import RetryPolicy
from ._rpc import Rpc
from ._streams import Read, SmallRead, Write, fresh_key
from ._transfer import Download, Upload, source_errors
from .config import ClientOptions
from .errors import DeadlineExceededError, UnsupportedError
from .models import ANY, BucketInfo, ByteRange, Condition, DeleteResult, Destination, ListQuery, ObjectInfo, ServerInfo
from .rules import MAX_ANSWER_SIZE, MAX_INLINE_SIZE

_NO_MORE: Final = ""


class RemoteStore(RemoteUploads):
    """A storage server, seen from here.

    Args:
        options: Where the server is and how long to wait.
        retry: When to try again.
    """

    def __init__(self, options: ClientOptions, retry: RetryPolicy) -> None:
        self._rpc = Rpc(options, retry)
        self.endpoint = options.endpoint
        """``host:port``, or several with commas between them."""
        self._gets = True
        self._expects_small = True
        self._patience = min(options.timeout, options.idle_timeout)

    def server_info(self, timeout: float | None = None) -> ServerInfo:
        """Ask for limits and capabilities."""
        answer = self._rpc.ask("GetServerInfo", pb.GetServerInfoRequest(), pb.GetServerInfoResponse, timeout=timeout)
        return _wire.server_info(answer)

    def create_bucket(self, bucket: str, *, exist_ok: bool, timeout: float | None = None) -> BucketInfo:
        """Make a bucket."""
        request = pb.CreateBucketRequest(bucket=bucket, exist_ok=exist_ok, idempotency_key=fresh_key())
        answer = self._rpc.ask("CreateBucket", request, pb.CreateBucketResponse, timeout=timeout)
        return _wire.bucket_info(answer.bucket)

    def delete_bucket(self, bucket: str, timeout: float | None = None) -> None:
        """Remove an empty bucket."""
        request = pb.DeleteBucketRequest(bucket=bucket, idempotency_key=fresh_key())
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

    def put(self, destination: Destination, upload: Upload, *, timeout: float | None = None) -> ObjectInfo:
        """Store an object: in one call if it is known to be small, else as a stream.

        Whatever the caller's own source raises comes out as it is.
        """
        with source_errors():
            if upload.size is not None and upload.size <= MAX_INLINE_SIZE:
                return self._put_inline(destination, upload, timeout)
            write = Write.of_object(upload, destination)
            return _wire.object_info(self._rpc.send("WriteObject", write, timeout=timeout).done)

    def _put_inline(self, destination: Destination, upload: Upload, timeout: float | None) -> ObjectInfo:
        data = b"".join(chunk.data for chunk in upload.chunks())
        request = pb.PutObjectRequest(
            bucket=destination.bucket,
            key=destination.key,
            content_type=destination.attributes.content_type,
            metadata=dict(destination.attributes.metadata),
            condition=_wire.condition_message(destination.condition),
            ttl_seconds=destination.attributes.ttl or 0,
            idempotency_key=fresh_key(),
            crc32c=crc32c(data),
            data=data,
        )
        return _wire.object_info(self._rpc.ask("PutObject", request, pb.PutObjectResponse, timeout=timeout).object)

    def get(
        self,
        bucket: str,
        key: str,
        part: ByteRange,
        generation: int | None,
        *,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """Return a part of an object: what is small in one call, what is not by a stream.

        What size the object has is not known before, so it is taken for one like the last. A single answer that does
        not come in time is no failure: a stream notices a connection that stands still, and goes on over another one,
        for as long as `timeout` allows.
        """
        deadline = Deadline(timeout)
        data = self._get_small(SmallRead(bucket, key, part, generation, if_match), deadline)
        if data is not None:
            return data
        buffer, download = io.BytesIO(), Download(part, generation)
        for piece in self.read(bucket, key, download, if_match=if_match, timeout=deadline.left()):
            buffer.write(piece)
        if part.length is None:
            self._expects_small = buffer.tell() <= MAX_ANSWER_SIZE
        return buffer.getvalue()

    def _get_small(self, read: SmallRead, deadline: Deadline) -> bytes | None:
        left = deadline.left()
        patience = self._patience if left is None else min(self._patience, left)
        if self._gets and (read.fits or (read.may_fit and self._expects_small)):
            try:
                return self._rpc.ask_for("GetObject", read.request, read.accept, timeout=patience)
            except UnsupportedError:
                self._gets = False  # an older server, and it answers every such call like this
            except DeadlineExceededError:
                pass
        return None

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
        return self._rpc.receive("ReadObject", Read(bucket, key, download, if_match), timeout=timeout)

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
            bucket=bucket, key=key, if_match=condition.if_match or "", idempotency_key=fresh_key()
        )
        return self._rpc.ask("DeleteObject", request, pb.DeleteObjectResponse, timeout=timeout).deleted

    def delete_many(self, bucket: str, keys: Sequence[str], timeout: float | None = None) -> list[DeleteResult]:
        """Remove at most 1000 objects; return what became of each."""
        request = pb.DeleteObjectsRequest(bucket=bucket, keys=keys, idempotency_key=fresh_key())
        answer = self._rpc.ask("DeleteObjects", request, pb.DeleteObjectsResponse, timeout=timeout)
        return [_wire.delete_result(message) for message in answer.results]

    def copy(
        self,
        source: tuple[str, str],
        destination: Destination,
        *,
        keep_attributes: bool,
        generation: int | None = None,
        source_condition: Condition = ANY,
        timeout: float | None = None,
    ) -> ObjectInfo:
        """Make an object of the bytes of another, with that one's attributes or those of `destination`."""
        attributes = destination.attributes
        replaced = pb.Attributes(content_type=attributes.content_type, metadata=dict(attributes.metadata))
        request = pb.CopyObjectRequest(
            source_bucket=source[0],
            source_key=source[1],
            source_generation=generation or 0,
            source_if_match=source_condition.if_match or "",
            bucket=destination.bucket,
            key=destination.key,
            attributes=None if keep_attributes else replaced,
            condition=_wire.condition_message(destination.condition),
            ttl_seconds=attributes.ttl or 0,
            idempotency_key=fresh_key(),
        )
        seconds = MOVING_SECONDS if timeout is None else timeout
        return _wire.object_info(self._rpc.ask("CopyObject", request, pb.CopyObjectResponse, timeout=seconds).object)

    def presign_url(self, grant: Grant, expires: int, timeout: float | None = None) -> str:
        """Have a URL made that allows `grant`, for `expires` seconds by the server's clock."""
        request = pb.PresignUrlRequest(
            method=grant.method,
            bucket=grant.bucket,
            key=grant.key,
            expires_seconds=expires,
            max_size=grant.max_size or 0,
            content_type=grant.content_type or "",
        )
        return self._rpc.ask("PresignUrl", request, pb.PresignUrlResponse, timeout=timeout).url

    def close(self) -> None:
        """Close the connection."""
        self._rpc.close()
