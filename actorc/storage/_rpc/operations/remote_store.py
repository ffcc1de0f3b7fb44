"""The server's operations as typed calls: models in, models out. Protobuf messages do not leave this module."""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import suppress
from typing import Any

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._rpc import answer_checks
from actorc.storage._rpc.byte_source import source_errors
from actorc.storage._rpc.data_calls import Read, SmallRead, Write, fresh_key
from actorc.storage._rpc.files.operations import RemoteFiles
from actorc.storage._rpc.payload import Download, Upload
from actorc.storage._rpc.retries.deadline import MOVING_SECONDS, Deadline
from actorc.storage._rpc.retries.retry_policy import RetryPolicy
from actorc.storage._rpc.rpc import Rpc
from actorc.storage._wire import messages
from actorc.storage._wire.url_signing import Grant
from actorc.storage.config import ClientOptions
from actorc.storage.errors import DeadlineExceededError, UnsupportedError
from actorc.storage.models import (
    ANY,
    BucketInfo,
    ByteRange,
    Condition,
    Destination,
    ObjectInfo,
    ServerInfo,
)
from actorc.storage.rules import MAX_ANSWER_SIZE, MAX_INLINE_SIZE

from .batch_operations import RemoteBatches
from .listing_operations import RemoteListings
from .multipart_operations import RemoteUploads


class RemoteStore(RemoteListings, RemoteUploads, RemoteBatches, RemoteFiles):
    """The operations of a storage server. Any thread may call it, also in a child after a fork.

    Args:
        options: Settings of the client: servers, timeouts, keys.
        retry: Decides on retries and pauses.
    """

    def __init__(self, options: ClientOptions, retry: RetryPolicy) -> None:
        self._rpc = Rpc(options, retry)
        self.endpoint = options.endpoint
        """``host:port``, or several with commas between them."""
        # hints, set without a lock: a thread with an old value makes one call more than needed
        self._gets = True
        self._expects_small = True
        self._timeout = options.timeout
        self._patience = min(options.timeout, options.idle_timeout)

    def server_info(self, timeout: float | None = None) -> tuple[ServerInfo, str]:
        """Return limits and capabilities of the server, and the transport that leads to it."""
        return self._rpc.ask(pb.GetServerInfoRequest(), messages.server_info, timeout=timeout), self._rpc.transport

    def create_bucket(self, bucket: str, *, exist_ok: bool, timeout: float | None = None) -> BucketInfo:
        """Make a bucket and return it."""
        request = pb.CreateBucketRequest(bucket=bucket, exist_ok=exist_ok, idempotency_key=fresh_key())
        return self._ask_bucket(request, timeout)

    def delete_bucket(self, bucket: str, timeout: float | None = None) -> None:
        """Remove an empty bucket."""
        request = pb.DeleteBucketRequest(bucket=bucket, idempotency_key=fresh_key())
        self._rpc.ask(request, bool, timeout=timeout)

    def head_bucket(self, bucket: str, timeout: float | None = None) -> BucketInfo:
        """Return the description of a bucket."""
        return self._ask_bucket(pb.HeadBucketRequest(bucket=bucket), timeout)

    def _ask_bucket(self, request: pb.CreateBucketRequest | pb.HeadBucketRequest, timeout: float | None) -> BucketInfo:
        def judge(answer: pb.CreateBucketResponse | pb.HeadBucketResponse) -> BucketInfo:
            return answer_checks.of_bucket(messages.bucket_info(answer.bucket), request.bucket)

        return self._rpc.ask(request, judge, timeout=timeout)

    def put(self, destination: Destination, upload: Upload, *, timeout: float | None = None) -> ObjectInfo:
        """Store an object: in one call if its size is known and at most 1 MiB, else as a stream.

        An exception of the caller's own source is raised unchanged.
        """
        with source_errors():
            if upload.size is not None and upload.size <= MAX_INLINE_SIZE:
                return self._put_inline(destination, upload, timeout)
            write = Write.of_object(upload, destination)
            return self._rpc.send("WriteObject", write, timeout=timeout)

    def _put_inline(self, destination: Destination, upload: Upload, timeout: float | None) -> ObjectInfo:
        # joined, because the message must hold one buffer; at most 1 MiB
        data = b"".join(chunk.data for chunk in upload.chunks())
        request = pb.PutObjectRequest(
            **messages.destination_fields(destination), idempotency_key=fresh_key(), crc32c=upload.checksum(), data=data
        )

        def judge(answer: pb.PutObjectResponse) -> ObjectInfo:
            info = messages.object_info(answer.object)
            return answer_checks.of_write(info, request.bucket, request.key, len(data), request.crc32c)

        return self._rpc.ask(request, judge, timeout=timeout)

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
        """Return a range of an object, a small one by a single call, another by a stream.

        The size is not known before the answer, so it is expected to be like that of the last object. A single answer
        that does not come in time is no failure: a stream notices a connection that stands still and continues over
        another one, for as long as `timeout` allows.
        """
        deadline = Deadline(timeout)
        data = self._get_small(SmallRead(bucket, key, part, generation, if_match), deadline)
        if data is None:
            data = self._get_from_files(bucket, key, part, generation, if_match, deadline)
        if data is not None:
            return data
        buffer, download = io.BytesIO(), Download(part, generation)
        for piece in self.read(bucket, key, download, if_match=if_match, timeout=deadline.left()):
            buffer.write(piece)
        if part.length is None:
            self._expects_small = buffer.tell() <= MAX_ANSWER_SIZE
        return buffer.getvalue()

    def content(self, bucket: str, key: str, timeout: float | None = None) -> tuple[ObjectInfo, bytes]:
        """Return the current object with its bytes, by a stream."""
        buffer, download = io.BytesIO(), Download()
        for piece in self.read(bucket, key, download, timeout=timeout):
            buffer.write(piece)
        assert download.info is not None
        return download.info, buffer.getvalue()

    def _get_from_files(
        self,
        bucket: str,
        key: str,
        part: ByteRange,
        generation: int | None,
        if_match: str | None,
        deadline: Deadline,
    ) -> bytes | None:
        files = self.open_files(bucket, key, generation, if_match=if_match, timeout=deadline.left())
        if files is None:
            return None
        with files:
            # a range behind the end is refused by the stream
            if part.offset > files.info.size:
                return None
            if part.length is None:
                self._expects_small = files.info.size <= MAX_ANSWER_SIZE
            try:
                return files.read(part)
            except OSError:  # the server says what is wrong with its disk
                return None

    def view(
        self,
        bucket: str,
        key: str,
        part: ByteRange,
        generation: int | None,
        *,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> memoryview:
        """Return a range of an object as read-only memory, mapped if the object is a file of this machine."""
        deadline = Deadline(timeout)
        files = self.open_files(bucket, key, generation, if_match=if_match, timeout=deadline.left())
        if files is not None:
            with files, suppress(OSError):
                if part.offset <= files.info.size:
                    return files.view(part)
        return memoryview(self.get(bucket, key, part, generation, if_match=if_match, timeout=deadline.left()))

    def _get_small(self, read: SmallRead, deadline: Deadline) -> bytes | None:
        left = deadline.left()
        patience = self._patience if left is None else min(self._patience, left)
        if self._gets and (read.fits or (read.may_fit and self._expects_small)):
            try:
                return self._rpc.ask(read.request, read.accept, timeout=patience, patient=left is not None)
            except UnsupportedError:
                self._gets = False  # an older server, and it answers every such call like this
            except DeadlineExceededError:
                # the stream that follows has an idle timeout, and can resume
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
    ) -> Generator[bytes | memoryview, None, None]:
        """Yield the bytes of an object; `download` has the range, and after the first piece the description."""
        return self._rpc.receive("ReadObject", Read(bucket, key, download, if_match), timeout=timeout)

    def head(self, bucket: str, key: str, timeout: float | None = None) -> ObjectInfo:
        """Return the description of the current object."""
        request = pb.HeadObjectRequest(bucket=bucket, key=key)
        return self._ask_object(request, timeout=timeout)

    def _ask_object(self, request: pb.HeadObjectRequest | pb.CopyObjectRequest, **times: Any) -> ObjectInfo:
        def judge(answer: pb.HeadObjectResponse | pb.CopyObjectResponse) -> ObjectInfo:
            return answer_checks.of_object(messages.object_info(answer.object), request.bucket, request.key)

        return self._rpc.ask(request, judge, **times)

    def delete(self, bucket: str, key: str, condition: Condition = ANY, timeout: float | None = None) -> bool:
        """Remove an object; return whether there was one."""
        request = pb.DeleteObjectRequest(
            bucket=bucket, key=key, if_match=condition.if_match or "", idempotency_key=fresh_key()
        )
        return self._rpc.ask(request, lambda answer: bool(answer.deleted), timeout=timeout)

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
        """Copy an object, with the attributes of the source or those of `destination`; return the new object."""
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
            condition=messages.condition_message(destination.condition),
            ttl_seconds=attributes.ttl or 0,
            idempotency_key=fresh_key(),
        )
        seconds = MOVING_SECONDS if timeout is None else timeout
        return self._ask_object(request, timeout=seconds, patient=timeout is not None)

    def presign_url(self, grant: Grant, expires: int, timeout: float | None = None) -> str:
        """Return a URL, signed by the server, that allows `grant` for `expires` seconds by the server's clock."""
        request = pb.PresignUrlRequest(
            method=grant.method,
            bucket=grant.bucket,
            key=grant.key,
            expires_seconds=expires,
            max_size=grant.max_size or 0,
            content_type=grant.content_type or "",
        )
        return self._rpc.ask(request, lambda answer: answer_checks.of_url(answer.url, grant), timeout=timeout)

    def close(self) -> None:
        """Close the connection."""
        self._rpc.close()
