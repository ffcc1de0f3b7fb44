"""The engine in memory, for tests and experiments; its content is gone with the process."""

# ruff: noqa: D102 (the methods are documented in base.py)

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from threading import Lock
from typing import TypeVar

from actorc.storage.models import (
    ANY,
    WHOLE,
    BucketInfo,
    ByteRange,
    Condition,
    DeleteResult,
    ListQuery,
    ObjectAttributes,
    ObjectInfo,
    ObjectPage,
    PartInfo,
    UploadInfo,
    UploadPage,
)
from actorc.storage.server.engines.base import EVERYTHING_BUT_RETENTION, CopySource, Engine, PartChoice
from actorc.storage.server.engines.blocks import joined_checksum
from actorc.storage.server.engines.errors import (
    bucket_missing,
    bucket_not_empty,
    bucket_taken,
    object_missing,
    upload_missing,
)
from actorc.storage.server.engines.etags import etag_of, upload_id_of
from actorc.storage.server.engines.preconditions import check_precondition, chosen_parts
from actorc.storage.server.engines.readers_writers import ObjectReader, ObjectWriter, PartWriter
from actorc.storage.server.engines.request_fingerprints import fingerprint
from actorc.storage.server.engines.times import UPLOAD_TTL, Clock, expiry, microseconds, utc

from .answers import Answers, Call
from .bucket import Bucket, Segment, StoredObject, Upload
from .readers_writers import MemoryObjectWriter, MemoryPartWriter, MemoryReader

T = TypeVar("T")


class MemoryEngine(Engine):
    """An engine without a medium. Any thread may call it.

    Args:
        clock: Seconds since 1970-01-01 UTC.
        upload_ttl: Seconds that a multipart upload stays after its beginning or its last part.
    """

    name = "memory"
    durable = False
    capabilities = EVERYTHING_BUT_RETENTION

    def __init__(self, *, clock: Clock = time.time, upload_ttl: float = UPLOAD_TTL) -> None:
        self._clock = clock
        self._upload_ttl = timedelta(seconds=upload_ttl)
        # guards all buckets and answers; held for a whole change, which thus is atomic
        self._lock = Lock()
        self._buckets: dict[str, Bucket] = {}
        self._generation = 0
        self._answers = Answers()

    def create_bucket(self, bucket: str, *, exist_ok: bool = False, idempotency_key: str = "") -> BucketInfo:
        def change() -> BucketInfo:
            if bucket in self._buckets and not exist_ok:
                raise bucket_taken(bucket)
            made = Bucket(BucketInfo(name=bucket, created_at=utc(self._now())))
            return self._buckets.setdefault(bucket, made).info

        return self._run_once(("create_bucket", bucket, idempotency_key), (exist_ok,), change)

    def delete_bucket(self, bucket: str, *, idempotency_key: str = "") -> None:
        def change() -> None:
            if not self._bucket(bucket).is_empty:
                raise bucket_not_empty(bucket)
            del self._buckets[bucket]

        self._run_once(("delete_bucket", bucket, idempotency_key), (), change)

    def head_bucket(self, bucket: str) -> BucketInfo:
        with self._lock:
            return self._bucket(bucket).info

    def buckets(self) -> list[BucketInfo]:
        with self._lock:
            return [self._buckets[name].info for name in sorted(self._buckets)]

    def writer(self, bucket: str, key: str, *, declared_size: int | None = None) -> ObjectWriter:  # noqa: ARG002
        self.head_bucket(bucket)
        return MemoryObjectWriter(partial(self._put, bucket, key))

    def head(self, bucket: str, key: str) -> ObjectInfo:
        with self._lock:
            return self._find(bucket, key).info

    def read(
        self,
        bucket: str,
        key: str,
        *,
        generation: int | None = None,
        ahead: ByteRange = WHOLE,  # noqa: ARG002
    ) -> ObjectReader:
        with self._lock:
            return MemoryReader(self._find(bucket, key, generation))

    def delete(self, bucket: str, key: str, condition: Condition = ANY, *, idempotency_key: str = "") -> bool:
        def change() -> bool:
            held = self._bucket(bucket)
            _check_precondition(condition, held, key)
            return held.remove(key.encode())

        return self._run_once(("delete", bucket, key, idempotency_key), (condition,), change)

    def delete_many(self, bucket: str, keys: Sequence[str], *, idempotency_key: str = "") -> list[DeleteResult]:
        def change() -> list[DeleteResult]:
            held = self._bucket(bucket)
            return [DeleteResult(key=key, deleted=held.remove(key.encode())) for key in keys]

        return self._run_once(("delete_many", bucket, *keys, idempotency_key), (), change)

    def copy(
        self,
        source: CopySource,
        bucket: str,
        key: str,
        attributes: ObjectAttributes | None = None,
        condition: Condition = ANY,
        *,
        ttl: int | None = None,
        idempotency_key: str = "",
    ) -> ObjectInfo:
        def change() -> ObjectInfo:
            found = self._find(source.bucket, source.key, source.generation)
            check_precondition(Condition(if_match=source.if_match), found.info.etag, source.bucket, source.key)
            held = self._bucket(bucket)
            _check_precondition(condition, held, key)
            kept = source.attributes(attributes, found.info, ttl)
            return self._publish(held, key, found.segments, found.info.crc32c, kept)

        asked = source, attributes, condition, ttl
        return self._run_once(("copy", bucket, key, idempotency_key), asked, change)

    def create_upload(
        self,
        bucket: str,
        key: str,
        attributes: ObjectAttributes,
        condition: Condition = ANY,
        *,
        idempotency_key: str = "",
    ) -> str:
        def change() -> str:
            held = self._bucket(bucket)
            _check_precondition(condition, held, key)
            upload_id, now = upload_id_of(self._next_generation()), utc(self._now())
            info = UploadInfo(bucket=bucket, key=key, upload_id=upload_id, created_at=now)
            held.uploads[upload_id] = Upload(info, attributes, condition, touched=now)
            return upload_id

        return self._run_once(("create_upload", bucket, key, idempotency_key), (attributes, condition), change)

    def part_writer(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        *,
        declared_size: int | None = None,  # noqa: ARG002
    ) -> PartWriter:
        with self._lock:
            self._upload(bucket, key, upload_id)
        return MemoryPartWriter(partial(self._put_part, bucket, key, upload_id, number))

    def complete_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Sequence[PartChoice],
        condition: Condition = ANY,
        *,
        idempotency_key: str = "",
    ) -> ObjectInfo:
        def change() -> ObjectInfo:
            held, upload = self._upload(bucket, key, upload_id)
            chosen = chosen_parts(parts, {number: info for number, (info, _) in upload.parts.items()})
            _check_precondition(upload.condition, held, key)
            _check_precondition(condition, held, key)
            del held.uploads[upload_id]
            crc = joined_checksum((part.crc32c, part.size) for part in chosen)
            segments = tuple(upload.parts[part.number][1] for part in chosen)
            return self._publish(held, key, segments, crc, upload.attributes)

        call = ("complete_upload", bucket, key, upload_id, idempotency_key)
        return self._run_once(call, (list(parts), condition), change)

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        with self._lock:
            uploads = self._bucket(bucket).uploads
            if upload_id in uploads and uploads[upload_id].info.key == key:
                del uploads[upload_id]

    def list_parts(
        self, bucket: str, key: str, upload_id: str, *, after_number: int = 0, limit: int = 1000
    ) -> list[PartInfo]:
        with self._lock:
            _, upload = self._upload(bucket, key, upload_id)
            numbers = sorted(number for number in upload.parts if number > after_number)
            return [upload.parts[number][0] for number in numbers[:limit]]

    def list_uploads(
        self, bucket: str, *, prefix: str = "", after: tuple[str, str] | None = None, limit: int = 1000
    ) -> UploadPage:
        with self._lock:
            return self._bucket(bucket).upload_page(prefix, after, limit)

    def page(self, query: ListQuery) -> ObjectPage:
        with self._lock:
            return self._bucket(query.bucket).page(query)

    def close(self) -> None:
        with self._lock:
            self._buckets.clear()
            self._answers.clear()

    def _put(
        self,
        bucket: str,
        key: str,
        segment: Segment,
        crc: int,
        attributes: ObjectAttributes,
        condition: Condition,
        idempotency_key: str,
    ) -> ObjectInfo:
        def change() -> ObjectInfo:
            held = self._bucket(bucket)
            _check_precondition(condition, held, key)
            return self._publish(held, key, (segment,), crc, attributes)

        asked = segment.size, crc, attributes, condition
        return self._run_once(("commit", bucket, key, idempotency_key), asked, change)

    def _put_part(
        self, bucket: str, key: str, upload_id: str, number: int, segment: Segment, crc: int, idempotency_key: str
    ) -> PartInfo:
        def change() -> PartInfo:
            held, upload = self._upload(bucket, key, upload_id)
            etag = etag_of(self._next_generation(), crc)
            info = PartInfo(number=number, size=segment.size, etag=etag, crc32c=crc, last_modified=utc(self._now()))
            held.add_part(upload, info, segment)
            return info

        call = ("part", bucket, key, upload_id, str(number), idempotency_key)
        return self._run_once(call, (segment.size, crc), change)

    def _publish(
        self, held: Bucket, key: str, segments: tuple[Segment, ...], crc: int, attributes: ObjectAttributes
    ) -> ObjectInfo:
        generation, now = self._next_generation(), self._now()
        expires_us = expiry(attributes.ttl, now)
        info = ObjectInfo(
            bucket=held.info.name,
            key=key,
            size=sum(segment.size for segment in segments),
            etag=etag_of(generation, crc),
            generation=generation,
            crc32c=crc,
            content_type=attributes.content_type,
            metadata=dict(attributes.metadata),
            last_modified=utc(now),
            expires_at=None if expires_us is None else utc(expires_us),
        )
        held.store(key.encode(), StoredObject(info, segments))
        return info

    def _bucket(self, bucket: str) -> Bucket:
        held = self._buckets.get(bucket)
        if held is None:
            raise bucket_missing(bucket)
        now = utc(self._now())
        held.expire(now, now - self._upload_ttl)
        return held

    def _find(self, bucket: str, key: str, generation: int | None = None) -> StoredObject:
        stored = self._bucket(bucket).find(key.encode())
        if stored is None or generation not in {None, stored.info.generation}:
            raise object_missing(bucket, key, generation)
        return stored

    def _upload(self, bucket: str, key: str, upload_id: str) -> tuple[Bucket, Upload]:
        held = self._bucket(bucket)
        upload = held.uploads.get(upload_id)
        if upload is None or upload.info.key != key:
            raise upload_missing(bucket, key)
        return held, upload

    def _next_generation(self) -> int:
        self._generation = max(self._now(), self._generation + 1)
        return self._generation

    def _now(self) -> int:
        return microseconds(self._clock)

    def _run_once(self, call: Call, asked: tuple[object, ...], change: Callable[[], T]) -> T:
        """Run `change` and return its result, as `Answers.run_once` does for a call that asked for this."""
        request = fingerprint(*asked) if call[-1] else b""
        with self._lock:
            # look-up and change under one lock: a retry that overtakes its first attempt must not run the change again
            return self._answers.run_once(call, request, change, self._clock())


def _check_precondition(condition: Condition, held: Bucket, key: str) -> None:
    stored = held.find(key.encode())
    check_precondition(condition, stored.info.etag if stored else None, held.info.name, key)
