"""The errors of this package, on both sides of the wire.

::

    StorageError
    ├── NotFoundError                also FileNotFoundError
    │   ├── BucketNotFoundError
    │   ├── ObjectNotFoundError
    │   └── UploadNotFoundError
    ├── PermissionError              also builtins.PermissionError
    │   └── UnauthenticatedError
    │       └── ClockSkewError
    ├── AlreadyExistsError           also FileExistsError
    ├── NetworkError
    │   ├── DeadlineExceededError
    │   └── DamagedMessageError
    ├── InvalidParameterError        also ValueError
    │   └── InvalidRangeError
    ├── PreconditionFailedError
    │   └── BucketNotEmptyError
    ├── IntegrityError
    ├── ResourceExhaustedError
    ├── ReadOnlyError
    └── UnsupportedError

A class names its wire reason and its gRPC status once and registers itself, so the tree is the table. An error that an
engine raises in the server reaches the caller of the client with the same class and fields. Reasons are stored in logs
and understood by clients of other versions; they are never renamed.
"""

from __future__ import annotations

import builtins
import errno as codes
from typing import Any, ClassVar

__all__ = [
    "AlreadyExistsError",
    "BucketNotEmptyError",
    "BucketNotFoundError",
    "ClockSkewError",
    "DamagedMessageError",
    "DeadlineExceededError",
    "IdempotencyKeyReusedError",
    "IntegrityError",
    "InvalidParameterError",
    "InvalidRangeError",
    "NetworkError",
    "NotFoundError",
    "ObjectNotFoundError",
    "PreconditionFailedError",
    "ReadOnlyError",
    "ResourceExhaustedError",
    "StorageError",
    "UnauthenticatedError",
    "UnsupportedError",
    "UploadNotFoundError",
]
# without `PermissionError`, which would hide the builtin one in a module that imports an asterisk

_BY_REASON: dict[str, type[StorageError]] = {}
_BY_STATUS: dict[str, type[StorageError]] = {}


class StorageError(Exception):
    """Any failure of a storage operation; the base of every error of this package.

    Attributes:
        message: What happened and what to do next, without code or names.
        code: Short CamelCase name of the kind of failure, such as ``NotFound``.
        bucket: The bucket concerned, if one is.
        key: The key concerned, if one is.
        request_id: Identifies the call in the server's log; empty if it never reached a server.
        retryable: Whether the same call may succeed later without any change.
        retry_after: Seconds the server asks to wait before the next attempt, if it asked.
    """

    reason: ClassVar[str] = "INTERNAL"
    status: ClassVar[str] = "INTERNAL"
    default_code: ClassVar[str] = "StorageError"
    default_retryable: ClassVar[bool] = False

    def __init_subclass__(
        cls, *, reason: str = "", status: str = "", code: str = "", retryable: bool | None = None, **kwargs: Any
    ) -> None:
        """Register the class under its wire reason and, if it introduces one, its gRPC status."""
        super().__init_subclass__(**kwargs)
        cls.default_code = code or cls.default_code
        cls.default_retryable = cls.default_retryable if retryable is None else retryable
        if status:
            cls.status = status
            _BY_STATUS.setdefault(status, cls)
        if reason:
            cls.reason = reason
            _BY_REASON[reason] = cls

    def __init__(
        self,
        message: str,
        code: str | None = None,
        bucket: str | None = None,
        key: str | None = None,
        *,
        request_id: str = "",
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.message = message
        self.code = code or self.default_code
        self.bucket = bucket
        self.key = key
        self.request_id = request_id
        self.retryable = self.default_retryable if retryable is None else retryable
        self.retry_after = retry_after
        super().__init__(message)

    def __str__(self) -> str:
        where = ", ".join(f"{name}={value}" for name, value in (("bucket", self.bucket), ("key", self.key)) if value)
        request = f" [request {self.request_id}]" if self.request_id else ""
        return f"[{self.code}] {self.message}" + (f" ({where})" if where else "") + request

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)


class _NamedError(StorageError):
    """A `StorageError` whose class fixes the code, so that names follow the message directly."""

    def __init__(
        self, message: str, bucket: str | None = None, key: str | None = None, *, code: str | None = None, **fields: Any
    ) -> None:
        super().__init__(message, code, bucket, key, **fields)


class _FileError(_NamedError, OSError):
    """A `StorageError` that is an `OSError`, too, so that programs written for files understand it.

    Its fields as an `OSError` follow those of the `StorageError`, which may be filled in later.
    """

    errno: int

    @property
    def strerror(self) -> str:  # type: ignore[override] # it can be set in the base class
        """The message."""
        return self.message

    @property
    def filename(self) -> str | None:
        """The bucket and the key as a path; None if no bucket is concerned."""
        return f"{self.bucket}/{self.key}" if self.bucket and self.key else self.bucket or None


class NotFoundError(_FileError, FileNotFoundError, reason="NOT_FOUND", status="NOT_FOUND", code="NotFound"):
    """The bucket, object or upload does not exist."""

    errno = codes.ENOENT


class BucketNotFoundError(NotFoundError, reason="BUCKET_NOT_FOUND"):
    """The server has no bucket of this name."""


class ObjectNotFoundError(NotFoundError, reason="OBJECT_NOT_FOUND"):
    """The bucket has no object under this key, or not the requested generation."""


class UploadNotFoundError(NotFoundError, reason="UPLOAD_NOT_FOUND"):
    """There is no multipart upload of this id for this key: it was completed, aborted or swept, or never was."""


class PermissionError(
    _FileError,
    builtins.PermissionError,
    reason="PERMISSION_DENIED",
    status="PERMISSION_DENIED",
    code="PermissionDenied",
):
    """The caller is not known, or lacks the permission."""

    errno = codes.EACCES


class UnauthenticatedError(PermissionError, reason="UNAUTHENTICATED", status="UNAUTHENTICATED", code="Unauthenticated"):
    """The caller did not prove its identity; the same for an unknown key and for a wrong signature."""


class ClockSkewError(UnauthenticatedError, reason="CLOCK_SKEW", code="ClockSkew"):
    """The time of the request is too far from the server's; a client corrects that once by itself.

    Attributes:
        server_time_us: Microseconds since 1970-01-01 UTC by the server's clock, if the server sent it.
        server_time_signature: Proof that it comes from a server that has the caller's key; empty without proof.
    """

    server_time_us: int | None = None
    server_time_signature: str = ""


class AlreadyExistsError(
    _FileError, FileExistsError, reason="ALREADY_EXISTS", status="ALREADY_EXISTS", code="AlreadyExists"
):
    """The bucket, or with ``if_absent`` the key, is taken."""

    errno = codes.EEXIST


class NetworkError(_NamedError, reason="NETWORK", status="UNAVAILABLE", code="NetworkError", retryable=True):
    """The service could not be reached, or the connection broke and could not be resumed.

    Attributes:
        broken: Whether a connection was made and then broke, rather than there being nothing that accepts one.
    """

    broken: bool = False


class DeadlineExceededError(
    NetworkError, reason="DEADLINE_EXCEEDED", status="DEADLINE_EXCEEDED", code="DeadlineExceeded", retryable=True
):
    """No answer, or no progress of a transfer, within the time allowed."""


class InvalidParameterError(
    _NamedError, ValueError, reason="INVALID_PARAMETER", status="INVALID_ARGUMENT", code="InvalidParameter"
):
    """An argument breaks a rule; nothing was sent or changed."""


class IdempotencyKeyReusedError(InvalidParameterError, reason="IDEMPOTENCY_KEY_REUSED", code="IdempotencyKeyReused"):
    """An earlier call with this idempotency key had other arguments; nothing was changed."""


class InvalidRangeError(InvalidParameterError, reason="INVALID_RANGE", status="OUT_OF_RANGE", code="InvalidRange"):
    """The range begins behind the end of the object."""


class PreconditionFailedError(
    _NamedError, reason="PRECONDITION_FAILED", status="FAILED_PRECONDITION", code="PreconditionFailed"
):
    """The object is not the one that the condition names."""


class BucketNotEmptyError(PreconditionFailedError, reason="BUCKET_NOT_EMPTY", code="BucketNotEmpty"):
    """A bucket that contains objects is not deleted."""


class IntegrityError(_NamedError, reason="INTEGRITY", status="DATA_LOSS", code="Integrity"):
    """Bytes do not match their checksum; no wrong byte was stored or returned."""


class DamagedMessageError(
    NetworkError, reason="DAMAGED_MESSAGE", status="DATA_LOSS", code="DamagedMessage", retryable=True
):
    """A request or an answer was damaged on its way, or belongs to another call; nothing of it was used."""


class ResourceExhaustedError(
    _NamedError, reason="RESOURCE_EXHAUSTED", status="RESOURCE_EXHAUSTED", code="ResourceExhausted", retryable=True
):
    """The server is busy, or its disk is full."""


class ReadOnlyError(_NamedError, reason="READ_ONLY", status="UNAVAILABLE", code="ReadOnly"):
    """The server refuses changes, because a write to its disk failed and left the state unknown; reads continue."""


class UnsupportedError(_NamedError, reason="UNSUPPORTED", status="UNIMPLEMENTED", code="Unsupported"):
    """The peer, or the engine behind it, cannot do this."""


def error_class(reason: str, status: str) -> type[StorageError]:
    """Return the class for a wire reason; an unknown reason falls back to its gRPC status, then to `StorageError`."""
    return _BY_REASON.get(reason) or _BY_STATUS.get(status) or StorageError


def _restore(cls: type[StorageError], args: tuple[Any, ...], fields: dict[str, Any]) -> StorageError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(fields)
    return error
