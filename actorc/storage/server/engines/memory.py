# ruff: noqa: D102 (what the methods promise is said in base.py)
"""Objects in a dict, gone with the process: for tests and scratch work, and the oracle of the model tests."""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from actorc.storage._checksum import BlockSums
from actorc.storage.errors import StorageError
from actorc.storage.models import (
    ANY,
    WHOLE,
    BucketInfo,
    ByteRange,
    Chunk,
    Condition,
    ListQuery,
    ObjectAttributes,
    ObjectInfo,
    ObjectPage,
)
from actorc.storage.rules import BLOCK_SIZE

from .base import Engine, ObjectReader, Writer
from .blocks import cut
from .listing import Span
from .verdicts import (
    REMEMBERED_SECONDS,
    Clock,
    bucket_missing,
    bucket_not_empty,
    bucket_taken,
    etag_of,
    judge,
    microseconds,
    object_missing,
    utc,
)


@dataclass(frozen=True, slots=True)
class _Stored:
    info: ObjectInfo
    data: bytes
    sums: list[int]


@dataclass(slots=True)
class _Bucket:
    info: BucketInfo
    objects: dict[bytes, _Stored] = field(default_factory=dict)
    keys: list[bytes] = field(default_factory=list)  # those of `objects`, in byte order


class MemoryEngine(Engine):
    """An engine without a medium.

    Args:
        clock: Tells the time.
    """

    name = "memory"
    durable = False

    def __init__(self, *, clock: Clock = time.time) -> None:
        self._clock = clock
        self._lock = Lock()
        self._buckets: dict[str, _Bucket] = {}
        self._generation = 0
        self._answers: dict[tuple[str, ...], tuple[float, Any]] = {}  # oldest first

    def create_bucket(self, bucket: str, *, exist_ok: bool = False, idempotency_key: str = "") -> BucketInfo:
        with self._lock:
            call = ("create_bucket", bucket, idempotency_key)
            answer = self._recall(call)
            if isinstance(answer, BucketInfo):
                return answer
            present = self._buckets.get(bucket)
            if present and not exist_ok:
                raise bucket_taken(bucket)
            info = present.info if present else BucketInfo(name=bucket, created_at=utc(microseconds(self._clock)))
            self._buckets.setdefault(bucket, _Bucket(info))
            self._remember(call, info)
            return info

    def delete_bucket(self, bucket: str, *, idempotency_key: str = "") -> None:
        with self._lock:
            call = ("delete_bucket", bucket, idempotency_key)
            if self._recall(call) is not None:
                return
            if self._bucket(bucket).objects:
                raise bucket_not_empty(bucket)
            del self._buckets[bucket]
            self._remember(call, "deleted")

    def head_bucket(self, bucket: str) -> BucketInfo:
        with self._lock:
            return self._bucket(bucket).info

    def buckets(self) -> list[BucketInfo]:
        with self._lock:
            return [self._buckets[name].info for name in sorted(self._buckets)]

    def writer(self, bucket: str, key: str, *, declared_size: int | None = None) -> Writer:  # noqa: ARG002
        self.head_bucket(bucket)
        return _MemoryWriter(self, bucket, key)

    def head(self, bucket: str, key: str) -> ObjectInfo:
        return self._find(bucket, key).info

    def read(self, bucket: str, key: str, *, generation: int | None = None) -> ObjectReader:
        stored = self._find(bucket, key)
        if generation not in {None, stored.info.generation}:
            raise object_missing(bucket, key, generation)
        return _MemoryReader(stored)

    def delete(self, bucket: str, key: str, condition: Condition = ANY, *, idempotency_key: str = "") -> bool:
        with self._lock:
            call = ("delete", bucket, key, idempotency_key)
            answer = self._recall(call)
            if answer is not None:
                return bool(answer)
            held = self._bucket(bucket)
            judge(condition, self._etag(held, key), bucket, key)
            name = key.encode()
            existed = held.objects.pop(name, None) is not None
            if existed:
                del held.keys[bisect_left(held.keys, name)]
            self._remember(call, existed)
            return existed

    def page(self, query: ListQuery) -> ObjectPage:
        with self._lock:
            held = self._bucket(query.bucket)
            span = Span.of(query)
            names: list[bytes] = []
            at = bisect_left(held.keys, span.lower)
            while at < len(held.keys) and held.keys[at] < span.upper and len(names) <= query.limit:
                key = held.keys[at]
                names.append(span.common_prefix(key) or key)
                at = bisect_left(held.keys, span.next_after(key))
            page = names[: query.limit]
            return ObjectPage(
                objects=tuple(held.objects[name].info for name in page if span.common_prefix(name) is None),
                common_prefixes=tuple(name.decode() for name in page if span.common_prefix(name) is not None),
                next_after=page[-1].decode() if len(names) > len(page) else "",
            )

    def close(self) -> None:
        with self._lock:
            self._buckets.clear()
            self._answers.clear()

    def put(
        self,
        bucket: str,
        key: str,
        content: tuple[bytes, BlockSums],
        attributes: ObjectAttributes,
        condition: Condition,
        idempotency_key: str,
    ) -> ObjectInfo:
        """Publish `content` under `key`; what a writer's commit comes down to."""
        data, sums = content
        with self._lock:
            call = ("commit", bucket, key, idempotency_key)
            answer = self._recall(call)
            if isinstance(answer, ObjectInfo):
                return answer
            held = self._bucket(bucket)
            judge(condition, self._etag(held, key), bucket, key)
            info = self._describe(bucket, key, sums, attributes)
            name = key.encode()
            if name not in held.objects:
                insort(held.keys, name)
            held.objects[name] = _Stored(info, data, sums.blocks())
            self._remember(call, info)
            return info

    def _describe(self, bucket: str, key: str, sums: BlockSums, attributes: ObjectAttributes) -> ObjectInfo:
        now = microseconds(self._clock)
        self._generation = max(now, self._generation + 1)
        crc = sums.whole()
        return ObjectInfo(
            bucket=bucket,
            key=key,
            size=sums.size,
            etag=etag_of(self._generation, crc),
            generation=self._generation,
            crc32c=crc,
            content_type=attributes.content_type,
            metadata=dict(attributes.metadata),
            last_modified=utc(now),
        )

    def _bucket(self, bucket: str) -> _Bucket:
        held = self._buckets.get(bucket)
        if held is None:
            raise bucket_missing(bucket)
        return held

    def _find(self, bucket: str, key: str) -> _Stored:
        with self._lock:
            stored = self._bucket(bucket).objects.get(key.encode())
        if stored is None:
            raise object_missing(bucket, key)
        return stored

    @staticmethod
    def _etag(held: _Bucket, key: str) -> str | None:
        stored = held.objects.get(key.encode())
        return stored.info.etag if stored else None

    def _recall(self, call: tuple[str, ...]) -> object:
        oldest = self._clock() - REMEMBERED_SECONDS
        while self._answers and next(iter(self._answers.values()))[0] < oldest:
            del self._answers[next(iter(self._answers))]
        return self._answers.get(call, (0.0, None))[1]

    def _remember(self, call: tuple[str, ...], answer: object) -> None:
        if call[-1]:
            self._answers[call] = (self._clock(), answer)


class _MemoryWriter(Writer):
    def __init__(self, engine: MemoryEngine, bucket: str, key: str) -> None:
        self._engine = engine
        self._name = (bucket, key)
        self._data = bytearray()
        self._sums = BlockSums()
        self._open = True

    def write(self, data: bytes | memoryview, crc32c: int) -> None:
        self._check_open()
        self._data += data
        self._sums.add(data, crc32c)

    @property
    def size(self) -> int:
        return self._sums.size

    def checksum(self) -> int:
        return self._sums.whole()

    def commit(
        self, attributes: ObjectAttributes, condition: Condition = ANY, *, idempotency_key: str = ""
    ) -> ObjectInfo:
        self._check_open()
        content = bytes(self._data), self._sums
        self.abort()
        return self._engine.put(*self._name, content, attributes, condition, idempotency_key)

    def abort(self) -> None:
        self._open = False
        self._data = bytearray()

    def _check_open(self) -> None:
        if not self._open:
            raise StorageError("the writer was committed or aborted before; begin a new one", None, *self._name)


class _MemoryReader(ObjectReader):
    def __init__(self, stored: _Stored) -> None:
        self.info = stored.info
        self._stored = stored

    def chunks(self, part: ByteRange = WHOLE) -> Iterator[Chunk]:
        return cut(part, self.info.size, self._stored.sums, self._block)

    def close(self) -> None:
        pass

    def _block(self, index: int) -> bytes:
        return self._stored.data[index * BLOCK_SIZE : (index + 1) * BLOCK_SIZE]
