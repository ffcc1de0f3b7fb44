"""The engine over a remote object store: S3, Google Cloud Storage or Azure, through obstore.

The server keeps only uploads under way, so any number of servers can serve one store. Capabilities that the store lacks
are not among those of the engine, and calls that need them are refused.
"""

# ruff: noqa: D102 (the methods are documented in base.py)

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Final

from actorc.storage.errors import (
    InvalidParameterError,
    PermissionError,
    StorageError,
    UnsupportedError,
    UploadNotFoundError,
)
from actorc.storage.models import (
    ANY,
    WHOLE,
    BucketInfo,
    ByteRange,
    Condition,
    DeleteResult,
    ListQuery,
    ObjectAttributes,
    ObjectContent,
    ObjectInfo,
    ObjectPage,
    PartInfo,
    SmallObject,
    UploadPage,
)
from actorc.storage.server.engines.base import CopySource, Engine, PartChoice
from actorc.storage.server.engines.batches import attempted
from actorc.storage.server.engines.errors import object_missing
from actorc.storage.server.engines.preconditions import check_precondition
from actorc.storage.server.engines.readers_writers import ObjectReader, ObjectWriter, PartWriter
from actorc.storage.server.engines.times import UPLOAD_TTL, Clock, microseconds, utc

from .buckets import BucketMarkers
from .condition_support import ConditionSupport, probe_conditions
from .key_layout import KeyLayout
from .listing import Listed, listed
from .object_metadata import Record
from .object_store import Backend
from .publish import Publisher
from .readers import RemoteReader, request_object
from .spool import Spool
from .store_url import StoreUrl
from .uploads import Uploads
from .writers import RemoteObjectWriter, RemotePartWriter

log = logging.getLogger(__name__)

_THREADS: Final = 32
"""Requests for one page of a listing, or one batch, that are under way at the same time."""
_SWEEP_INTERVAL: Final = 3600.0
"""Seconds."""
_MAX_REDIRECT: Final = 300.0
"""Greatest validity of a presigned URL of the store, in seconds: it stays valid after the caller's key is revoked."""


class RemoteEngine(Engine):
    """An engine over one bucket of a store, or over the names with one prefix in it. Any thread may call it.

    Args:
        address: The URL of the store.
        backend: A connection to it, closed with the engine; None: a new one.
        clock: Seconds since 1970-01-01 UTC.
        upload_ttl: Seconds that a multipart upload stays after its beginning or its last part.
        sweep_interval: Seconds between sweeps in a thread of the engine; None: only by `sweep`.

    Raises:
        StorageError: The store cannot be reached, does not have the bucket, or refuses the credentials.
    """

    name = "remote"
    durable = True

    def __init__(
        self,
        address: StoreUrl,
        backend: Backend | None = None,
        *,
        clock: Clock = time.time,
        upload_ttl: float = UPLOAD_TTL,
        sweep_interval: float | None = _SWEEP_INTERVAL,
    ) -> None:
        self._backend = backend or address.connect()
        self._names = KeyLayout(address.root)
        self._address = address
        self._clock = clock
        self._upload_ttl = timedelta(seconds=upload_ttl)
        self.durable = address.is_durable
        conditions = _probed_conditions(self._backend, self._names, address)
        self.capabilities = frozenset(
            name for name, has in (("if-absent", conditions.if_absent), ("if-match", conditions.if_match)) if has
        )
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store-request")
        self._publisher = Publisher(self._backend, self._names, conditions, clock)
        self._uploads = Uploads(self._backend, self._names, self._publisher, self._threads, address.staging)
        self._markers = BucketMarkers(self._backend, self._names, self._publisher)
        self._closed = threading.Event()
        if sweep_interval is not None:
            sweep = partial(self._sweep_at_times, sweep_interval)
            # daemon, because a sweep may be waiting for the store when the process ends
            threading.Thread(target=sweep, name="store-sweep", daemon=True).start()

    @property
    def healthy(self) -> bool:
        """Whether the store answered the last request."""
        return self._backend.availability.available

    def create_bucket(self, bucket: str, *, exist_ok: bool = False, idempotency_key: str = "") -> BucketInfo:
        return self._markers.create(bucket, exist_ok=exist_ok, idempotency_key=idempotency_key)

    def delete_bucket(self, bucket: str, *, idempotency_key: str = "") -> None:  # noqa: ARG002 - nothing tells it later
        self._markers.delete(bucket)
        self._uploads.drop_all(bucket)

    def head_bucket(self, bucket: str) -> BucketInfo:
        return self._markers.head(bucket)

    def buckets(self) -> list[BucketInfo]:
        names = self._markers.names()
        return [info for info in self._threads.map(self._markers.find, names) if info]

    def writer(self, bucket: str, key: str, *, declared_size: int | None = None) -> ObjectWriter:
        self._names.object(bucket, key)
        self._markers.check(bucket)

        def publish(spool: Spool, attributes: ObjectAttributes, condition: Condition, call: str) -> ObjectInfo:
            # again, since the bucket may have been deleted while the bytes arrived
            self._markers.check(bucket)
            return self._publisher.publish(
                self._publisher.target("put", bucket, key, attributes, condition, call), spool
            )

        return RemoteObjectWriter(Spool(self._address.staging, declared_size), publish)

    def head(self, bucket: str, key: str) -> ObjectInfo:
        with self._markers.bucket_errors(bucket):
            return self._publisher.head(bucket, key)

    def read(self, bucket: str, key: str, *, generation: int | None = None, ahead: ByteRange = WHOLE) -> ObjectReader:
        name = self._names.object(bucket, key)
        with self._markers.bucket_errors(bucket):
            found, begun = request_object(self._backend, name, ahead)
            record = found and Record.of(found.attributes)
            if found is None or record is None or generation not in {None, record.generation}:
                raise object_missing(bucket, key, generation)
            return RemoteReader(self._backend, name, record.info(bucket, key, found.size), found, begun)

    def delete(self, bucket: str, key: str, condition: Condition = ANY, *, idempotency_key: str = "") -> bool:  # noqa: ARG002
        if condition.if_match is not None:
            raise UnsupportedError("the store deletes without a condition only; leave if_match out, if that is fine")
        self._markers.check(bucket)
        there = self._is_own(bucket, key)
        if there:
            self._backend.delete([self._names.object(bucket, key)])
        return there

    def delete_many(self, bucket: str, keys: Sequence[str], *, idempotency_key: str = "") -> list[DeleteResult]:  # noqa: ARG002
        self._markers.check(bucket)
        distinct = list(dict.fromkeys(keys))
        looks = dict(zip(distinct, self._threads.map(partial(self._delete_result, bucket), distinct), strict=True))
        there = [key for key, look in looks.items() if look.deleted]
        if there:
            self._backend.delete([self._names.object(bucket, key) for key in there])
        return [looks.pop(key, DeleteResult(key=key, deleted=False)) for key in keys]

    def put_many(
        self, bucket: str, objects: Sequence[SmallObject], *, idempotency_key: str = ""
    ) -> list[ObjectInfo | StorageError]:
        self._markers.check(bucket)
        put = partial(self.put_small, bucket, idempotency_key=idempotency_key)
        return list(self._threads.map(lambda each: attempted(lambda: put(each)), objects))

    def read_many(self, bucket: str, keys: Sequence[str], *, most: int) -> Iterator[ObjectContent | StorageError]:
        self._markers.check(bucket)
        # group by group, so that not all of a large batch are in memory at once
        for at in range(0, len(keys), _THREADS):
            group = keys[at : at + _THREADS]
            yield from self._threads.map(lambda key: attempted(lambda: self.read_small(bucket, key, most=most)), group)

    def head_many(self, bucket: str, keys: Sequence[str]) -> Iterator[ObjectInfo | StorageError]:
        self._markers.check(bucket)
        yield from self._threads.map(lambda key: attempted(lambda: self.head(bucket, key)), keys)

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
        with self.read(source.bucket, source.key, generation=source.generation) as reader:
            check_precondition(Condition(if_match=source.if_match), reader.info.etag, source.bucket, source.key)
            self._markers.check(bucket)
            kept = source.attributes(attributes, reader.info, ttl)
            operation = f"copy {source.bucket}/{source.key}"
            target = self._publisher.target(operation, bucket, key, kept, condition, idempotency_key)
            # identified by the source, as the bytes found there may be others when the call is repeated
            target = target._replace(asked=(source, attributes, condition, ttl), names_bytes=True)
            if self._publisher.is_streamed(target, reader.info.size):
                body = (bytes(chunk.data) for chunk in reader.chunks())
                return self._publisher.stream(target, body, reader.info.size, reader.info.crc32c)
            with RemoteObjectWriter(
                Spool(self._address.staging, reader.info.size), lambda spool, *_: self._publisher.publish(target, spool)
            ) as writer:
                for chunk in reader.chunks():
                    writer.write(chunk.data, chunk.crc32c)
                return writer.commit(kept)

    def create_upload(
        self,
        bucket: str,
        key: str,
        attributes: ObjectAttributes,
        condition: Condition = ANY,
        *,
        idempotency_key: str = "",
    ) -> str:
        target = self._publisher.target("upload", bucket, key, attributes, condition, idempotency_key)
        self._markers.check(bucket)
        return self._uploads.create(target)

    def part_writer(
        self, bucket: str, key: str, upload_id: str, number: int, *, declared_size: int | None = None
    ) -> PartWriter:
        self._markers.check(bucket)
        self._uploads.find(bucket, key, upload_id)
        publish = partial(self._uploads.put_part, bucket, key, upload_id, number)
        return RemotePartWriter(Spool(self._address.staging, declared_size), publish)

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
        self._markers.check(bucket)
        target = self._publisher.target("complete", bucket, key, ObjectAttributes(), condition, "")
        return self._uploads.complete(target, upload_id, parts, idempotency_key)

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        self._markers.check(bucket)
        # aborting twice is no error, since the first answer may have been lost
        with suppress(UploadNotFoundError):
            self._uploads.find(bucket, key, upload_id)
            self._uploads.drop(bucket, upload_id)

    def list_parts(
        self, bucket: str, key: str, upload_id: str, *, after_number: int = 0, limit: int = 1000
    ) -> list[PartInfo]:
        self._markers.check(bucket)
        self._uploads.find(bucket, key, upload_id)
        parts = self._uploads.parts(bucket, upload_id)
        return [part.info for number, part in parts.items() if number > after_number][:limit]

    def list_uploads(
        self, bucket: str, *, prefix: str = "", after: tuple[str, str] | None = None, limit: int = 1000
    ) -> UploadPage:
        self._markers.check(bucket)
        return self._uploads.page(bucket, prefix, after, limit)

    def page(self, query: ListQuery) -> ObjectPage:
        self._markers.check(query.bucket)
        names = listed(self._backend, self._names, query)
        shown: list[ObjectInfo | str] = []
        # objects of others in the store are skipped, so that the page ends with a name that it shows
        while len(shown) < query.limit and (some := list(islice(names, query.limit - len(shown)))):
            shown += self._shown(query, some)
        return ObjectPage.of(shown, more=len(shown) == query.limit and next(names, None) is not None)

    def presigned_location(self, bucket: str, key: str, method: str, expires: float) -> str | None:
        if not (self._address.redirect and self._address.is_durable):
            return None
        return self._backend.sign(method, self._names.object(bucket, key), min(expires, _MAX_REDIRECT))

    def close(self) -> None:
        self._closed.set()
        self._threads.shutdown()
        self._backend.close()

    def sweep(self) -> None:
        """Remove abandoned multipart uploads."""
        self._uploads.sweep(utc(microseconds(self._clock)) - self._upload_ttl)

    def _sweep_at_times(self, interval: float) -> None:
        while not self._closed.wait(interval):
            try:
                self.sweep()
            except StorageError as error:
                # the next sweep tries again
                log.warning("what is left over in the store was not removed, %s", error.message)

    def _shown(self, query: ListQuery, some: Sequence[Listed]) -> list[ObjectInfo | str]:
        """Return the entries of names on a page."""
        if not query.details:
            return [each.without_details(query.bucket) for each in some]
        return [each for each in self._threads.map(partial(self._described, query.bucket), some) if each]

    def _described(self, bucket: str, listed: Listed) -> ObjectInfo | str | None:
        """Return the entry of a name in full; None if this service did not write the object, or it is gone."""
        if listed.found is None:
            return listed.name
        key = listed.name
        try:
            current = self._publisher.find(bucket, key)
        except InvalidParameterError:
            # a name that this service can give to no object
            return None
        return current.record.info(bucket, key, current.size) if current and current.record else None

    def _is_own(self, bucket: str, key: str) -> bool:
        """Return whether there is an object that this service wrote; what others put there is not removed."""
        current = self._publisher.find(bucket, key)
        return current is not None and current.record is not None

    def _delete_result(self, bucket: str, key: str) -> DeleteResult:
        """Return the result of deleting a key, if all existing objects are deleted then."""
        try:
            return DeleteResult(key=key, deleted=self._is_own(bucket, key))
        except InvalidParameterError as error:
            return DeleteResult(key=key, deleted=False, error=error)


def _probed_conditions(backend: Backend, names: KeyLayout, address: StoreUrl) -> ConditionSupport:
    """Return which conditions the store checks; an error names the store.

    Raises:
        StorageError: The store cannot be used.
    """
    try:
        return probe_conditions(backend, names)
    except StorageError as error:
        backend.close()
        error.message = f"{address.place} cannot be used, {error.message}"
        if isinstance(error, PermissionError):
            error.message += f" ({address.credentials})"
        raise
