"""Object storage over gRPC: `StorageClient`, the errors it raises and the types it returns.

Importing this package loads neither gRPC nor protobuf; the first call to a server does.
"""

from __future__ import annotations

from ._retry import RetryPolicy
from .client import StorageClient
from .errors import (
    AlreadyExistsError,
    BucketNotEmptyError,
    BucketNotFoundError,
    DeadlineExceededError,
    IntegrityError,
    InvalidParameterError,
    InvalidRangeError,
    NetworkError,
    NotFoundError,
    ObjectNotFoundError,
    PermissionError,
    PreconditionFailedError,
    ResourceExhaustedError,
    StorageError,
    UnsupportedError,
)
from .errors import PermissionError as StoragePermissionError
from .models import (
    BucketResult,
    DownloadResult,
    ListResult,
    ObjectHead,
    PutResult,
    ServerInfoResult,
)

__all__ = [
    "AlreadyExistsError",
    "BucketNotEmptyError",
    "BucketNotFoundError",
    "BucketResult",
    "DeadlineExceededError",
    "DownloadResult",
    "IntegrityError",
    "InvalidParameterError",
    "InvalidRangeError",
    "ListResult",
    "NetworkError",
    "NotFoundError",
    "ObjectHead",
    "ObjectNotFoundError",
    "PermissionError",
    "PreconditionFailedError",
    "PutResult",
    "ResourceExhaustedError",
    "RetryPolicy",
    "ServerInfoResult",
    "StorageClient",
    "StorageError",
    "StoragePermissionError",
    "UnsupportedError",
]
