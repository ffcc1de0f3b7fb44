# ruff: noqa: D102 (what the methods promise is said in base.py)
"""Names, generations and outcomes in SQLite: the only truth about what exists."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from actorc.storage.models import (
    BucketInfo,
    Condition,
    DeleteResult,
    ListQuery,
    ObjectAttributes,
    ObjectInfo,
    ObjectPage,
)
from actorc.storage.server.engines.base import CopySource
from actorc.storage.server.engines.verdicts import Clock, bucket_missing, bucket_not_empty, bucket_taken, judge

from . import contents, listing, objects, schema, uploads
from .commits import Change
from .faults import Health, explained
from .fsops import FsOps
from .ledger import Ledger
from .objects import Objects, bucket_id
from .retention import Retention
from .rows import ALIVE, Segment, bucket_info, call_id, object_info
from .uploads import Uploads

T = TypeVar("T")

_BATCH = 500


class Index:
    """The database of one data directory.

    Args:
        path: The database file.
        store_id: Identity of the data directory.
        fsops: The disk.
        health: Shared with whatever else writes to the disk.
        clock: Tells the time.
        kept: Which replaced generations are retained.
        upload_ttl: Seconds that a multipart upload stays after its beginning or its last part.

    Attributes:
        uploads: The multipart uploads.
    """

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
    ) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        connection = schema.connect(path)
        try:
            schema.create(connection, store_id)
            self._ledger = Ledger(connection, fsops, health, clock)
            fsops.sync_directory(path.parent)
        except BaseException:
            connection.close()
            raise
        self._objects = Objects(self._ledger, kept, fsops, path)
        self.uploads = Uploads(self._ledger, self._objects, self.reading, upload_ttl)

    def close(self) -> None:
        """Finish running changes and close every connection."""
        self._closed = True
        self._ledger.commits.close()
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for reading; it sees what was committed before each of its statements."""
        with explained():
            connection = self._idle.pop() if self._idle else schema.connect(self._path)
            try:
                yield connection
            finally:
                if self._closed:
                    connection.close()
                else:
                    self._idle.append(connection)

    def run(self, change: Change[T]) -> T:
        """Return what a change of the caller's own returned, once it is on the medium."""
        return self._ledger.run(change)

    def reserve(self) -> tuple[int, int]:
        """Return a generation greater than all that are committed by now, and the time in microseconds."""
        with self.reading() as connection:
            return self._ledger.reserve(connection), self._ledger.now()

    def spare(self) -> int:
        """Return the bytes of the database file that nothing uses any more, and that the next rows will."""
        with self.reading() as connection:
            pages = connection.execute("PRAGMA freelist_count").fetchone()[0]
            return int(pages) * int(connection.execute("PRAGMA page_size").fetchone()[0])

    def create_bucket(self, bucket: str, *, exist_ok: bool, idempotency_key: str) -> BucketInfo:
        def change(connection: sqlite3.Connection) -> int:
            row = connection.execute("SELECT created_us FROM bucket WHERE name = ?", (bucket,)).fetchone()
            if row and not exist_ok:
                raise bucket_taken(bucket)
            if not row:
                row = (self._ledger.now(),)
                connection.execute("INSERT INTO bucket (name, created_us) VALUES (?, ?)", (bucket, *row))
            return int(row[0])

        created_us, _ = self._ledger.once(call_id("create_bucket", bucket, idempotency_key), change)
        return bucket_info((bucket, created_us))

    def delete_bucket(self, bucket: str, *, idempotency_key: str) -> None:
        def change(connection: sqlite3.Connection) -> bool:
            found = bucket_id(connection, bucket)
            holds = f"SELECT 1 FROM object WHERE bucket_id = :bucket AND {ALIVE} LIMIT 1"  # noqa: S608 (our own text)
            if connection.execute(holds, {"bucket": found, "now": self._ledger.now()}).fetchone():
                raise bucket_not_empty(bucket)
            objects.drop_all(connection, found)
            uploads.drop_all(connection, found)
            connection.execute("DELETE FROM bucket WHERE id = ?", (found,))
            return True

        self._ledger.once(call_id("delete_bucket", bucket, idempotency_key), change)

    def head_bucket(self, bucket: str) -> BucketInfo:
        with self.reading() as connection:
            row = connection.execute("SELECT name, created_us FROM bucket WHERE name = ?", (bucket,)).fetchone()
        if row is None:
            raise bucket_missing(bucket)
        return bucket_info(row)

    def buckets(self) -> list[BucketInfo]:
        with self.reading() as connection:
            rows = connection.execute("SELECT name, created_us FROM bucket ORDER BY name").fetchall()
        return [bucket_info(row) for row in rows]

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
        """Publish `segment`; return the object, and False instead of True if an earlier call had done so."""

        def change(connection: sqlite3.Connection) -> tuple[Any, ...]:
            place = self._objects.place(connection, bucket, key, condition)
            content_id = contents.add(connection, segment)
            return self._objects.publish(
                connection, place, content_id, attributes, size=segment.size, crc32c=crc32c, order=segment.order
            )

        fields, is_new = self._ledger.once(call_id("commit", bucket, key, idempotency_key), change, tuple)
        return object_info(bucket, key, fields), is_new

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
            info, content_id = self._objects.find(connection, source.bucket, source.key, source.generation)
            judge(Condition(if_match=source.if_match), info.etag, source.bucket, source.key)
            place = self._objects.place(connection, bucket, key, condition)
            contents.share(connection, content_id)
            described = attributes or info
            kept = ObjectAttributes(content_type=described.content_type, metadata=described.metadata, ttl=ttl)
            return self._objects.publish(connection, place, content_id, kept, size=info.size, crc32c=info.crc32c)

        call = call_id("copy", source.bucket, source.key, bucket, key, idempotency_key)
        return object_info(bucket, key, self._ledger.once(call, change, tuple)[0])

    def delete(self, bucket: str, key: str, condition: Condition, *, idempotency_key: str) -> bool:
        def change(connection: sqlite3.Connection) -> bool:
            return self._delete(connection, bucket, key, condition)

        return self._ledger.once(call_id("delete", bucket, key, idempotency_key), change)[0]

    def delete_many(self, bucket: str, keys: Sequence[str], *, idempotency_key: str) -> list[DeleteResult]:
        def change(connection: sqlite3.Connection) -> list[bool]:
            bucket_id(connection, bucket)
            return [self._delete(connection, bucket, key) for key in keys]

        deleted, _ = self._ledger.once(call_id("delete_many", bucket, *keys, idempotency_key), change)
        return [DeleteResult(key=key, deleted=existed) for key, existed in zip(keys, deleted, strict=True)]

    def head(self, bucket: str, key: str) -> ObjectInfo:
        with self.reading() as connection:
            return self._objects.find(connection, bucket, key)[0]

    def find(self, bucket: str, key: str, generation: int | None) -> tuple[ObjectInfo, tuple[Segment, ...]]:
        """Return the present object, or a generation of it that is still there, and where its bytes are."""
        with self.reading() as connection:
            connection.execute("BEGIN")
            try:
                info, content_id = self._objects.find(connection, bucket, key, generation)
                return info, contents.load(connection, content_id)
            finally:
                connection.execute("COMMIT")

    def page(self, query: ListQuery) -> ObjectPage:
        with self.reading() as connection:
            return listing.page(connection, bucket_id(connection, query.bucket), query, self._ledger.now())

    def garbage(self, after: tuple[str, str]) -> list[tuple[str, str]]:
        """Return blobs behind `after` that nothing refers to any more, each with the one whose readers hold it.

        One that is content all the same, since a row is damaged, is not among them.
        """
        with self.reading() as connection:
            return connection.execute(
                "SELECT guard, file FROM garbage WHERE (guard, file) > (?, ?)"
                " AND NOT EXISTS (SELECT 1 FROM content WHERE content.file IN (garbage.file, garbage.guard))"
                " ORDER BY guard, file LIMIT ?",
                (*after, _BATCH),
            ).fetchall()

    def forget_garbage(self, names: Iterable[str]) -> None:
        """Note that these blobs are gone."""
        rows = [(name,) for name in names]
        self._ledger.run(lambda connection: connection.executemany("DELETE FROM garbage WHERE file = ?", rows))

    def unknown(self, names: Iterable[str]) -> list[str]:
        """Return those of `names` that are no blob of any content, nor garbage on record."""
        with self.reading() as connection:
            find = "SELECT 1 FROM content WHERE file = :name UNION ALL SELECT 1 FROM garbage WHERE file = :name"
            return [name for name in names if not connection.execute(find, {"name": name}).fetchone()]

    def expire(self) -> bool:
        """Drop some of what was kept for a while; return whether there may be more."""

        def change(connection: sqlite3.Connection) -> bool:
            tasks = self._objects.expire, self.uploads.expire, self._ledger.forget
            more = [task(connection, _BATCH) for task in tasks]
            return any(more)

        return self._ledger.run(change)

    def _delete(
        self, connection: sqlite3.Connection, bucket: str, key: str, condition: Condition | None = None
    ) -> bool:
        place = self._objects.place(connection, bucket, key, *([condition] if condition else ()))
        if place.present:
            objects.remove(connection, place.bucket_id, place.name, place.present.content_id)
        return place.present is not None
