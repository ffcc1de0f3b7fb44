"""Conversions between errors and the details of a status, which travel among trailers or in a message."""

from __future__ import annotations

from typing import Final

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage.errors import ClockSkewError, StorageError, error_class

from .status_codes import StatusCode

ERROR_DOMAIN: Final = "storage.ignis"

_ERROR_INFO_URL = "type.googleapis.com/google.rpc.ErrorInfo"
_RETRY_INFO_URL = "type.googleapis.com/google.rpc.RetryInfo"
_MAX_TIME_DIGITS = 17


def status_code(error: StorageError) -> StatusCode:
    """Return the status that stands for `error`."""
    return StatusCode[error.status]


def status_message(error: StorageError) -> pb.Status:
    """Return `error` as the details that travel with its status."""
    info = pb.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN)
    facts = {"bucket": error.bucket, "key": error.key, "request_id": error.request_id, "code": error.code}
    info.metadata.update({name: value for name, value in facts.items() if value})
    info.metadata["retryable"] = "true" if error.retryable else "false"
    if isinstance(error, ClockSkewError) and error.server_time_us is not None:
        info.metadata["server_time_us"] = str(error.server_time_us)
        if error.server_time_signature:
            info.metadata["server_time_signature"] = error.server_time_signature
    message = pb.Status(code=status_code(error), message=error.message)
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
    status = StatusCode.of(message.code).name
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
