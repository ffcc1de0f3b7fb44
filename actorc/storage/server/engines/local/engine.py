"""The durable engine: immutable files beside a SQLite index, on one machine."""

# ruff: noqa: D102 (the methods are documented in base.py)

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from os import PathLike
from pathlib import Path

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import IntegrityError, StorageError
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
from actorc.storage.rules import MiB
from actorc.storage.server.engines.base import CAPABILITIES, CopySource, Engine, PartChoice
from actorc.storage.server.engines.batches import attempted, of_one
from actorc.storage.server.engines.bucket_totals import BucketTotal
from actorc.storage.server.engines.readers_writers import ObjectReader, ObjectWriter, PartWriter
from actorc.storage.server.engines.times import UPLOAD_TTL, Clock

from .completion import LocalCompletion
from .data_dir import DataDirectory
from .disk.errors import explained
from .disk.fsops import FsOps
from .disk.health import Health
from .disk.held_blobs import HeldBlobs
from .disk.quarantine import DAYS
from .index.batches.batch_reads import Found
from .index.index import Index
from .index.retention import Retention
from .index.value_lists import LONGEST
from .maintenance.maintenance import Maintenance
from .readers import LocalReader
from .rows import Segment
from .writers import INLINE_MAX, LocalObjectWriter, LocalPartWriter

_DEFAULT = Retention()
_MIN_SPARE = MiB
_READY = MiB
"""Bytes of room below which the engine reports itself full, although smaller objects may still fit."""


class LocalEngine(Engine):
    """An engine over a directory, which it locks alone or with other processes of its group. Any thread may call it.

    Args:
        path: The data directory; made if it does not exist.
        fsops: The disk.
        clock: Seconds since 1970-01-01 UTC.
        retention: Limits of replaced generations that stay readable.
        upload_ttl: Seconds that a multipart upload stays after its beginning or its last part.
        scrub_days: Days of one pass of the scrubber, which reads and verifies everything; 0: never.
        quarantine_days: Least days that blobs unknown to the index are kept.
        group: Descriptor that `share` returned in a parent process; owned by the engine from now on.
        sweep_interval: Seconds between sweeps in a thread of the engine; None: only by `sweep`.
        repairing: Whether to open it with any number of orphans, or with an older copy of the index, for `fsck` and
            repairs.

    Raises:
        StorageError: The directory is in use, holds something else, or cannot be written.
    """

    name = "local"
    durable = True
    capabilities = frozenset(CAPABILITIES)

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        fsops: FsOps | None = None,
        clock: Clock = time.time,
        retention: Retention = _DEFAULT,
        upload_ttl: float = UPLOAD_TTL,
        scrub_days: float = 0.0,
        quarantine_days: float = DAYS,
        group: int | None = None,
        sweep_interval: float | None = 60.0,
        repairing: bool = False,
    ) -> None:
        self._fsops = fsops or FsOps()
        self._health = Health()
        self._closed = False
        # undone in reverse order if a later step fails, or this process would keep the directory locked
        with explained(), ExitStack() as undo:
            self._directory = DataDirectory(Path(path), self._fsops, group)
            undo.callback(self._directory.close)
            self._blobs = self._directory.open_blobs(self._health, clock)
            self._index = Index(
                self._directory.database,
                self._directory.store_id,
                fsops=self._fsops,
                health=self._health,
                clock=clock,
                kept=retention,
                upload_ttl=upload_ttl,
                repairing=repairing,
            )
            undo.callback(self._index.close)
            self._directory.relabel()
            self.maintenance = Maintenance(
                self._index,
                self._blobs,
                self._fsops,
                self._health,
                self._directory,
                clock=clock,
                scrub_days=scrub_days,
                quarantine_days=quarantine_days,
            )
            """Background threads and repairs."""
            # only by the process that locked the directory alone: others of a group may have blobs that are not
            # committed yet
            if group is None and (self._index.verified or self.maintenance.orphans.due):
                self.maintenance.quarantine_leftovers(repairing=repairing)
            undo.pop_all()
        self.maintenance.start(sweep_interval)

    def share(self) -> int:
        """Close the engine, but keep its directory locked.

        Every process that inherits the returned descriptor may open the directory with it. The directory is unlocked
        when all of them have ended or closed it. Upgrades and checks are done before this returns.
        """
        # those who open it now trust what this process has just checked
        self._close_index(is_verified=True)
        return self._directory.share()

    @property
    def healthy(self) -> bool:
        """Whether changes are accepted; False for good once a failed commit left the state on disk unknown."""
        return self._health.good

    @property
    def full(self) -> bool:
        """Whether the disk has no room for new objects at present; reads and deletes still succeed."""
        try:
            self._blobs.check_room(_READY)
        except OSError:
            return True
        return False

    def create_bucket(self, bucket: str, *, exist_ok: bool = False, idempotency_key: str = "") -> BucketInfo:
        return self._index.buckets.create(bucket, exist_ok=exist_ok, idempotency_key=idempotency_key)

    def delete_bucket(self, bucket: str, *, idempotency_key: str = "") -> None:
        self._index.buckets.delete(bucket, idempotency_key=idempotency_key)

    def head_bucket(self, bucket: str) -> BucketInfo:
        return self._index.buckets.head(bucket)

    def buckets(self) -> list[BucketInfo]:
        return self._index.buckets.all()

    def bucket_totals(self) -> list[BucketTotal]:
        return self._index.bucket_totals()

    def writer(self, bucket: str, key: str, *, declared_size: int | None = None) -> ObjectWriter:
        self._check_writable()
        self._index.buckets.head(bucket)
        return LocalObjectWriter(
            bucket, key, index=self._index, declared_size=declared_size, blobs=self._blobs, health=self._health
        )

    def head(self, bucket: str, key: str) -> ObjectInfo:
        return self._index.head(bucket, key)

    def read(
        self,
        bucket: str,
        key: str,
        *,
        generation: int | None = None,
        ahead: ByteRange = WHOLE,  # noqa: ARG002 - opening a file costs nothing
    ) -> ObjectReader:
        found = self._index.find(bucket, key, generation)
        # blobs of a replaced object may be removed between lookup and opening; a second lookup then finds others
        while (reader := self._open(*found)) is None:
            before, found = found, self._index.find(bucket, key, generation)
            if found == before:
                raise IntegrityError(
                    "the bytes of the object are missing on the disk of the server; write the object again", bucket, key
                )
        return reader

    def delete(self, bucket: str, key: str, condition: Condition = ANY, *, idempotency_key: str = "") -> bool:
        existed = self._index.delete(bucket, key, condition, idempotency_key=idempotency_key)
        if existed:
            self.maintenance.collector.wake()
        return existed

    def delete_many(self, bucket: str, keys: Sequence[str], *, idempotency_key: str = "") -> list[DeleteResult]:
        results = self._index.delete_many(bucket, keys, idempotency_key=idempotency_key)
        self.maintenance.collector.wake()
        return results

    def put_small(self, bucket: str, small: SmallObject, *, idempotency_key: str = "") -> ObjectInfo:
        if len(small.data) > INLINE_MAX:
            return super().put_small(bucket, small, idempotency_key=idempotency_key)
        self._check_writable()
        # the bucket is looked up by the transaction alone
        return self._index.put_inline(bucket, small, idempotency_key=idempotency_key)

    def read_small(self, bucket: str, key: str, *, most: int) -> ObjectContent:
        return self._content(bucket, key, self._index.find_small(bucket, key), most)

    def put_many(
        self, bucket: str, objects: Sequence[SmallObject], *, idempotency_key: str = ""
    ) -> list[ObjectInfo | StorageError]:
        self._check_writable()
        self._index.buckets.head(bucket)
        rows = [each for each in objects if len(each.data) <= INLINE_MAX]
        others = [each for each in objects if len(each.data) > INLINE_MAX]
        done = {
            each.key: result
            for each, result in chain(
                # one transaction, and so one sync, for all of these
                zip(rows, self._index.put_many(bucket, rows, idempotency_key=idempotency_key), strict=True),
                zip(others, super().put_many(bucket, others, idempotency_key=idempotency_key), strict=True)
                if others
                else (),
            )
        }
        return [
            of_one(result) if isinstance(result, StorageError) else result
            for result in (done[each.key] for each in objects)
        ]

    def read_many(self, bucket: str, keys: Sequence[str], *, most: int) -> Iterator[ObjectContent | StorageError]:
        for at in range(0, len(keys), LONGEST):
            group = keys[at : at + LONGEST]
            for key, found in zip(group, self._index.find_many(bucket, group), strict=True):
                if isinstance(found, StorageError):
                    yield found
                else:
                    yield attempted(lambda: self._content(bucket, key, found, most))  # noqa: B023

    def _content(self, bucket: str, key: str, found: Found, most: int) -> ObjectContent:
        info, segment = found
        if info.size > most:
            return ObjectContent(info, None)
        if segment is None or segment.data is None:
            # looked up again when its blobs are opened, which may be those of another generation by then
            return super().read_small(bucket, key, most=most)
        if crc32c(segment.data) == info.crc32c:
            return ObjectContent(info, segment.data)
        # the reader tells which block is damaged
        reader = LocalReader(info, (segment,), HeldBlobs(self._blobs, ()))
        return ObjectContent(info, b"".join([chunk.data for chunk in reader.chunks()]))

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
        return self._index.copy(source, bucket, key, attributes, condition, ttl=ttl, idempotency_key=idempotency_key)

    def create_upload(
        self,
        bucket: str,
        key: str,
        attributes: ObjectAttributes,
        condition: Condition = ANY,
        *,
        idempotency_key: str = "",
    ) -> str:
        return self._index.uploads.create(bucket, key, attributes, condition, idempotency_key=idempotency_key)

    def part_writer(
        self, bucket: str, key: str, upload_id: str, number: int, *, declared_size: int | None = None
    ) -> PartWriter:
        self._check_writable()
        self._index.uploads.check(bucket, key, upload_id)
        return LocalPartWriter(
            bucket,
            key,
            upload_id,
            number,
            index=self._index,
            declared_size=declared_size,
            blobs=self._blobs,
            health=self._health,
        )

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
        with LocalCompletion(bucket, key, index=self._index, blobs=self._blobs, health=self._health) as completion:
            return completion.commit(upload_id, parts, condition, idempotency_key=idempotency_key)

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        self._index.uploads.abort(bucket, key, upload_id)
        self.maintenance.collector.wake()

    def list_parts(
        self, bucket: str, key: str, upload_id: str, *, after_number: int = 0, limit: int = 1000
    ) -> list[PartInfo]:
        return self._index.uploads.parts(bucket, key, upload_id, after_number=after_number, limit=limit)

    def list_uploads(
        self, bucket: str, *, prefix: str = "", after: tuple[str, str] | None = None, limit: int = 1000
    ) -> UploadPage:
        return self._index.uploads.page(bucket, prefix=prefix, after=after, limit=limit)

    def page(self, query: ListQuery) -> ObjectPage:
        return self._index.page(query)

    def sweep(self) -> None:
        """Remove garbage and expired objects now, and move orphans into quarantine; raises as the maintenance does."""
        self.maintenance.sweep()

    @property
    def damaged(self) -> int:
        """Number of times that the scrubber found damaged content, or damage of the index."""
        return self.maintenance.scrubber.progress().damaged

    def close(self) -> None:
        """Finish running changes, checkpoint the database, and unlock the directory."""
        if not self._closed:
            self._close_index()
            self._directory.close()

    def _check_writable(self) -> None:
        """Raise if a commit would fail, before any bytes are taken."""
        self._health.check()
        with explained():
            try:
                self._blobs.check_room(INLINE_MAX)
            except OSError:
                # free pages of the index still take small objects and deletes
                if self._index.spare() < _MIN_SPARE:
                    raise

    def _close_index(self, *, is_verified: bool = False) -> None:
        self._closed = True
        # before the index is closed: its threads use it
        self.maintenance.close()
        self._index.close(is_verified=is_verified)

    def _open(self, info: ObjectInfo, segments: Sequence[Segment]) -> LocalReader | None:
        """Return a reader, or None if a blob is missing: removed since the lookup, or lost."""
        try:
            with explained():
                held = HeldBlobs(self._blobs, [segment.file for segment in segments if segment.file is not None])
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        return LocalReader(info, segments, held)
