"""What every engine answers in the same words: conditions judged, names missing or taken, generations numbered."""

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
"""How long the result of a call is kept for a retry with the same idempotency key."""

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
    """Return an id for an upload that begins now: greater, as text, than those of lower generations, and a secret."""
    return f"{generation:016x}{secrets.token_hex(16)}"


def expiry(ttl: int | None, now_us: int) -> int | None:
    """Return when what lives for `ttl` seconds from now on is gone, in microseconds; None: never."""
    return None if ttl is None else now_us + ttl * 1_000_000


def judge(condition: Condition, present: str | None, bucket: str, key: str) -> None:
    """Return if the object whose etag is `present`, None for no object, meets `condition`.

    Raises:
        AlreadyExistsError: There must be no object, and there is.
        PreconditionFailedError: There must be an object with another etag.
    """
    if condition.if_absent and present is not None:
        raise AlreadyExistsError("the key is taken; drop if_absent to replace the object", bucket, key)
    if condition.if_match is None or condition.if_match == present:
        return
    if present is None:
        raise PreconditionFailedError("there is no object to match; it was deleted or never written", bucket, key)
    raise PreconditionFailedError(
        f"the object is another one by now, with etag {present}; read it again and decide", bucket, key
    )


def choose(parts: Sequence[PartChoice], present: Mapping[int, PartInfo]) -> list[PartInfo]:
    """Return the parts named, which are to become one object.

    Raises:
        InvalidParameterError: One was never uploaded, or they are too many bytes for an object.
        PreconditionFailedError: One has another etag.
    """
    chosen = []
    for number, etag in parts:
        part = present.get(number)
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
    """Return what tells one request from another with the same idempotency key: a digest of all that it asks for.

    Args:
        asked: Numbers, text, None, and dataclasses, mappings and sequences of them.
    """
    return hashlib.sha256(_CANONICAL.encode(asked).encode()).digest()[:16]


def check_request(earlier: bytes | None, request: bytes, bucket: str | None = None, key: str | None = None) -> None:
    """Return if a call that was made before with the same idempotency key asked for the same.

    Args:
        earlier: Its `fingerprint`; None: not known.
        request: That of the present call.
        bucket: What the call is about, if known.
        key: What the call is about, if known.

    Raises:
        IdempotencyKeyReusedError: It did not.
    """
    if earlier is not None and earlier != request:
        raise IdempotencyKeyReusedError(
            "the idempotency key was used before, for a call that asked for something else; use a new key for each "
            "call and the same one only to repeat it",
            bucket,
            key,
        )


def bucket_missing(bucket: str) -> BucketNotFoundError:
    """Return the error for a bucket that is not there."""
    return BucketNotFoundError(
        "the bucket does not exist; make it with `lucas-storage mb` or start the server with --auto-create-buckets",
        bucket,
    )


def bucket_taken(bucket: str) -> AlreadyExistsError:
    """Return the error for a bucket that is there already."""
    return AlreadyExistsError("the bucket exists; pass exist_ok=True if that is fine", bucket)


def bucket_not_empty(bucket: str) -> BucketNotEmptyError:
    """Return the error for deleting a bucket that holds objects."""
    return BucketNotEmptyError("the bucket still holds objects; delete them first", bucket)


def object_missing(bucket: str, key: str, generation: int | None = None) -> ObjectNotFoundError:
    """Return the error for an object, or one generation of it, that is not there."""
    if generation is None:
        return ObjectNotFoundError("the object does not exist; check the key with list_objects", bucket, key)
    return ObjectNotFoundError(
        f"generation {generation} of the object is gone; it was replaced or deleted, so read the present one",
        bucket,
        key,
    )


def upload_missing(bucket: str, key: str) -> UploadNotFoundError:
    """Return the error for a multipart upload that is not there, or belongs to another key."""
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
