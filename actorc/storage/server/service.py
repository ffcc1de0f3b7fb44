"""The gRPC face: unpack, call the store, pack. Every method of the descriptor has one here, in snake case."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage import _wire
from actorc.storage._frames import READ_CHUNK_FIELD, WRITE_CHUNK_FIELD, decode_chunk, encode_chunk
from actorc.storage.errors import InvalidParameterError
from actorc.storage.models import Chunk, Condition, ObjectAttributes
from actorc.storage.rules import MAX_CHUNK_SIZE

from .interceptors import Call
from .store import ObjectStore
from .upload import Upload

WriteFrame = Chunk | pb.WriteObjectRequest

_DRAIN: Final = 2.0
"""Seconds for which a refused upload is read on, so that its sender comes to hear the reason."""


class StorageService:
    """What each method does.

    Args:
        store: The rules.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def get_server_info(self, _request: pb.GetServerInfoRequest, _call: Call) -> pb.GetServerInfoResponse:
        """Tell limits and capabilities."""
        return _wire.server_message(self._store.server_info())

    def create_bucket(self, request: pb.CreateBucketRequest, _call: Call) -> pb.CreateBucketResponse:
        """Make a bucket."""
        info = self._store.create_bucket(
            request.bucket, exist_ok=request.exist_ok, idempotency_key=request.idempotency_key
        )
        return pb.CreateBucketResponse(bucket=_wire.bucket_message(info))

    def delete_bucket(self, request: pb.DeleteBucketRequest, _call: Call) -> pb.DeleteBucketResponse:
        """Remove an empty bucket."""
        self._store.delete_bucket(request.bucket, idempotency_key=request.idempotency_key)
        return pb.DeleteBucketResponse()

    def head_bucket(self, request: pb.HeadBucketRequest, _call: Call) -> pb.HeadBucketResponse:
        """Describe a bucket."""
        return pb.HeadBucketResponse(bucket=_wire.bucket_message(self._store.head_bucket(request.bucket)))

    def list_buckets(self, _request: pb.ListBucketsRequest, _call: Call) -> pb.ListBucketsResponse:
        """Describe all buckets."""
        return pb.ListBucketsResponse(buckets=map(_wire.bucket_message, self._store.buckets()))

    def put_object(self, request: pb.PutObjectRequest, call: Call) -> pb.PutObjectResponse:
        """Store a small object."""
        data = request.data
        call.bytes = len(data)
        info = self._store.put(
            request.bucket,
            request.key,
            data,
            request.crc32c,
            attributes=_attributes(request),
            condition=_wire.condition(request.condition),
            idempotency_key=request.idempotency_key,
        )
        return pb.PutObjectResponse(object=_wire.object_message(info))

    def write_object(self, frames: Iterator[WriteFrame], call: Call) -> Iterator[pb.WriteObjectResponse]:
        """Store an object of any size; a failure is told in band, then as the status."""
        try:
            yield from self._receive(frames, call)
        except grpc.RpcError:
            raise
        except Exception as error:
            failure = call.failure(error)
            yield pb.WriteObjectResponse(failed=_wire.status_message(failure))
            with call.at_most(_DRAIN, failure):
                for _ in frames:
                    pass
            raise failure from error

    def read_object(self, request: pb.ReadObjectRequest, call: Call) -> Iterator[pb.ReadObjectResponse | bytes]:
        """Send an object's description, then its bytes."""
        with self._store.read(
            request.bucket,
            request.key,
            [_wire.byte_range(part) for part in request.ranges],
            generation=request.generation or None,
            if_match=request.if_match or None,
        ) as (info, chunks):
            yield pb.ReadObjectResponse(object=_wire.object_message(info))
            for chunk in chunks:
                call.bytes += len(chunk.data)
                yield encode_chunk(READ_CHUNK_FIELD, chunk)

    def head_object(self, request: pb.HeadObjectRequest, _call: Call) -> pb.HeadObjectResponse:
        """Describe an object."""
        return pb.HeadObjectResponse(object=_wire.object_message(self._store.head(request.bucket, request.key)))

    def list_objects(self, request: pb.ListObjectsRequest, _call: Call) -> pb.ListObjectsResponse:
        """Describe one page of objects."""
        page = self._store.page(
            request.bucket,
            prefix=request.prefix,
            delimiter=request.delimiter,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return pb.ListObjectsResponse(
            objects=map(_wire.object_message, page.objects),
            common_prefixes=page.common_prefixes,
            next_page_token=page.next_after,
        )

    def delete_object(self, request: pb.DeleteObjectRequest, _call: Call) -> pb.DeleteObjectResponse:
        """Remove an object."""
        deleted = self._store.delete(
            request.bucket,
            request.key,
            condition=Condition(if_match=request.if_match or None),
            idempotency_key=request.idempotency_key,
        )
        return pb.DeleteObjectResponse(deleted=deleted)

    def _receive(self, frames: Iterator[WriteFrame], call: Call) -> Iterator[pb.WriteObjectResponse]:
        opening = _opening(frames)
        call.bucket, call.key = opening.bucket, opening.key
        with self._begin(opening, call) as upload:
            yield pb.WriteObjectResponse(accepted=pb.WriteAccepted(max_chunk_size=MAX_CHUNK_SIZE))
            commit = _fill(upload, frames, call)
            info = upload.commit(size=commit.size, crc32c=commit.crc32c)
        yield pb.WriteObjectResponse(done=_wire.object_message(info))

    def _begin(self, opening: pb.WriteOpen, call: Call) -> Upload:
        return self._store.begin_write(
            opening.bucket,
            opening.key,
            attributes=_attributes(opening),
            condition=_wire.condition(opening.condition),
            idempotency_key=opening.idempotency_key,
            declared_size=opening.declared_size or None,
            judge_early=call.first_attempt or not opening.idempotency_key,
        )


def storage_handler(service: StorageService) -> grpc.GenericRpcHandler:
    """Return `service` as gRPC takes it, every method as the descriptor describes it."""
    handlers = {method.name: _method_handler(method, service) for method in _wire.SERVICE.methods}
    return grpc.method_handlers_generic_handler(_wire.SERVICE.full_name, handlers)


def _method_handler(method: MethodDescriptor, service: StorageService) -> grpc.RpcMethodHandler[Any, Any]:
    behavior: Any = getattr(service, re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower())
    read = _reader(GetMessageClass(method.input_type))
    if method.client_streaming:
        return grpc.stream_stream_rpc_method_handler(behavior, _write_frame_reader(read), _serialized)
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(behavior, read, _serialized)
    return grpc.unary_unary_rpc_method_handler(behavior, read, _serialized)


def _reader(message_class: type[Message]) -> Callable[[bytes], Any]:
    """Return a deserializer; it returns an error instead of raising it, which gRPC would answer without details."""

    def read(data: bytes) -> Message | InvalidParameterError:
        try:
            return message_class.FromString(data)
        except DecodeError:
            return InvalidParameterError(f"the request is no {message_class.DESCRIPTOR.name}; compare your .proto")

    return read


def _write_frame_reader(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def read_frame(data: bytes) -> Any:
        chunk = decode_chunk(WRITE_CHUNK_FIELD, data)
        if chunk is not None:
            return chunk
        message = read(data)
        if isinstance(message, pb.WriteObjectRequest) and message.WhichOneof("frame") == "chunk":
            return Chunk(message.chunk.offset, message.chunk.data, message.chunk.crc32c)
        return message

    return read_frame


def _serialized(response: Message | bytes) -> bytes:
    return response if isinstance(response, bytes) else response.SerializeToString()


def _attributes(request: pb.PutObjectRequest | pb.WriteOpen) -> ObjectAttributes:
    return ObjectAttributes(content_type=request.content_type, metadata=dict(request.metadata))


def _opening(frames: Iterator[WriteFrame]) -> pb.WriteOpen:
    first = next(frames, None)
    if not isinstance(first, pb.WriteObjectRequest) or first.WhichOneof("frame") != "open":
        raise InvalidParameterError("an upload begins with an open message; send bucket and key first")
    return first.open


def _fill(upload: Upload, frames: Iterator[WriteFrame], call: Call) -> pb.WriteCommit:
    for frame in frames:
        if isinstance(frame, Chunk):
            upload.write(frame)
            call.bytes += len(frame.data)
        elif frame.WhichOneof("frame") == "commit":
            return frame.commit
        else:
            raise InvalidParameterError("an upload is opened once; send chunks, then commit")
    raise InvalidParameterError("the stream ended without a commit message and nothing was stored; send one last")
