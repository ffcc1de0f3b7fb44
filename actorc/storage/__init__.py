"""Object storage over gRPC: `StorageClient`, the errors it raises and the types it returns.

Importing this package loads neither gRPC nor protobuf; the first call to a server does. `AsyncStorageClient`, and with
it asyncio, is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._results import to_json
from ._retry import RetryPolicy
from .client import StorageClient
from .errors import (
    AlreadyExistsError,
    BucketNotEmptyError,
    BucketNotFoundError,
    ClockSkewError,
    DamagedMessageError,
    DeadlineExceededError,
    IdempotencyKeyReusedError,
    IntegrityError,
    InvalidParameterError,
    InvalidRangeError,
    NetworkError,
    NotFoundError,
    ObjectNotFoundError,
    PreconditionFailedError,
    ReadOnlyError,
    ResourceExhaustedError,
    StorageError,
    UnauthenticatedError,
    UnsupportedError,
    UploadNotFoundError,
)
from .errors import PermissionError as PermissionError
from .errors import PermissionError as StoragePermissionError
from .models import (
    BucketResult,
    CompletedPart,
    DeleteObjectsResult,
    DownloadResult,
    GetObjectsResult,
    ListResult,
    NewObject,
    NewUpload,
    ObjectHead,
    ObjectWithData,
    PartResult,
    PutObjectsResult,
    PutResult,
    ServerInfoResult,
    UploadList,
    UploadResult,
)

if TYPE_CHECKING:
    from .aio import AsyncStorageClient

__all__ = [
    "AlreadyExistsError",
    "AsyncStorageClient",
    "BucketNotEmptyError",
    "BucketNotFoundError",
    "BucketResult",
    "ClockSkewError",
    "CompletedPart",
    "DamagedMessageError",
    "DeadlineExceededError",
    "DeleteObjectsResult",
    "DownloadResult",
    "GetObjectsResult",
    "IdempotencyKeyReusedError",
    "IntegrityError",
    "InvalidParameterError",
    "InvalidRangeError",
    "ListResult",
    "NetworkError",
    "NewObject",
    "NewUpload",
    "NotFoundError",
    "ObjectHead",
    "ObjectNotFoundError",
    "ObjectWithData",
    "PartResult",
    "PreconditionFailedError",
    "PutObjectsResult",
    "PutResult",
    "ReadOnlyError",
    "ResourceExhaustedError",
    "RetryPolicy",
    "ServerInfoResult",
    "StorageClient",
    "StorageError",
    "StoragePermissionError",
    "UnauthenticatedError",
    "UnsupportedError",
    "UploadList",
    "UploadNotFoundError",
    "UploadResult",
    "to_json",
]
# `PermissionError` is importable from here, too, but not by an asterisk, which would hide the builtin one


def __getattr__(name: str) -> Any:
    if name != "AsyncStorageClient":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .aio import AsyncStorageClient  # noqa: PLC0415  # loads asyncio, which few need

    globals()[name] = AsyncStorageClient
    return AsyncStorageClient


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
