"""Results of a batch: the one of each object, or its error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from actorc.storage.errors import BucketNotFoundError, StorageError

T = TypeVar("T")


def attempted(work: Callable[[], T]) -> T | StorageError:
    """Return the result of `work`, which is about one object of a batch, or its error.

    Raises:
        StorageError: It may pass, or is about the bucket, so it is the error of the whole batch.
    """
    try:
        return work()
    except StorageError as error:
        return of_one(error)


def of_one(error: StorageError) -> StorageError:
    """Return an error if it is about one object of a batch.

    Raises:
        StorageError: It is about the whole batch.
    """
    # a passing failure fails the call, since only a failed call is repeated; what was stored by then is not again
    if error.retryable or isinstance(error, BucketNotFoundError):
        raise error
    return error
