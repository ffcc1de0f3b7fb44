"""The least that is an engine: objects in a dict under one lock, without expiry and without retention."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from fastcrc.crc32 import iscsi as crc32c

from actorc.storage.models import (
    ANY,
    WHOLE,
    BucketInfo,
    Chunk,
    Condition,
    DeleteResult,
    ObjectInfo,
    ObjectPage,
    PartInfo,
    UploadInfo,
    UploadPage,
)
from actorc.storage.rules import MAX_CHUNK_SIZE
from actorc.storage.server.engines import errors, etags, preconditions, request_fingerprints, times
from actorc.storage.server.engines.base import CAPABILITIES, Engine
from actorc.storage.server.engines.listing import Span
from actorc.storage.server.engines.readers_writers import ObjectReader, ObjectWriter, PartWriter

LACKS = frozenset({"constant-copy", "retention", "ttl", "verified-ranges"})


@dataclass
class Upload:
    info: UploadInfo
    attributes: object
    condition: object
    parts: dict = field(default_factory=dict)


class Collected(ObjectWriter, PartWriter):
    def __init__(self, publish):
        self._data = bytearray()
        self._publish = publish

    def write(self, data, crc32c):
        self._data += data

    @property
    def size(self):
        return len(self._data)

    def checksum(self):
        return crc32c(bytes(self._data))

    def abort(self):
        self._data.clear()

    def commit(self, *asked, idempotency_key=""):
        return self._publish(bytes(self._data), *asked, idempotency_key=idempotency_key)


class Held(ObjectReader):
    def __init__(self, info, data):
        self.info = info
        self._data = data

    def chunks(self, part=WHOLE):
        first, stop = part.clamp(len(self._data))
        for at in range(first, stop, MAX_CHUNK_SIZE):
            data = self._data[at : min(at + MAX_CHUNK_SIZE, stop)]
            yield Chunk(at, data, crc32c(data))

    def close(self):
        pass


class DictEngine(Engine):
    name = "dict"
    durable = False
    capabilities = frozenset(CAPABILITIES) - LACKS

    def __init__(self):
        self._lock = threading.RLock()
        self._buckets = {}
        self._objects = {}
        self._uploads = {}
        self._answers = {}
        self._generation = 0

    def create_bucket(self, bucket, *, exist_ok=False, idempotency_key=""):
        def change():
            if bucket in self._buckets and not exist_ok:
                raise errors.bucket_taken(bucket)
            return self._buckets.setdefault(bucket, BucketInfo(name=bucket, created_at=self._now()))

        return self._once(("create_bucket", bucket, idempotency_key), (exist_ok,), change)

    def delete_bucket(self, bucket, *, idempotency_key=""):
        def change():
            self.head_bucket(bucket)
            if any(name[0] == bucket for name in self._objects):
                raise errors.bucket_not_empty(bucket)
            del self._buckets[bucket]
            self._uploads = {name: each for name, each in self._uploads.items() if each.info.bucket != bucket}

        return self._once(("delete_bucket", bucket, idempotency_key), (), change)

    def head_bucket(self, bucket):
        if bucket not in self._buckets:
            raise errors.bucket_missing(bucket)
        return self._buckets[bucket]

    def buckets(self):
        with self._lock:
            return [self._buckets[name] for name in sorted(self._buckets)]

    def writer(self, bucket, key, *, declared_size=None):
        self.head_bucket(bucket)

        def publish(data, attributes, condition=ANY, *, idempotency_key):
            def change():
                self._judge(condition, bucket, key)
                return self._place(bucket, key, data, attributes)

            return self._once(("put", bucket, key, idempotency_key), (crc32c(data), attributes, condition), change)

        return Collected(publish)

    def head(self, bucket, key):
        return self._find(bucket, key)[0]

    def read(self, bucket, key, *, generation=None, ahead=WHOLE):
        return Held(*self._find(bucket, key, generation))

    def delete(self, bucket, key, condition=ANY, *, idempotency_key=""):
        def change():
            self._judge(condition, bucket, key)
            return self._objects.pop((bucket, key), None) is not None

        return self._once(("delete", bucket, key, idempotency_key), (condition,), change)

    def delete_many(self, bucket, keys, *, idempotency_key=""):
        def change():
            return [DeleteResult(key=key, deleted=self.delete(bucket, key)) for key in keys]

        self.head_bucket(bucket)
        return self._once(("delete_many", bucket, *keys, idempotency_key), (), change)

    def copy(self, source, bucket, key, attributes=None, condition=ANY, *, ttl=None, idempotency_key=""):
        def change():
            found, data = self._find(source.bucket, source.key, source.generation)
            wanted = Condition(if_match=source.if_match)
            preconditions.check_precondition(wanted, found.etag, source.bucket, source.key)
            self._judge(condition, bucket, key)
            return self._place(bucket, key, data, attributes or found)

        return self._once(("copy", bucket, key, idempotency_key), (source, attributes, condition, ttl), change)

    def create_upload(self, bucket, key, attributes, condition=ANY, *, idempotency_key=""):
        def change():
            self._judge(condition, bucket, key)
            upload_id = etags.upload_id_of(self._next_generation())
            info = UploadInfo(bucket=bucket, key=key, upload_id=upload_id, created_at=self._now())
            self._uploads[upload_id] = Upload(info, attributes, condition)
            return upload_id

        return self._once(("create_upload", bucket, key, idempotency_key), (attributes, condition), change)

    def part_writer(self, bucket, key, upload_id, number, *, declared_size=None):
        self._upload(bucket, key, upload_id)

        def publish(data, *, idempotency_key):
            def change():
                upload = self._upload(bucket, key, upload_id)
                etag = etags.etag_of(self._next_generation(), crc32c(data))
                info = PartInfo(
                    number=number, size=len(data), etag=etag, crc32c=crc32c(data), last_modified=self._now()
                )
                upload.parts[number] = info, data
                return info

            return self._once(("part", bucket, key, upload_id, str(number), idempotency_key), (crc32c(data),), change)

        return Collected(publish)

    def complete_upload(self, bucket, key, upload_id, parts, condition=ANY, *, idempotency_key=""):
        def change():
            upload = self._upload(bucket, key, upload_id)
            chosen = preconditions.chosen_parts(parts, {number: info for number, (info, _) in upload.parts.items()})
            self._judge(upload.condition, bucket, key)
            self._judge(condition, bucket, key)
            del self._uploads[upload_id]
            data = b"".join(upload.parts[part.number][1] for part in chosen)
            return self._place(bucket, key, data, upload.attributes)

        call = ("complete_upload", bucket, key, upload_id, idempotency_key)
        return self._once(call, (list(parts), condition), change)

    def abort_upload(self, bucket, key, upload_id):
        self.head_bucket(bucket)
        with self._lock:
            upload = self._uploads.get(upload_id)
            if upload and (upload.info.bucket, upload.info.key) == (bucket, key):
                del self._uploads[upload_id]

    def list_parts(self, bucket, key, upload_id, *, after_number=0, limit=1000):
        with self._lock:
            parts = self._upload(bucket, key, upload_id).parts
            return [parts[number][0] for number in sorted(parts) if number > after_number][:limit]

    def list_uploads(self, bucket, *, prefix="", after=None, limit=1000):
        def name(info):
            return info.key.encode(), info.upload_id

        self.head_bucket(bucket)
        least = (after[0].encode(), after[1]) if after else (b"", "")
        with self._lock:
            held = [each.info for each in self._uploads.values() if each.info.bucket == bucket]
        found = sorted((info for info in held if info.key.startswith(prefix) and name(info) > least), key=name)
        page = tuple(found[:limit])
        more = len(found) > limit
        return UploadPage(uploads=page, next_after=(page[-1].key, page[-1].upload_id) if more else None)

    def page(self, query):
        self.head_bucket(query.bucket)
        span = Span.of(query)
        with self._lock:
            held = {key.encode(): info for (bucket, key), (info, _) in self._objects.items() if bucket == query.bucket}
        names = sorted({span.common_prefix(key) or key for key in held if span.lower <= key < span.upper})
        page = names[: query.limit]
        return ObjectPage(
            objects=tuple(held[name] for name in page if span.common_prefix(name) is None),
            common_prefixes=tuple(name.decode() for name in page if span.common_prefix(name) is not None),
            next_after=page[-1].decode() if len(names) > len(page) else "",
        )

    def close(self):
        pass

    def _place(self, bucket, key, data, described):
        generation = self._next_generation()
        info = ObjectInfo(
            bucket=bucket,
            key=key,
            size=len(data),
            etag=etags.etag_of(generation, crc32c(data)),
            generation=generation,
            crc32c=crc32c(data),
            content_type=described.content_type,
            metadata=dict(described.metadata),
            last_modified=self._now(),
        )
        self._objects[bucket, key] = info, data
        return info

    def _find(self, bucket, key, generation=None):
        with self._lock:
            self.head_bucket(bucket)
            info, data = self._objects.get((bucket, key), (None, b""))
        if info is None or generation not in {None, info.generation}:
            raise errors.object_missing(bucket, key, generation)
        return info, data

    def _upload(self, bucket, key, upload_id):
        self.head_bucket(bucket)
        upload = self._uploads.get(upload_id)
        if upload is None or (upload.info.bucket, upload.info.key) != (bucket, key):
            raise errors.upload_missing(bucket, key)
        return upload

    def _judge(self, condition, bucket, key):
        self.head_bucket(bucket)
        info, _ = self._objects.get((bucket, key), (None, b""))
        preconditions.check_precondition(condition, info.etag if info else None, bucket, key)

    def _next_generation(self):
        self._generation += 1
        return self._generation

    def _now(self):
        return times.utc(times.microseconds(time.time))

    def _once(self, call, asked, change):
        request = request_fingerprints.fingerprint(*asked)
        with self._lock:
            if call in self._answers:
                earlier, answer = self._answers[call]
                request_fingerprints.check_request(earlier, request, *call[1:-1][:2])
                return answer
            answer = change()
            if call[-1]:
                self._answers[call] = request, answer
            return answer
