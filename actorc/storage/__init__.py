"""Object storage over gRPC: `StorageClient`, the errors it raises and the types it returns.

Importing this package loads neither gRPC nor protobuf; the first call to a server does. Public names are imported on
first use, and with `AsyncStorageClient` asyncio.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from ._results import to_json
    from ._retry import RetryPolicy
    from .aio import AsyncStorageClient
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
    "__version__",
    "to_json",
]
# `PermissionError` is importable from here, too, but not by an asterisk, which would hide the builtin one


_HOMES = {"AsyncStorageClient": "aio", "RetryPolicy": "_retry", "StorageClient": "client", "to_json": "_results"}
"""Modules of names that are neither errors nor models."""
_NAMES = {"StoragePermissionError": "PermissionError"}
_MODULES = ("client", "errors", "models")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("actorc.version").version()
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name not in __all__ and name != "PermissionError":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name) or ("errors" if name.endswith("Error") else "models")
    value = getattr(import_module(f".{home}", __name__), _NAMES.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
