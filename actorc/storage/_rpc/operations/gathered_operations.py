"""Small calls of many threads: each alone while few are under way, else several of them as one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from weakref import proxy

from actorc.random_ids import random_id
from actorc.storage._rpc.data_calls import SmallRead
from actorc.storage._rpc.gathering.gathering import Gathering
from actorc.storage._rpc.gathering.waiting_call import LAST_SECONDS, Failed, Told
from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import StorageError
from actorc.storage.models import Destination, ObjectContent, ObjectInfo, SmallObject
from actorc.tracing import spans

from .batch_operations import RemoteBatches

R = TypeVar("R")
S = TypeVar("S")


class GatheredCall:
    """A call that may travel with others.

    Args:
        bucket: The bucket.
        key: The key of the object.
        timeout: Seconds for the call; None for the usual ones.
    """

    size = 0

    def __init__(self, bucket: str, key: str, timeout: float | None) -> None:
        self.bucket = bucket
        self.key = key
        self.timeout = timeout


class GatheredGet(GatheredCall):
    """A get of a whole object."""

    def __init__(self, bucket: str, key: str, read: SmallRead, timeout: float | None) -> None:
        # not by the base class, which is a function more for every call
        self.bucket = bucket
        self.key = key
        self.timeout = timeout
        self.read = read


class GatheredPut(GatheredCall):
    """A put of an object that fits into a batch. `idempotency_key` is that of the batch it was in, if any."""

    def __init__(self, destination: Destination, data: bytes, checksum: int, timeout: float | None) -> None:
        self.bucket = destination.bucket
        self.key = destination.key
        self.timeout = timeout
        self.destination = destination
        self.data = data
        self.checksum = checksum
        self.size = len(data)
        self.idempotency_key = ""

    @property
    def small_object(self) -> SmallObject:
        """The object as one of a batch."""
        destination = self.destination
        return SmallObject(self.key, self.data, self.checksum, destination.attributes, destination.condition)


class RemoteGathering(RemoteBatches):
    """Small calls that may travel together, one part of `RemoteStore`.

    Those of a program that is traced do not, so that each has a span of its own.
    """

    _patience: float

    def _gathered_heads(self) -> Gathering[GatheredCall, ObjectInfo]:
        # a weak reference in each: a store that nobody uses goes at once, and its connections with it
        store: RemoteGathering = proxy(self)

        def together(calls: Sequence[GatheredCall], seconds: float) -> Sequence[ObjectInfo | Failed | Told]:
            keys = [call.key for call in calls]
            return _outcomes(calls, store.head_batch(calls[0].bucket, keys, store._batch_time(seconds), once=True))

        return Gathering(together, usual=self._timeout, travels=self._travels(store, "_head_batches"))

    def _gathered_gets(self) -> Gathering[GatheredGet, bytes | None]:
        store: RemoteGathering = proxy(self)

        def together(calls: Sequence[GatheredGet], seconds: float) -> Sequence[bytes | Failed | Told]:
            keys = [call.key for call in calls]
            found = store.get_batch(calls[0].bucket, keys, store._batch_time(seconds), once=True)
            return [_bytes(each) if isinstance(each, ObjectContent) else each for each in _outcomes(calls, found)]

        return Gathering(together, usual=self._timeout, travels=self._travels(store))

    def _gathered_puts(self) -> Gathering[GatheredPut, ObjectInfo]:
        store: RemoteGathering = proxy(self)

        def together(calls: Sequence[GatheredPut], seconds: float) -> Sequence[ObjectInfo | Failed | Told]:
            idempotency_key = random_id()
            for call in calls:
                # before anything is sent: whether it was stored is not known, and with this key it is not stored again
                call.idempotency_key = idempotency_key
            objects = [call.small_object for call in calls]
            stored = store.put_batch(
                calls[0].bucket, objects, store._batch_time(seconds), idempotency_key=idempotency_key, once=True
            )
            return _outcomes(calls, stored)

        return Gathering(together, usual=self._timeout, travels=self._travels(store), distinct=True)

    @staticmethod
    def _travels(store: RemoteGathering, known: str = "_batches") -> Callable[[], bool]:
        """Return what tells whether calls may travel together; `known` tells whether the server may know the batch."""
        # one whose batch failed is made again, alone, which a program may have forbidden
        return lambda: getattr(store, known) and store._rpc.may_repeat and not spans.is_on()

    def _batch_time(self, seconds: float) -> float:
        return max(LAST_SECONDS, min(seconds, self._patience))


def _outcomes(calls: Sequence[object], results: Sequence[S | StorageError] | None) -> list[S | Failed | Told]:
    """Return the outcome of each call; those without a result, or with one that may be another alone, go alone."""
    found = [_outcome(each) for each in results or ()]
    return found + [Told.ALONE] * (len(calls) - len(found))


def _outcome(result: S | StorageError) -> S | Failed | Told:
    if not isinstance(result, StorageError):
        return result
    # without an id from servers of earlier versions, with which alone the server's log can be searched
    return Failed(result) if result.request_id and not result.retryable else Told.ALONE


def _bytes(content: ObjectContent) -> bytes | Told:
    """Return the verified bytes; if they are too many for a batch or damaged, the object is asked for alone."""
    data = content.data
    if data is None or len(data) != content.info.size or crc32c(data) != content.info.crc32c:
        return Told.ALONE
    return data
