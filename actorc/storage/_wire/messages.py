"""Conversions between protobuf messages and models, and between errors and gRPC status; each pair side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage.errors import ClockSkewError, DamagedMessageError, NetworkError, StorageError, error_class
from actorc.storage.models import (
    BucketInfo,
    ByteRange,
    Chunk,
    Condition,
    DeleteResult,
    Destination,
    ObjectInfo,
    PartInfo,
    ServerInfo,
    UploadInfo,
)

SERVICE: Final = pb.DESCRIPTOR.services_by_name["StorageService"]
DETAILS_KEY: Final = "grpc-status-details-bin"
REQUEST_ID_KEY: Final = "x-request-id"
ATTEMPT_KEY: Final = "x-attempt"
ERROR_DOMAIN: Final = "storage.ignis"

AnyMessage = TypeVar("AnyMessage", bound=Message)

_ERROR_INFO_URL = "type.googleapis.com/google.rpc.ErrorInfo"
_RETRY_INFO_URL = "type.googleapis.com/google.rpc.RetryInfo"
_MAX_TIME_DIGITS = 17
_BREAKS = re.compile(r"(Socket closed|Connection reset by peer|Broken pipe)( \(\d+\))?$")
"""End of gRPC's message about a connection that was made and then broke, with or without an error number."""
_BRIEF = 160
"""Characters that are kept of an error message in a batch answer, which may contain thousands of them."""
_OF_A_SERVER = tuple(each.name for each in fields(ServerInfo) if each.name not in {"capabilities", "time"})
"""Fields of `ServerInfo` that the message has by the same name and with the same value."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUS_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}
_TRANSPORT_CODES = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNIMPLEMENTED,
}
"""Status codes that gRPC itself sets. Others come from the service, with details or after an error in band."""


def parsed(kind: type[AnyMessage], data: bytes | None) -> AnyMessage:
    """Return the message of an answer.

    Raises:
        DamagedMessageError: `data` is None, or no message of this kind.
    """
    # gRPC returns None for a call that succeeded without an answer
    if data is None:
        raise DamagedMessageError("the storage server answered with nothing; the answer was lost on its way")
    with damaged_answers():
        return kind.FromString(data)


@contextmanager
def damaged_answers() -> Iterator[None]:
    """Turn errors of parsing an answer into a `DamagedMessageError`, the original chained."""
    try:
        yield
    except (DecodeError, OverflowError) as error:
        raise DamagedMessageError(f"the answer of the storage server cannot be read ({error})") from error


def microseconds(moment: datetime) -> int:
    """Return an aware time as whole microseconds since the epoch."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(us: int) -> datetime:
    """Return microseconds since the epoch as an aware UTC time."""
    return _EPOCH + timedelta(microseconds=us)


def object_message(info: ObjectInfo) -> pb.ObjectInfo:
    """Return `info` as a message."""
    return pb.ObjectInfo(
        bucket=info.bucket,
        key=info.key,
        size=info.size,
        etag=info.etag,
        generation=info.generation,
        crc32c=info.crc32c,
        content_type=info.content_type,
        metadata=dict(info.metadata),
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
        metadata=dict(message.metadata),
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
        message.failed.CopyFrom(status_message(type(result.error)(result.error.message[:_BRIEF])))
    return message


def delete_result(message: pb.DeleteResult) -> DeleteResult:
    """Return `message` as a model."""
    error = error_from_status(message.failed) if message.HasField("failed") else None
    if error:
        error.key = error.key or message.key
    return DeleteResult(key=message.key, deleted=message.deleted, error=error)


def bucket_message(info: BucketInfo) -> pb.BucketInfo:
    """Return `info` as a message."""
    return pb.BucketInfo(name=info.name, created_us=microseconds(info.created_at))


def bucket_info(message: pb.BucketInfo) -> BucketInfo:
    """Return `message` as a model."""
    return BucketInfo(name=message.name, created_at=moment(message.created_us))


def condition_message(condition: Condition) -> pb.Condition:
    """Return `condition` as a message."""
    return pb.Condition(if_absent=condition.if_absent, if_match=condition.if_match or "")


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


def status_code(error: StorageError) -> grpc.StatusCode:
    """Return the gRPC status that stands for `error`."""
    return grpc.StatusCode[error.status]


def status_message(error: StorageError) -> pb.Status:
    """Return `error` as the details that travel with its gRPC status."""
    info = pb.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN)
    facts = {"bucket": error.bucket, "key": error.key, "request_id": error.request_id, "code": error.code}
    info.metadata.update({name: value for name, value in facts.items() if value})
    info.metadata["retryable"] = "true" if error.retryable else "false"
    if isinstance(error, ClockSkewError) and error.server_time_us is not None:
        info.metadata["server_time_us"] = str(error.server_time_us)
        if error.server_time_signature:
            info.metadata["server_time_signature"] = error.server_time_signature
    message = pb.Status(code=status_code(error).value[0], message=error.message)
    message.details.add(type_url=_ERROR_INFO_URL, value=info.SerializeToString())
    if error.retry_after is not None:
        whole = int(error.retry_after)
        delay = pb.Duration(seconds=whole, nanos=int((error.retry_after - whole) * 1e9))
        message.details.add(type_url=_RETRY_INFO_URL, value=pb.RetryInfo(retry_delay=delay).SerializeToString())
    return message


def error_from_status(message: pb.Status) -> StorageError:
    """Return the error that `message` describes. Servers of other versions may send unknown reasons and details."""
    info, retry_after = pb.ErrorInfo(), None
    for detail in message.details:
        if detail.type_url == _ERROR_INFO_URL:
            info.ParseFromString(detail.value)
        elif detail.type_url == _RETRY_INFO_URL:
            delay = pb.RetryInfo.FromString(detail.value).retry_delay
            retry_after = delay.seconds + delay.nanos / 1e9
    status = _STATUS_BY_NUMBER.get(message.code, grpc.StatusCode.UNKNOWN).name
    facts = info.metadata
    error = error_class(info.reason, status)(
        message.message,
        bucket=facts.get("bucket"),
        key=facts.get("key"),
        code=facts.get("code"),
        request_id=facts.get("request_id", ""),
        retry_after=retry_after,
    )
    # the server knows better than the class: one reason may be lasting in one case and passing in another
    error.retryable = facts.get("retryable") == "true" if "retryable" in facts else error.retryable
    server_time = facts.get("server_time_us", "")
    if isinstance(error, ClockSkewError) and server_time.isdecimal() and len(server_time) <= _MAX_TIME_DIGITS:
        error.server_time_us = int(server_time)
        error.server_time_signature = facts.get("server_time_signature", "")
    return error


def error_from_rpc(
    rpc_error: grpc.RpcError, address: str, opened: Callable[[bytes], bytes] = lambda details: details
) -> StorageError:
    """Return the error that a failed call stands for.

    Args:
        rpc_error: The error that gRPC raised.
        address: The server's address and where it was set, for messages.
        opened: Returns the serialized `Status` in the details among the trailers, and raises if it is damaged.
    """
    code = rpc_error.code() if isinstance(rpc_error, grpc.Call) else grpc.StatusCode.UNKNOWN
    details = _details(rpc_error)
    if details is not None:
        return _error_in_details(details, code, opened)
    if code not in _TRANSPORT_CODES:
        return DamagedMessageError(_transport_message(code, rpc_error, address))
    # a cancellation that this process did not ask for came from the server or a proxy, so another attempt may succeed
    if code is grpc.StatusCode.CANCELLED and not _cancelled_here(rpc_error):
        return NetworkError(f"the storage server at {address} broke off the call; retry")
    if code is grpc.StatusCode.UNAVAILABLE and (mistake := _tls_mistake(rpc_error.details() or "", address)):
        return NetworkError(mistake, retryable=False)
    error = error_class("", code.name)(_transport_message(code, rpc_error, address))
    if isinstance(error, NetworkError):
        error.broken = isinstance(rpc_error, grpc.Call) and bool(_BREAKS.search(rpc_error.details() or ""))
    return error


def _error_in_details(data: bytes, code: grpc.StatusCode, opened: Callable[[bytes], bytes]) -> StorageError:
    """Return the error in the details `data` if they are undamaged and agree with the status of the call."""
    try:
        with damaged_answers():
            details = pb.Status.FromString(opened(data))
            error = error_from_status(details)
    except DamagedMessageError as damage:
        # damaged details are worth a retry; their text is not trusted, since any byte of it may be wrong
        return damage
    if details.code != code.value[0]:
        return DamagedMessageError(
            f"the storage server failed with {code.name}, and its reason is that of another status"
        )
    return error


def _details(rpc_error: grpc.RpcError) -> bytes | None:
    trailers: Any = rpc_error.trailing_metadata() if isinstance(rpc_error, grpc.Call) else None
    for name, value in trailers or ():
        if name == DETAILS_KEY and isinstance(value, bytes):
            return value
    return None


def _cancelled_here(rpc_error: grpc.RpcError) -> bool:
    return isinstance(rpc_error, grpc.Future) and bool(rpc_error.cancelled())


def _transport_message(code: grpc.StatusCode, rpc_error: grpc.RpcError, address: str) -> str:
    said = rpc_error.details() if isinstance(rpc_error, grpc.Call) else str(rpc_error)
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            return f"no storage server answers at {address}; {_unavailable_advice(said or '')} ({said})"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"the storage server at {address} did not answer in time; retry, or pass a longer timeout="
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"what listens at {address} is no storage server, or an older one; check host and port ({said})"
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return f"the storage server at {address} is busy; retry later ({said})"
        case grpc.StatusCode.CANCELLED:
            return "the call was cancelled"
        case _:
            return (
                f"the call to {address} failed with {code.name} and without the reason that a storage server gives; "
                f"something between may have answered in its place, check host and port ({said})"
            )


def _unavailable_advice(said: str) -> str:
    if said.startswith("failed to connect") and _BREAKS.search(said):
        return (
            "something closes the connection at once, a server with TLS wants use_ssl=True, "
            "and if it asks for a client certificate, cert_file= and key_file="
        )
    return "start 'lucas-storage serve' or correct it"


def _tls_mistake(said: str, address: str) -> str:
    """Return a description of the TLS mistake that `said` proves, or an empty string."""
    if "WRONG_VERSION_NUMBER" in said:
        return f"the server at {address} does not speak TLS; leave out use_ssl, or start it with --tls-cert, --tls-key"
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return (
            f"the TLS certificate of {address} is not signed by a trusted authority; pass ca_file=, "
            f"or set STORAGE_CA_FILE, with the one that signed it ({said})"
        )
    if "Hostname Verification" in said:
        return f"the TLS certificate of {address} is for another host; use a name that stands in it ({said})"
    return ""
