"""Errors that all engines raise in the same words."""

from __future__ import annotations

from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotEmptyError,
    BucketNotFoundError,
    IntegrityError,
    ObjectNotFoundError,
    UploadNotFoundError,
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


def file_too_short() -> IntegrityError:
    """Return the error for a file that ends before the bytes that its owner said it has."""
    return IntegrityError("the file became shorter while it was uploaded; nothing was stored, try again")
