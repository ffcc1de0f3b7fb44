"""Operations on many small objects of one bucket, several of them in each call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.random_ids import random_id
from actorc.storage._rpc import answer_checks
from actorc.storage._rpc.retries.deadline import time_for
from actorc.storage._rpc.rpc import Rpc
from actorc.storage._wire import messages
from actorc.storage.errors import StorageError, UnsupportedError
from actorc.storage.models import DeleteResult, ObjectContent, ObjectInfo, SmallObject
from actorc.storage.rules import MAX_BATCH_PAYLOAD

T = TypeVar("T")


class RemoteBatches:
    """Calls for many objects, one part of `RemoteStore`."""

    _rpc: Rpc
    _timeout: float
    # a hint, set without a lock: a thread with an old value makes one call more than needed
    _batches = True
    """Whether the server may know batches of puts and gets; an earlier version does not."""
    _head_batches = True
    """Whether it may know batches of descriptions."""

    def delete_batch(self, bucket: str, keys: Sequence[str], timeout: float | None = None) -> list[DeleteResult]:
        """Remove objects; return the result of each, in order."""
        request = pb.DeleteObjectsRequest(bucket=bucket, keys=keys, idempotency_key=random_id())

        def judge(answer: pb.DeleteObjectsResponse) -> list[DeleteResult]:
            return answer_checks.of_batch(list(map(messages.delete_result, answer.results)), bucket, keys)

        return self._rpc.ask(request, judge, timeout=timeout)

    def put_batch(
        self,
        bucket: str,
        objects: Sequence[SmallObject],
        timeout: float | None = None,
        *,
        idempotency_key: str = "",
        once: bool = False,
    ) -> list[ObjectInfo | StorageError] | None:
        """Store objects; return the result of each, in order, or None if the server knows no batches.

        Args:
            bucket: The bucket.
            objects: Objects of different keys.
            timeout: Seconds for all attempts together.
            idempotency_key: Under it each object is remembered as a put of its own; empty: a new one.
            once: Whether a failed attempt is not repeated.
        """
        request = pb.PutObjectsRequest(
            bucket=bucket,
            objects=map(messages.new_object_message, objects),
            idempotency_key=idempotency_key or random_id(),
        )

        def judge(answer: pb.PutObjectsResponse) -> list[ObjectInfo | StorageError]:
            answer_checks.of_keys([each.key for each in answer.results], bucket, [each.key for each in objects])
            results = [_in_bucket(messages.put_result(each), bucket) for each in answer.results]
            for small, result in zip(objects, results, strict=True):
                if isinstance(result, ObjectInfo):
                    answer_checks.of_write(result, bucket, small.key, len(small.data), small.crc32c)
            return results

        return self._ask_batch(request, judge, request.ByteSize(), timeout, once=once)

    def get_batch(
        self, bucket: str, keys: Sequence[str], timeout: float | None = None, *, once: bool = False
    ) -> list[ObjectContent | StorageError] | None:
        """Return the first objects, as many as one answer has, or None if the server knows no batches."""
        request = pb.GetObjectsRequest(bucket=bucket, objects=[pb.ObjectToGet(key=key) for key in keys])

        def judge(answer: pb.GetObjectsResponse) -> list[ObjectContent | StorageError]:
            told = [each.key for each in answer.results]
            answer_checks.of_keys(told, bucket, keys[: max(1, len(told))])
            results = [_in_bucket(messages.get_result(each), bucket) for each in answer.results]
            for key, result in zip(told, results, strict=True):
                if isinstance(result, ObjectContent):
                    answer_checks.of_object(result.info, bucket, key)
            return results

        return self._ask_batch(request, judge, MAX_BATCH_PAYLOAD, timeout, once=once)

    def head_batch(
        self, bucket: str, keys: Sequence[str], timeout: float | None = None, *, once: bool = False
    ) -> list[ObjectInfo | StorageError] | None:
        """Return the first descriptions, as many as one answer has, or None if the server knows no such batches."""
        if not self._head_batches:
            return None
        request = pb.HeadObjectsRequest(bucket=bucket, keys=keys)

        def judge(answer: pb.HeadObjectsResponse) -> list[ObjectInfo | StorageError]:
            told = [each.key for each in answer.results]
            answer_checks.of_keys(told, bucket, keys[: max(1, len(told))])
            results = [_in_bucket(messages.head_result(each), bucket) for each in answer.results]
            for key, result in zip(told, results, strict=True):
                if isinstance(result, ObjectInfo):
                    answer_checks.of_object(result, bucket, key)
            return results

        try:
            return self._rpc.ask(request, judge, timeout=timeout, once=once)
        except UnsupportedError:
            self._head_batches = False  # an older server, and it answers every such call like this
            return None

    def _ask_batch(
        self, request: Message, judge: Callable[[Any], list[T]], size: int, timeout: float | None, *, once: bool
    ) -> list[T] | None:
        """Make a call that moves up to `size` bytes; return None if the server knows no batches."""
        if not self._batches:
            return None
        seconds = self._timeout + time_for(size) if timeout is None else timeout
        try:
            return self._rpc.ask(request, judge, timeout=seconds, patient=timeout is not None, once=once)
        except UnsupportedError:
            self._batches = False  # an older server, and it answers every such call like this
            return None


def _in_bucket(result: T, bucket: str) -> T:
    if isinstance(result, StorageError):
        result.bucket = result.bucket or bucket
    return result
