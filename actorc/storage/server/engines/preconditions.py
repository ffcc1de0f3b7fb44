"""Checks of preconditions and the errors that all engines share; etags, upload ids and times of expiry."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta

from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotEmptyError,
    BucketNotFoundError,
    IdempotencyKeyReusedError,
    InvalidParameterError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UploadNotFoundError,
)
from actorc.storage.models import Condition, PartInfo
from actorc.storage.rules import MAX_OBJECT_SIZE

from .base import PartChoice

Clock = Callable[[], float]
"""Returns seconds since 1970-01-01 UTC."""

REMEMBERED_SECONDS = 24 * 60 * 60
"""Seconds for which the result of a call is kept for retries with the same idempotency key."""

UPLOAD_TTL = 7 * 24 * 60 * 60
"""Seconds that a multipart upload stays after its beginning or its last part."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(clock: Clock) -> int:
    """Return the time in whole microseconds since 1970-01-01 UTC."""
    return int(clock() * 1_000_000)


def utc(time_us: int) -> datetime:
    """Return the aware time for whole microseconds since 1970-01-01 UTC, exactly."""
    return _EPOCH + timedelta(microseconds=time_us)


def etag_of(generation: int, crc32c: int) -> str:
    """Return the etag of a generation with this checksum."""
    return f"{generation:x}-{crc32c:08x}"


def upload_id_of(generation: int) -> str:
    """Return a secret id for a new upload; as text it is greater than those of lower generations."""
    return f"{generation:016x}{secrets.token_hex(16)}"


def expiry(ttl: int | None, now_us: int) -> int | None:
    """Return the time of expiry, `ttl` seconds after `now_us`, in microseconds; None: never."""
    return None if ttl is None else now_us + ttl * 1_000_000


def check_precondition(condition: Condition, current: str | None, bucket: str, key: str) -> None:
    """Check that the current object meets `condition`.

    Args:
        condition: The condition of the caller.
        current: Etag of the current object; None if there is none.
        bucket: Bucket of the object, for errors.
        key: Key of the object, for errors.

    Raises:
        AlreadyExistsError: The condition demands that there is no object, and there is one.
        PreconditionFailedError: The condition demands another etag.
    """
    if condition.if_absent and current is not None:
        raise AlreadyExistsError("the key is taken; drop if_absent to replace the object", bucket, key)
    if condition.if_match is None or condition.if_match == current:
        return
    if current is None:
        raise PreconditionFailedError("there is no object to match; it was deleted or never written", bucket, key)
    raise PreconditionFailedError(
        f"the object is another one by now, with etag {current}; read it again and decide", bucket, key
    )


def chosen_parts(parts: Sequence[PartChoice], current: Mapping[int, PartInfo]) -> list[PartInfo]:
    """Return the chosen parts, which are to become one object.

    Raises:
        InvalidParameterError: A part was never uploaded, or the object would be too large.
        PreconditionFailedError: A part has another etag.
    """
    chosen = []
    for number, etag in parts:
        part = current.get(number)
        if part is None:
            raise InvalidParameterError(f"part {number} was never uploaded; upload it, then complete again")
        if part.etag != etag:
            raise PreconditionFailedError(
                f"part {number} is another one by now, with etag {part.etag}; list the parts and decide"
            )
        chosen.append(part)
    size = sum(part.size for part in chosen)
    if size > MAX_OBJECT_SIZE:
        raise InvalidParameterError(f"the parts make {size} bytes and an object has at most {MAX_OBJECT_SIZE}")
    return chosen


def fingerprint(*asked: object) -> bytes:
    """Return a digest of the arguments of a request, to compare requests with the same idempotency key.

    Args:
        asked: Numbers, text, None, and dataclasses, mappings and sequences of them.
    """
    return hashlib.sha256(_CANONICAL.encode(asked).encode()).digest()[:16]


def check_request(earlier: bytes | None, request: bytes, bucket: str | None = None, key: str | None = None) -> None:
    """Check that an earlier call with the same idempotency key had the same arguments.

    Args:
        earlier: `fingerprint` of the earlier call; None: not known.
        request: `fingerprint` of this call.
        bucket: Bucket of the call, if known.
        key: Key of the call, if known.

    Raises:
        IdempotencyKeyReusedError: It had others.
    """
    if earlier is not None and earlier != request:
        raise IdempotencyKeyReusedError(
            "the idempotency key was used before, for a call that asked for something else; use a new key for each "
            "call and the same one only to repeat it",
            bucket,
            key,
        )


def bucket_missing(bucket: str) -> BucketNotFoundError:
    """Return the error for a missing bucket."""
    return BucketNotFoundError(
        "the bucket does not exist; make it with `lucas-storage mb` or start the server with --auto-create-buckets",
        bucket,
    )


def bucket_taken(bucket: str) -> AlreadyExistsError:
    """Return the error for a bucket that exists."""
    return AlreadyExistsError("the bucket exists; pass exist_ok=True if that is fine", bucket)


def bucket_not_empty(bucket: str) -> BucketNotEmptyError:
    """Return the error for deleting a bucket that contains objects."""
    return BucketNotEmptyError("the bucket still holds objects; delete them first", bucket)


def object_missing(bucket: str, key: str, generation: int | None = None) -> ObjectNotFoundError:
    """Return the error for a missing object, or a missing generation of it."""
    if generation is None:
        return ObjectNotFoundError("the object does not exist; check the key with list_objects", bucket, key)
    return ObjectNotFoundError(
        f"generation {generation} of the object is gone; it was replaced or deleted, so read the present one",
        bucket,
        key,
    )


def upload_missing(bucket: str, key: str) -> UploadNotFoundError:
    """Return the error for a multipart upload that is missing, or belongs to another key."""
    return UploadNotFoundError(
        "there is no such multipart upload for this key; it was completed, aborted or swept, so begin a new one",
        bucket,
        key,
    )


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} is not part of a request")


_CANONICAL = json.JSONEncoder(sort_keys=True, default=_plain)
