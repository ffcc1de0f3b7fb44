"""Any number of small objects of one bucket, in batches of what one message takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from actorc.storage._rpc.payload import Upload
from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import BucketNotFoundError, NetworkError, StorageError, UnauthenticatedError
from actorc.storage.models import DeleteResult, Destination, ObjectContent, ObjectInfo, SmallObject
from actorc.storage.rules import MAX_BATCH, MAX_BATCH_KEYS, MAX_BATCH_OBJECT, MAX_BATCH_PAYLOAD, batch_size

T = TypeVar("T")


class BatchStore(Protocol):
    """Calls for one object or one batch; `timeout` is in seconds, None for the usual one."""

    def put(self, destination: Destination, upload: Upload, *, timeout: float | None = None) -> ObjectInfo:
        """Store an object."""

    def content(self, bucket: str, key: str, *, timeout: float | None = None) -> tuple[ObjectInfo, bytes]:
        """Return the current object with its bytes."""

    def put_batch(
        self, bucket: str, objects: Sequence[SmallObject], timeout: float | None = None
    ) -> list[ObjectInfo | StorageError] | None:
        """Store objects; return the result of each, or None if the server knows no batches."""

    def get_batch(
        self, bucket: str, keys: Sequence[str], timeout: float | None = None
    ) -> list[ObjectContent | StorageError] | None:
        """Return the first objects, as many as the answer has, or None if the server knows no batches."""

    def delete_batch(self, bucket: str, keys: Sequence[str], timeout: float | None = None) -> list[DeleteResult]:
        """Remove objects; return the result of each."""


def put(
    store: BatchStore, bucket: str, objects: Sequence[SmallObject], timeout: float | None = None
) -> list[ObjectInfo | StorageError]:
    """Store objects of different keys; return the result of each, in order.

    An object that is too large for a batch is stored by a call of its own, and so are all of them if the server knows
    no batches. `timeout` is for each call.

    Raises:
        StorageError: A failure that is not about a single object; some may be stored.
    """
    small = [each for each in objects if len(each.data) <= MAX_BATCH_OBJECT]
    done: dict[str, ObjectInfo | StorageError] = {}
    for batch in _cut(small, lambda each: (len(each.key.encode()), batch_size(each))):
        results = store.put_batch(bucket, batch, timeout)
        if results is not None:
            done.update(zip([each.key for each in batch], results, strict=True))
    for each in objects:
        if each.key not in done:
            done[each.key] = _attempted(lambda: _put_one(store, bucket, each, timeout))  # noqa: B023
    return [done[each.key] for each in objects]


def get(
    store: BatchStore, bucket: str, keys: Sequence[str], timeout: float | None = None
) -> list[tuple[ObjectInfo, bytes] | StorageError]:
    """Return objects with their bytes; the result of each, in order.

    An object that is too large for a batch is read by a call of its own, and so are all of them if the server knows no
    batches. `timeout` is for each call.

    Raises:
        StorageError: A failure that is not about a single object.
    """
    results: list[tuple[ObjectInfo, bytes] | StorageError] = []
    for batch in _cut(keys, lambda key: (len(key.encode()), 0)):
        missing = batch
        while missing:
            found = store.get_batch(bucket, missing, timeout)
            # an answer has as many as one message takes, at least one; without any answer, each is asked for alone
            told = [None] * len(missing) if found is None else found
            results += [_whole(store, bucket, *each, timeout) for each in zip(missing, told, strict=False)]
            missing = missing[len(told) :]
    return results


def delete(store: BatchStore, bucket: str, keys: Sequence[str], timeout: float | None = None) -> list[DeleteResult]:
    """Remove objects; return the result of each. `timeout` is for each batch."""
    batches = _cut(keys, lambda key: (len(key.encode()), 0))
    return [result for batch in batches for result in store.delete_batch(bucket, batch, timeout)]


def _put_one(store: BatchStore, bucket: str, small: SmallObject, timeout: float | None) -> ObjectInfo:
    destination = Destination(bucket=bucket, key=small.key, attributes=small.attributes, condition=small.condition)
    return store.put(destination, Upload(small.data), timeout=timeout)


def _whole(
    store: BatchStore, bucket: str, key: str, one: ObjectContent | StorageError | None, timeout: float | None
) -> tuple[ObjectInfo, bytes] | StorageError:
    if isinstance(one, StorageError):
        return one
    if one and one.data is not None and (len(one.data), crc32c(one.data)) == (one.info.size, one.info.crc32c):
        return one.info, one.data
    # also if the bytes are damaged: a call for this object alone is repeated, and tells where they are
    return _attempted(lambda: store.content(bucket, key, timeout=timeout))


def _attempted(work: Callable[[], T]) -> T | StorageError:
    """Return the result of a call about one object of a batch, or its error."""
    try:
        return work()
    except (NetworkError, BucketNotFoundError, UnauthenticatedError):
        raise
    except StorageError as error:
        if error.retryable:
            raise
        return error


def _cut(items: Sequence[T], sizes: Callable[[T], tuple[int, int]]) -> Iterator[list[T]]:
    """Cut `items` into batches, each small enough for one message in both directions.

    Args:
        items: Objects or keys.
        sizes: Returns the bytes of the key of an item, and those of all of it.
    """
    batch: list[T] = []
    keys = payload = 0
    for item in items:
        key, whole = sizes(item)
        if batch and (len(batch) == MAX_BATCH or keys + key > MAX_BATCH_KEYS or payload + whole > MAX_BATCH_PAYLOAD):
            yield batch
            batch, keys, payload = [], 0, 0
        batch.append(item)
        keys, payload = keys + key, payload + whole
    if batch:
        yield batch
