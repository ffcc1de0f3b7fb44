"""The server's operations as typed calls: models in, models out. Protobuf messages do not leave this module."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.random_ids import random_id
from actorc.storage._rpc import answer_checks
from actorc.storage._rpc.byte_source import source_errors
from actorc.storage._rpc.data_calls import Write
from actorc.storage._rpc.payload import Upload
from actorc.storage._rpc.retries.deadline import MOVING_SECONDS, Deadline
from actorc.storage._rpc.retries.retry_policy import RetryPolicy
from actorc.storage._rpc.rpc import Rpc
from actorc.storage._rpc.transport import NETWORK, Transport
from actorc.storage._wire import messages
from actorc.storage.config import ClientOptions
from actorc.storage.errors import StorageError
from actorc.storage.models import (
    ANY,
    BucketInfo,
    Condition,
    Destination,
    ObjectInfo,
    ServerInfo,
)
from actorc.storage.rules import MAX_BATCH_OBJECT, MAX_INLINE_SIZE

from .gathered_operations import GatheredCall, GatheredPut, RemoteGathering
from .listing_operations import RemoteListings
from .multipart_operations import RemoteUploads
from .range_operations import RemoteRanges
from .read_operations import RemoteReads

if TYPE_CHECKING:
    from actorc.storage._wire.url_signing import Grant


_PATIENCE: Final = 5.0
"""Seconds in which calls that measure a round trip must end."""


class RemoteStore(RemoteListings, RemoteUploads, RemoteRanges, RemoteReads, RemoteGathering):
    """The operations of a storage server. Any thread may call it, also in a child after a fork.

    Args:
        options: Settings of the client: servers, timeouts, keys.
        retry: Decides on retries and pauses.
        transport: Carries the calls in place of connections to these servers.
    """

    def __init__(self, options: ClientOptions, retry: RetryPolicy, transport: Transport | None = None) -> None:
        self._rpc = Rpc(options, retry, transport)
        self.endpoint = options.endpoint
        """``host:port``, or several with commas between them."""
        self._timeout = options.timeout
        self._patience = min(options.timeout, options.idle_timeout)
        self._heads = self._gathered_heads()
        self._puts = self._gathered_puts()
        self._small_gets = self._gathered_gets()

    def measured_round_trip(self, timeout: float | None = None) -> float:
        """Return the seconds of a round trip to the server at most; 0 if there is no network, or it does not answer.

        Calls of before have shown it, or some are made for that.
        """
        trips, left = self._rpc.round_trips, Deadline(_PATIENCE if timeout is None else min(timeout, _PATIENCE))
        with suppress(StorageError):
            while self._rpc.transport in {"", NETWORK} and not trips.seconds:
                self._rpc.ask(pb.GetServerInfoRequest(), bool, timeout=left.left(), patient=False, once=True)
        return trips.seconds

    def server_info(self, timeout: float | None = None) -> tuple[ServerInfo, str]:
        """Return limits and capabilities of the server, and the transport that leads to it."""
        return self._rpc.ask(pb.GetServerInfoRequest(), messages.server_info, timeout=timeout), self._rpc.transport

    def create_bucket(self, bucket: str, *, exist_ok: bool, timeout: float | None = None) -> BucketInfo:
        """Make a bucket and return it."""
        request = pb.CreateBucketRequest(bucket=bucket, exist_ok=exist_ok, idempotency_key=random_id())
        return self._ask_bucket(request, timeout)

    def delete_bucket(self, bucket: str, timeout: float | None = None) -> None:
        """Remove an empty bucket."""
        request = pb.DeleteBucketRequest(bucket=bucket, idempotency_key=random_id())
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
        call = GatheredPut(destination, data, upload.checksum(), timeout)
        return self._puts.make(call, self._put_alone) if call.size <= MAX_BATCH_OBJECT else self._put_alone(call)

    def _put_alone(self, call: GatheredPut) -> ObjectInfo:
        request = pb.PutObjectRequest(
            **messages.destination_fields(call.destination),
            idempotency_key=call.idempotency_key or random_id(),
            crc32c=call.checksum,
            data=call.data,
        )

        def judge(answer: pb.PutObjectResponse) -> ObjectInfo:
            info = messages.object_info(answer.object)
            return answer_checks.of_write(info, call.bucket, call.key, call.size, call.checksum)

        return self._rpc.ask(request, judge, timeout=call.timeout)

    def head(self, bucket: str, key: str, timeout: float | None = None) -> ObjectInfo:
        """Return the description of the current object."""
        return self._heads.make(GatheredCall(bucket, key, timeout), self._head_alone)

    def _head_alone(self, call: GatheredCall) -> ObjectInfo:
        return self._ask_object(pb.HeadObjectRequest(bucket=call.bucket, key=call.key), timeout=call.timeout)

    def _ask_object(self, request: pb.HeadObjectRequest | pb.CopyObjectRequest, **times: Any) -> ObjectInfo:
        def judge(answer: pb.HeadObjectResponse | pb.CopyObjectResponse) -> ObjectInfo:
            return answer_checks.of_object(messages.object_info(answer.object), request.bucket, request.key)

        return self._rpc.ask(request, judge, **times)

    def delete(self, bucket: str, key: str, condition: Condition = ANY, timeout: float | None = None) -> bool:
        """Remove an object; return whether there was one."""
        request = pb.DeleteObjectRequest(
            bucket=bucket, key=key, if_match=condition.if_match or "", idempotency_key=random_id()
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
            idempotency_key=random_id(),
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
