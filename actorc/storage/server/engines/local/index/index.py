"""The index: names, generations and recorded results in SQLite. An object exists if and only if its row does."""

# ruff: noqa: D102 (what the methods promise is said in base.py; statements are made of our own text)

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from actorc.storage.errors import IntegrityError, StorageError
from actorc.storage.models import (
    Condition,
    DeleteResult,
    ListQuery,
    ObjectAttributes,
    ObjectInfo,
    ObjectPage,
    SmallObject,
)
from actorc.storage.server.engines.base import CopySource
from actorc.storage.server.engines.batches import attempted
from actorc.storage.server.engines.bucket_totals import BucketTotal
from actorc.storage.server.engines.local.disk.errors import named
from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.disk.health import Health
from actorc.storage.server.engines.local.rows import Segment, are_of, call_id, inline, object_info
from actorc.storage.server.engines.preconditions import check_precondition
from actorc.storage.server.engines.times import Clock

from . import (
    absence,
    content_refs,
    listing,
    objects,
    open_close,
    schema,
    startup,
    tally,
    verification,
)
from .batches import batch_reads, batch_writes
from .batches.batch_reads import Found
from .buckets import Buckets
from .changes.pending_change import Change
from .changes.put_outcomes import AskedPut, PutOutcomes
from .garbage_rows import GarbageRows
from .objects import Objects, bucket_id
from .presence import PresenceLock
from .reading import Readers, Reading, Remembered
from .retention import Retention
from .row_checksums import damaged_row
from .uploads import Uploads
from .verification import Damage

T = TypeVar("T")


class Index:
    """The database of one data directory. Any thread may call it, and several processes may have it open.

    Args:
        path: The database file.
        store_id: Identity of the data directory.
        fsops: The disk.
        health: State of the disk, shared by the engine.
        clock: Seconds since 1970-01-01 UTC.
        kept: Which replaced generations are retained.
        upload_ttl: Seconds that a multipart upload stays after its beginning or its last part.
        repairing: Whether to open also an older copy of the index that was closed last.

    Attributes:
        uploads: The multipart uploads.
        buckets: The buckets.
        garbage: The names of blobs to remove.
        verified: Whether every row was verified at the start, after an unclean shutdown.

    Raises:
        IntegrityError: The index is damaged, or a part of it is missing.
        StorageError: It belongs to another data directory, or to a newer version.
    """

    batch: ClassVar[int] = 500
    """Rows that one transaction of a sweep removes at most, so that writers do not wait long."""

    def __init__(
        self,
        path: Path,
        store_id: str,
        *,
        fsops: FsOps,
        health: Health,
        clock: Clock,
        kept: Retention,
        upload_ttl: float,
        repairing: bool = False,
    ) -> None:
        self._path = path
        self._fsops = fsops
        self._health = health
        self._readers = Readers(path)
        self._presence = PresenceLock(path.parent, fsops)
        # no other process opens or closes the index until it is checked and its log exists
        with self._presence.entering() as is_first:
            opening = startup.Opening()
            if is_first:
                was_open = self._presence.was_open()
                opening = startup.prepare(path, store_id, fsops, was_open=was_open, may_be_older=repairing)
            self._idempotency, self._log_keeper = open_close.open_log(
                path, fsops, health, clock, self._presence, is_first=is_first
            )
        self.verified = opening.verified
        if opening.verified:
            open_close.record_opening(self._idempotency, opening)
        self._objects = Objects(self._idempotency, kept, fsops, path)
        self.uploads = Uploads(self._idempotency, self._objects, self.reading, upload_ttl)
        self.buckets = Buckets(self._idempotency, self.reading)
        self.garbage = GarbageRows(self._idempotency, self.reading, self.batch)

    def close(self, *, is_verified: bool = False) -> None:
        """Finish running changes and close every connection; the last process writes the mark of a clean stop.

        Args:
            is_verified: Whether the index was opened a moment ago; else all of it is verified before it is marked.
        """
        self._readers.refuse()
        commits = self._idempotency.commits
        commits.stop()
        with self._presence.leaving() as is_last:
            may_go = False
            try:
                self._readers.close()
                commits.carry_over()
                may_go = is_last and open_close.mark_closed(
                    self._path, self._fsops, self._health, self._presence, is_verified=is_verified
                )
            finally:
                # the last connection that can write removes the log
                for connection in (self._log_keeper, commits) if may_go else (commits, self._log_keeper):
                    connection.close()

    def reading(self) -> Reading:
        """Return a block with a connection for reading; each statement sees the changes committed before it."""
        return Reading(self._readers)

    def run(self, change: Change[T]) -> T:
        """Run a change of the caller, and return its result once it is on the medium."""
        return self._idempotency.run(change)

    def defer_checkpoints(self, wake: Callable[[], None] | None) -> None:
        """Have another thread call `checkpoint` when `wake` is called; None: callers make checkpoints themselves."""
        self._idempotency.commits.defer_checkpoints(wake)

    def checkpoint(self) -> None:
        """Write the log into the database; any thread may call it. Changes wait meanwhile."""
        self._idempotency.commits.checkpoint()

    @property
    def objects(self) -> Objects:
        """The objects, for changes of the caller."""
        return self._objects

    def now(self) -> int:
        """Return the time in microseconds."""
        return self._idempotency.now()

    def reserve(self) -> tuple[int, int]:
        """Return a generation greater than all committed ones, and the time in microseconds since 1970-01-01 UTC."""
        with self.reading() as connection:
            return self._idempotency.reserve(connection), self._idempotency.now()

    def bucket_totals(self) -> list[BucketTotal]:
        with self.reading() as connection:
            return tally.bucket_totals(connection)

    def damages(self) -> Iterator[Damage]:
        """Yield all damage of the index, reading every row and every page from the disk; changes go on meanwhile."""
        # a connection of its own: those that were in use have pages in memory
        with closing(schema.connect(self._path)) as connection:
            yield from verification.damages(connection)

    def spare(self) -> int:
        """Return the bytes of free pages in the database file, which the next rows will use."""
        with self.reading() as connection:
            pages = connection.execute("PRAGMA freelist_count").fetchone()[0]
            return int(pages) * schema.page_size(connection)

    def put(
        self,
        bucket: str,
        key: str,
        segment: Segment,
        *,
        crc32c: int,
        attributes: ObjectAttributes,
        condition: Condition,
        idempotency_key: str,
    ) -> tuple[ObjectInfo, bool]:
        """Publish `segment`; return the object, and whether this call did, and not an earlier one with the same key."""
        asked = AskedPut(segment.size, crc32c, attributes, condition)
        outcomes = PutOutcomes(self._idempotency, bucket, (key,), idempotency_key)

        def change(connection: sqlite3.Connection) -> tuple[tuple[Any, ...], bool]:
            outcomes.recall(connection)
            earlier = outcomes.earlier(key, asked)
            if earlier is not None:
                return earlier, False
            place = self._objects.place(connection, bucket, key, condition)
            content_id = content_refs.add(connection, segment)
            self._objects.retire(connection, (place,))
            fields = self._objects.publish(
                connection, place, content_id, attributes, size=segment.size, crc32c=crc32c, order=segment.order
            )
            outcomes.made(key, asked, fields)
            outcomes.remember(connection)
            return fields, True

        with named(bucket, key):
            fields, is_new = self._idempotency.run(change)
        return object_info(bucket, key, fields), is_new

    def put_inline(self, bucket: str, small: SmallObject, *, idempotency_key: str) -> ObjectInfo:
        """Publish an object whose bytes are kept in the index, as `put` does."""
        return self.put(
            bucket,
            small.key,
            inline(small),
            crc32c=small.crc32c,
            attributes=small.attributes,
            condition=small.condition,
            idempotency_key=idempotency_key,
        )[0]

    def put_many(
        self, bucket: str, objects: Sequence[SmallObject], *, idempotency_key: str
    ) -> list[ObjectInfo | StorageError]:
        """Publish objects, each as `put` does, whose bytes are kept in the index; return the result of each."""
        outcomes = PutOutcomes(self._idempotency, bucket, [each.key for each in objects], idempotency_key)
        try:
            results = self.run(
                lambda connection: batch_writes.put(connection, self._objects, outcomes, bucket, objects)
            )
        except IntegrityError:
            if not self._health.good:
                raise
            # a damaged row, nobody knows whose; the objects that it is not about are stored
            put = self.put_inline
            return [attempted(lambda: put(bucket, each, idempotency_key=idempotency_key)) for each in objects]  # noqa: B023
        return [
            result if isinstance(result, StorageError) else object_info(bucket, each.key, result)
            for each, result in zip(objects, results, strict=True)
        ]

    def copy(
        self,
        source: CopySource,
        bucket: str,
        key: str,
        attributes: ObjectAttributes | None,
        condition: Condition,
        *,
        ttl: int | None,
        idempotency_key: str,
    ) -> ObjectInfo:
        def change(connection: sqlite3.Connection) -> tuple[Any, ...]:
            info, content_id, _ = self._objects.find(connection, source.bucket, source.key, source.generation)
            check_precondition(Condition(if_match=source.if_match), info.etag, source.bucket, source.key)
            place = self._objects.place(connection, bucket, key, condition)
            content_refs.share(connection, content_id)
            kept = source.attributes(attributes, info, ttl)
            self._objects.retire(connection, (place,))
            return self._objects.publish(connection, place, content_id, kept, size=info.size, crc32c=info.crc32c)

        call = call_id("copy", bucket, key, idempotency_key)
        asked = source, attributes, condition, ttl
        formerly = call_id("copy", source.bucket, source.key, bucket, key, idempotency_key)
        with named(bucket, key):
            return object_info(bucket, key, self._idempotency.once(call, asked, change, tuple, formerly=formerly)[0])

    def delete(self, bucket: str, key: str, condition: Condition, *, idempotency_key: str) -> bool:
        def change(connection: sqlite3.Connection) -> bool:
            return self._delete(connection, bucket, key, condition)

        with named(bucket, key):
            return self._idempotency.once(call_id("delete", bucket, key, idempotency_key), (condition,), change)[0]

    def delete_many(self, bucket: str, keys: Sequence[str], *, idempotency_key: str) -> list[DeleteResult]:
        def change(connection: sqlite3.Connection) -> list[bool]:
            bucket_id(connection, bucket)
            return [self._delete(connection, bucket, key) for key in keys]

        deleted, _ = self._idempotency.once(call_id("delete_many", bucket, *keys, idempotency_key), (), change)
        return [DeleteResult(key=key, deleted=existed) for key, existed in zip(keys, deleted, strict=True)]

    def head(self, bucket: str, key: str) -> ObjectInfo:
        with named(bucket, key), self.reading() as connection:
            known = connection.remembered(bucket, key, self.now())
            if known is not None:
                return known.info
            info = self._objects.find(connection, bucket, key).info
            connection.remember(Remembered(info, None))
            return info

    def find(self, bucket: str, key: str, generation: int | None) -> tuple[ObjectInfo, tuple[Segment, ...]]:
        """Return the current object, or a retained generation, and its segments."""
        with named(bucket, key), self.reading() as connection:
            known = connection.remembered(bucket, key, self.now())
            if known is not None and known.segments is not None and generation in {None, known.info.generation}:
                return known.info, known.segments
            # one transaction: a change between the two statements would combine an object with the content of another
            connection.execute("BEGIN")
            try:
                info, content_id, is_current = self._objects.find(connection, bucket, key, generation)
                segments = content_refs.load(connection, content_id)
            finally:
                connection.execute("COMMIT")
            if not are_of(info, segments):
                raise damaged_row("object", bucket, key)
            if is_current:
                connection.remember(Remembered(info, segments))
            return info, segments

    def find_small(self, bucket: str, key: str) -> Found:
        """Return the current object of a key with the segment that is all of it."""
        with self.reading() as connection:
            now = self.now()
            known = connection.remembered(bucket, key, now)
            if known is not None and known.segments is not None:
                return Found(known.info, known.segments[0] if len(known.segments) == 1 else None)
            found = batch_reads.find_one(connection, bucket, key, now)
            if found.segment is not None and found.segment.data is not None:
                connection.remember(Remembered(found.info, (found.segment,)))
            return found

    def find_many(self, bucket: str, keys: Sequence[str]) -> list[Found | StorageError]:
        """Return the current object of each key with the segment that is all of it, or its error.

        Raises:
            BucketNotFoundError: There is no such bucket.
        """
        with self.reading() as connection:
            return batch_reads.find(connection, bucket, bucket_id(connection, bucket), keys, self.now())

    def page(self, query: ListQuery) -> ObjectPage:
        with self.reading() as connection:
            return listing.page(connection, bucket_id(connection, query.bucket), query, self._idempotency.now())

    def expire(self) -> bool:
        """Remove one batch of expired rows; return whether there may be more."""

        def change(connection: sqlite3.Connection) -> bool:
            tasks = self._objects.expire, self.uploads.expire, self._idempotency.forget
            more = [task(connection, self.batch) for task in tasks]
            return any(more)

        return self._idempotency.run(change)

    def _delete(
        self, connection: sqlite3.Connection, bucket: str, key: str, condition: Condition | None = None
    ) -> bool:
        place = self._objects.place(connection, bucket, key, *([condition] if condition else ()))
        if place.current:
            objects.remove(connection, place.bucket_id, place.name, place.current.content_id)
        else:
            absence.check_object(connection, place.bucket_id, bucket, key)
        return place.current is not None
