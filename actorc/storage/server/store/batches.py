"""The rules of batches: many small objects of one bucket, independently of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from actorc.storage import rules
from actorc.storage.errors import InvalidParameterError, StorageError
from actorc.storage.models import DeleteResult, ObjectContent, ObjectInfo, SmallObject
from actorc.storage.server.engines.base import Engine

from .auto_create import BucketCreation
from .checks import check_expiry, check_idempotency_key, check_new_object
from .upload import check_bytes, name_in_errors

T = TypeVar("T")


class BatchOperations:
    """Operations on many objects, one part of `ObjectStore`."""

    _engine: Engine
    _buckets: BucketCreation

    def put_many(
        self, bucket: str, objects: Sequence[SmallObject], *, idempotency_key: str = ""
    ) -> list[ObjectInfo | StorageError]:
        """Store up to `MAX_BATCH` small objects, each all or nothing and for itself; return each result, in order.

        Args:
            bucket: An existing bucket, unless missing ones are created.
            objects: Objects of different keys; an empty content type is guessed from the key.
            idempotency_key: Unique per logical batch; in a repeated one, each object that was stored gets the first
                answer.

        Raises:
            InvalidParameterError: There are more, they are too large, or a key is there twice. What is wrong with one
                of them is an error in its own result only.
            IntegrityError: Bytes arrived damaged, and nothing was stored.
            BucketNotFoundError: There is no such bucket.
        """
        rules.check_bucket(bucket)
        check_idempotency_key(idempotency_key)
        _check_batch([each.key for each in objects], bucket)
        _check_payload(objects, bucket)
        checked = [_kept_error(lambda: self._checked(bucket, each)) for each in objects]  # noqa: B023
        wanted = [each for each in checked if isinstance(each, SmallObject)]
        with name_in_errors(bucket):
            done = iter(
                self._buckets.write(
                    bucket, lambda: self._engine.put_many(bucket, wanted, idempotency_key=idempotency_key)
                )
                if wanted
                else ()
            )
        results = [each if isinstance(each, StorageError) else next(done) for each in checked]
        return [_named(result, bucket, each.key) for result, each in zip(results, objects, strict=True)]

    def read_many(self, bucket: str, keys: Sequence[str]) -> Iterator[ObjectContent | StorageError]:
        """Yield up to `MAX_BATCH` objects, each with its verified bytes if it has at most `MAX_BATCH_OBJECT`, in order.

        Raises:
            InvalidParameterError: There are more keys. What is wrong with one of them is an error in its own result
                only.
            BucketNotFoundError: There is no such bucket.
        """
        most = rules.MAX_BATCH_OBJECT
        return _looked_up(bucket, keys, lambda valid: self._engine.read_many(bucket, valid, most=most))

    def head_many(self, bucket: str, keys: Sequence[str]) -> Iterator[ObjectInfo | StorageError]:
        """Yield the descriptions of up to `MAX_BATCH` objects, in order.

        Raises:
            InvalidParameterError: There are more keys. What is wrong with one of them is an error in its own result
                only.
            BucketNotFoundError: There is no such bucket.
        """
        return _looked_up(bucket, keys, lambda valid: self._engine.head_many(bucket, valid))

    def delete_many(self, bucket: str, keys: Sequence[str], *, idempotency_key: str = "") -> list[DeleteResult]:
        """Remove up to `MAX_BATCH` objects, independently of each other; return the result for each key, in order.

        Raises:
            InvalidParameterError: There are more keys. An invalid key is an error in its own result only.
        """
        rules.check_bucket(bucket)
        check_idempotency_key(idempotency_key)
        _check_batch(keys, bucket, most=rules.MAX_BATCH_BYTES)
        refused = _refused_keys(keys, bucket)
        wanted = [key for key in keys if key not in refused]
        with name_in_errors(bucket):
            done = iter(self._engine.delete_many(bucket, wanted, idempotency_key=idempotency_key))
        return [
            DeleteResult(key=key, deleted=False, error=refused[key]) if key in refused else next(done) for key in keys
        ]

    def _checked(self, bucket: str, small: SmallObject) -> SmallObject:
        if len(small.data) > rules.MAX_BATCH_OBJECT:
            raise InvalidParameterError(
                f"{len(small.data)} bytes are too many for an object of a batch; put one of more than "
                f"{rules.MAX_BATCH_OBJECT} in a call of its own"
            )
        attributes = check_new_object(bucket, small.key, small.attributes, small.condition, "")
        check_expiry(attributes.ttl, self._engine)
        check_bytes(small.data, small.crc32c)
        return small if attributes is small.attributes else small._replace(attributes=attributes)


def _check_batch(keys: Sequence[str], bucket: str, *, most: int = rules.MAX_BATCH_KEYS) -> None:
    if len(keys) > rules.MAX_BATCH:
        raise InvalidParameterError(
            f"{len(keys)} keys are too many for one batch; send at most {rules.MAX_BATCH} at a time", bucket
        )
    size = sum(len(key.encode()) for key in keys)
    if size > most:
        raise InvalidParameterError(
            f"keys of {size} bytes are too many for one batch; send at most {most} at a time", bucket
        )


def _check_payload(objects: Sequence[SmallObject], bucket: str) -> None:
    size = sum(map(rules.batch_size, objects))
    if size > rules.MAX_BATCH_PAYLOAD:
        raise InvalidParameterError(
            f"objects of {size} bytes are too many for one batch; send at most {rules.MAX_BATCH_PAYLOAD} at a time",
            bucket,
        )
    twice = rules.repeated([each.key for each in objects])
    if twice is not None:
        raise InvalidParameterError(
            "the key is twice in one batch; put one of the objects in a later one", bucket, twice
        )


def _looked_up(
    bucket: str, keys: Sequence[str], ask: Callable[[list[str]], Iterator[T | StorageError]]
) -> Iterator[T | StorageError]:
    """Yield the result for each key, in order; the engine is asked for those that are valid."""
    rules.check_bucket(bucket)
    _check_batch(keys, bucket)
    refused = _refused_keys(keys, bucket)
    with name_in_errors(bucket):
        done = ask([key for key in keys if key not in refused])
        for key in keys:
            yield _named(refused[key] if key in refused else next(done), bucket, key)


def _refused_keys(keys: Sequence[str], bucket: str) -> dict[str, StorageError]:
    checked = {key: _kept_error(lambda: rules.check_key(key, bucket)) for key in keys}  # noqa: B023
    return {key: error for key, error in checked.items() if isinstance(error, StorageError)}


def _kept_error(check: Callable[[], T]) -> T | StorageError:
    """Return the result of a check, or its error; one that may pass is raised."""
    try:
        return check()
    except StorageError as error:
        if error.retryable:
            raise
        return error


def _named(result: T, bucket: str, key: str) -> T:
    """Return the result for a key; if it is an error, with the names."""
    if isinstance(result, StorageError):
        result.bucket, result.key = result.bucket or bucket, result.key or key
    return result
