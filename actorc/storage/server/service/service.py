"""The methods of the service: unpack, call the store, pack. Each has a method here or in a base, in snake case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._wire import error_status, messages
from actorc.storage._wire.chunk_codec import READ_CHUNK_FIELD, encode_chunk
from actorc.storage.models import WHOLE, ByteRange, Condition
from actorc.storage.rules import MAX_ANSWER_SIZE
from actorc.storage.server.auth.presigning import PresignedUrls
from actorc.storage.server.engines.base import CopySource
from actorc.storage.server.store.store import ObjectStore

from . import files, write_stream
from .batch_methods import BatchMethods
from .call import Call
from .call_context import PeerGoneError
from .multipart_methods import MultipartMethods
from .write_stream import WriteFrame

_DRAIN_SECONDS: Final = 2.0
"""Seconds for which the rest of a refused upload is read, so that the sender gets to read the reason."""


class StorageService(BatchMethods, MultipartMethods):
    """The methods of the service. Any thread may call it.

    Args:
        store: The operations.
        urls: Issues presigned URLs.
    """

    def __init__(self, store: ObjectStore, urls: PresignedUrls) -> None:
        super().__init__(store)
        self._urls = urls

    def get_server_info(self, _request: pb.GetServerInfoRequest, call: Call) -> pb.GetServerInfoResponse:
        """Return limits and capabilities."""
        return messages.server_message(replace(self._as(call).server_info(), http_endpoint=self._urls.endpoint))

    def create_bucket(self, request: pb.CreateBucketRequest, call: Call) -> pb.CreateBucketResponse:
        """Make a bucket and return it."""
        info = self._as(call).create_bucket(
            request.bucket, exist_ok=request.exist_ok, idempotency_key=request.idempotency_key
        )
        return pb.CreateBucketResponse(bucket=messages.bucket_message(info))

    def delete_bucket(self, request: pb.DeleteBucketRequest, call: Call) -> pb.DeleteBucketResponse:
        """Remove an empty bucket."""
        self._as(call).delete_bucket(request.bucket, idempotency_key=request.idempotency_key)
        return pb.DeleteBucketResponse()

    def head_bucket(self, request: pb.HeadBucketRequest, call: Call) -> pb.HeadBucketResponse:
        """Return the description of a bucket."""
        return pb.HeadBucketResponse(bucket=messages.bucket_message(self._as(call).head_bucket(request.bucket)))

    def list_buckets(self, request: pb.ListBucketsRequest, call: Call) -> pb.ListBucketsResponse:
        """Return one page of buckets."""
        buckets, token = self._as(call).bucket_page(page_size=request.page_size, page_token=request.page_token)
        return pb.ListBucketsResponse(buckets=map(messages.bucket_message, buckets), next_page_token=token)

    def put_object(self, request: pb.PutObjectRequest, call: Call) -> pb.PutObjectResponse:
        """Store a small object."""
        data = request.data
        call.bytes = len(data)
        info = self._as(call).put(
            request.bucket,
            request.key,
            data,
            request.crc32c,
            attributes=messages.attributes(request, request.ttl_seconds),
            condition=messages.condition(request.condition),
            idempotency_key=request.idempotency_key,
        )
        return pb.PutObjectResponse(object=messages.object_message(info))

    def write_object(self, frames: Iterator[WriteFrame], call: Call) -> Iterator[pb.WriteObjectResponse]:
        """Store an object of any size; an error is sent in band, then as the status."""
        try:
            yield from write_stream.received(self._as(call), frames, call)
        except PeerGoneError:
            raise
        except Exception as error:
            failure = call.failure(error)
            # in band, since gRPC drops the trailers of a stream whose sender still sends
            yield pb.WriteObjectResponse(failed=error_status.status_message(failure))
            with call.limited(_DRAIN_SECONDS, failure):
                for _ in frames:
                    pass
            raise failure from error

    def get_object(self, request: pb.GetObjectRequest, call: Call) -> pb.GetObjectResponse:
        """Return a small object, or a small range of one, in one message."""
        wanted = messages.byte_range(request.range)
        if wanted == WHOLE and not (request.generation or request.if_match):
            return self._get_whole(request, call)
        most = MAX_ANSWER_SIZE if wanted.length is None else min(wanted.length, MAX_ANSWER_SIZE)
        sent = ByteRange(wanted.offset, most)
        with self._as(call).read(
            request.bucket,
            request.key,
            [sent],
            generation=request.generation or None,
            if_match=request.if_match or None,
        ) as (info, chunks):
            answer = pb.GetObjectResponse(object=messages.object_message(info))
            answer.too_large = sent.clamp(info.size) != wanted.clamp(info.size)
            if not answer.too_large:
                answer.chunks.extend(map(messages.chunk_message, chunks))
                call.bytes = sum(len(chunk.data) for chunk in answer.chunks)
            return answer

    def _get_whole(self, request: pb.GetObjectRequest, call: Call) -> pb.GetObjectResponse:
        """Return the current object if it is small, by one look-up."""
        info, data = self._as(call).read_small(request.bucket, request.key)
        answer = pb.GetObjectResponse(object=messages.object_message(info), too_large=data is None)
        if data:
            call.bytes = len(data)
            answer.chunks.add(offset=0, crc32c=info.crc32c, data=data)
        return answer

    def get_ranges(self, request: pb.GetRangesRequest, call: Call) -> pb.GetRangesResponse:
        """Return many ranges of an object in one message."""
        info, chunks = self._as(call).read_ranges(
            request.bucket,
            request.key,
            [messages.byte_range(part) for part in request.ranges],
            generation=request.generation or None,
            if_match=request.if_match or None,
        )
        call.bytes = sum(len(chunk.data) for chunk in chunks)
        return pb.GetRangesResponse(object=messages.object_message(info), chunks=map(messages.chunk_message, chunks))

    def read_object(self, request: pb.ReadObjectRequest, call: Call) -> Iterator[pb.ReadObjectResponse | bytes]:
        """Send the description of an object, then its bytes."""
        with self._as(call).read(
            request.bucket,
            request.key,
            [messages.byte_range(part) for part in request.ranges],
            generation=request.generation or None,
            if_match=request.if_match or None,
            recorded_checksums=request.recorded_checksums,
        ) as (info, chunks):
            yield pb.ReadObjectResponse(object=messages.object_message(info))
            for chunk in chunks:
                call.bytes += len(chunk.data)
                yield encode_chunk(READ_CHUNK_FIELD, chunk)

    def open_object(self, request: pb.OpenObjectRequest, call: Call) -> pb.OpenObjectResponse:
        """Pass the files of an object to a client on the same machine."""
        with self._as(call).files(
            request.bucket,
            request.key,
            generation=request.generation or None,
            if_match=request.if_match or None,
        ) as (info, found):
            return files.opened(info, found, call)

    def head_object(self, request: pb.HeadObjectRequest, call: Call) -> pb.HeadObjectResponse:
        """Return the description of an object."""
        return pb.HeadObjectResponse(object=messages.object_message(self._as(call).head(request.bucket, request.key)))

    def list_objects(self, request: pb.ListObjectsRequest, call: Call) -> pb.ListObjectsResponse:
        """Return one page of objects."""
        page = self._as(call).page(
            request.bucket,
            prefix=request.prefix,
            delimiter=request.delimiter,
            page_size=request.page_size,
            page_token=request.page_token,
            details=not request.without_details,
        )
        return pb.ListObjectsResponse(
            objects=map(messages.object_message, page.objects),
            common_prefixes=page.common_prefixes,
            next_page_token=page.next_after,
        )

    def delete_object(self, request: pb.DeleteObjectRequest, call: Call) -> pb.DeleteObjectResponse:
        """Remove an object."""
        deleted = self._as(call).delete(
            request.bucket,
            request.key,
            condition=Condition(if_match=request.if_match or None),
            idempotency_key=request.idempotency_key,
        )
        return pb.DeleteObjectResponse(deleted=deleted)

    def copy_object(self, request: pb.CopyObjectRequest, call: Call) -> pb.CopyObjectResponse:
        """Copy an object."""
        info = self._as(call).copy(
            _copy_source(request),
            request.bucket,
            request.key,
            attributes=messages.attributes(request.attributes) if request.HasField("attributes") else None,
            condition=messages.condition(request.condition),
            ttl=request.ttl_seconds or None,
            idempotency_key=request.idempotency_key,
        )
        return pb.CopyObjectResponse(object=messages.object_message(info))

    def presign_url(self, request: pb.PresignUrlRequest, call: Call) -> pb.PresignUrlResponse:
        """Return a URL that allows one method on one object."""
        url = self._urls.issue(
            call.principal,
            request.method,
            request.bucket,
            request.key,
            expires=request.expires_seconds,
            max_size=request.max_size or None,
            content_type=request.content_type or None,
        )
        return pb.PresignUrlResponse(url=url)


def _copy_source(request: pb.CopyObjectRequest) -> CopySource:
    return CopySource(
        bucket=request.source_bucket,
        key=request.source_key,
        generation=request.source_generation or None,
        if_match=request.source_if_match or None,
    )
