# ruff: noqa: D102, S608 (what the methods promise is said in base.py; only our own column names enter statements)
"""Names, generations and outcomes in SQLite: the only truth about what exists."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from actorc.storage.models import BucketInfo, Condition, ListQuery, ObjectAttributes, ObjectInfo, ObjectPage
from actorc.storage.server.engines.verdicts import (
    REMEMBERED_SECONDS,
    Clock,
    bucket_missing,
    bucket_not_empty,
    bucket_taken,
    etag_of,
    judge,
    microseconds,
    object_missing,
)

from . import listing, retention, schema
from .commits import Commits
from .faults import Health, explained
from .fsops import FsOps
from .retention import Retention
from .rows import FIELDS, Content, bucket_info, call_id, object_info, pack_sums, unpack_sums

_BATCH = 500
_FOREVER = 1 << 62

_SURVEY = """
SELECT bucket.id, generation, size, crc32c, content_id, (SELECT result FROM outcome WHERE call = ? AND at_us > ?)
FROM (SELECT 1) LEFT JOIN bucket ON name = ? LEFT JOIN object ON bucket_id = bucket.id AND key = ?
"""


class Index:
    """The database of one data directory.

    Args:
        path: The database file.
        store_id: Identity of the data directory.
        fsops: The disk.
        health: Shared with whatever else writes to the disk.
        clock: Tells the time.
        kept: Which replaced generations are retained.
    """

    def __init__(
        self, path: Path, store_id: str, *, fsops: FsOps, health: Health, clock: Clock, kept: Retention
    ) -> None:
        self._path = path
        self._fsops = fsops
        self._clock = clock
        self._kept = kept
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        connection = schema.connect(path)
        try:
            schema.create(connection, store_id)
            self._generation = int(str(schema.read_meta(connection, "generation")))
            fsops.sync_directory(path.parent)
        except BaseException:
            connection.close()
            raise
        self._commits = Commits(connection, fsops, health, self._seal)

    def close(self) -> None:
        """Finish running changes and close every connection."""
        self._closed = True
        self._commits.close()
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

    def create_bucket(self, bucket: str, *, exist_ok: bool, idempotency_key: str) -> BucketInfo:
        call = call_id("create_bucket", bucket, idempotency_key)

        def change(connection: sqlite3.Connection) -> BucketInfo:
            created_us = self._recall(connection, call)
            if created_us is not None:
                return bucket_info((bucket, created_us))
            row = connection.execute("SELECT name, created_us FROM bucket WHERE name = ?", (bucket,)).fetchone()
            if row and not exist_ok:
                raise bucket_taken(bucket)
            if not row:
                row = bucket, self._now()
                connection.execute("INSERT INTO bucket (name, created_us) VALUES (?, ?)", row)
            self._remember(connection, call, row[1])
            return bucket_info(row)

        return self._commits.run(change)

    def delete_bucket(self, bucket: str, *, idempotency_key: str) -> None:
        call = call_id("delete_bucket", bucket, idempotency_key)

        def change(connection: sqlite3.Connection) -> None:
            if self._recall(connection, call):
                return
            bucket_id = _bucket_id(connection, bucket)
            if connection.execute("SELECT 1 FROM object WHERE bucket_id = ? LIMIT 1", (bucket_id,)).fetchone():
                raise bucket_not_empty(bucket)
            connection.execute("DELETE FROM bucket WHERE id = ?", (bucket_id,))
            self._remember(connection, call, "deleted")

        self._commits.run(change)

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
        content: Content,
        *,
        size: int,
        crc32c: int,
        attributes: ObjectAttributes,
        condition: Condition,
        idempotency_key: str,
    ) -> tuple[ObjectInfo, bool]:
        """Publish `content`; return the object, and False instead of True if an earlier call had done so."""
        call, name, sums = call_id("commit", bucket, key, idempotency_key), key.encode(), pack_sums(content.sums)
        metadata = json.dumps(dict(attributes.metadata), ensure_ascii=False)

        def change(connection: sqlite3.Connection) -> tuple[ObjectInfo, bool]:
            bucket_id, *present, earlier = self._survey(connection, bucket, name, call)
            if earlier is not None:
                return object_info(bucket, key, tuple(json.loads(earlier))), False
            _judge(condition, bucket, key, bucket_id, present)
            if present[0] is not None:
                self._retire(connection, bucket_id, name, size=present[1], content_id=present[3])
            fields = self._next_generation(), size, crc32c, attributes.content_type, metadata, self._now()
            content_id = connection.execute(
                "INSERT INTO content (file, sums, data) VALUES (?, ?, ?)", (content.file, sums, content.data)
            ).lastrowid
            connection.execute(
                "INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (bucket_id, name, *fields, content_id),
            )
            self._remember(connection, call, fields)
            return object_info(bucket, key, fields), True

        return self._commits.run(change)

    def delete(self, bucket: str, key: str, condition: Condition, *, idempotency_key: str) -> bool:
        call, name = call_id("delete", bucket, key, idempotency_key), key.encode()

        def change(connection: sqlite3.Connection) -> bool:
            bucket_id, *present, earlier = self._survey(connection, bucket, name, call)
            if earlier is not None:
                return bool(json.loads(earlier))
            _judge(condition, bucket, key, bucket_id, present)
            existed = present[0] is not None
            if existed:
                connection.execute("DELETE FROM object WHERE bucket_id = ? AND key = ?", (bucket_id, name))
                retention.drop_content(connection, present[3])
                retention.forget(connection, bucket_id, name)
            self._remember(connection, call, existed)
            return existed

        return self._commits.run(change)

    def head(self, bucket: str, key: str) -> ObjectInfo:
        with self.reading() as connection:
            row = connection.execute(
                f"SELECT {FIELDS} FROM bucket JOIN object ON bucket_id = bucket.id WHERE name = ? AND key = ?",
                (bucket, key.encode()),
            ).fetchone()
            if row is None:
                _bucket_id(connection, bucket)
                raise object_missing(bucket, key)
        return object_info(bucket, key, row)

    def find(self, bucket: str, key: str, generation: int | None) -> tuple[ObjectInfo, Content]:
        """Return the present object, or a generation of it that is still there, and where its bytes are."""
        with self.reading() as connection:
            row = _find(connection, "object", bucket, key, 0)
            if row and generation not in {None, row[0]}:
                row = _find(connection, "retained", bucket, key, self._now(), generation)
            if row is None:
                _bucket_id(connection, bucket)
                raise object_missing(bucket, key, generation)
        *fields, file, sums, data = row
        return object_info(bucket, key, tuple(fields)), Content(file=file, sums=unpack_sums(sums), data=data)

    def page(self, query: ListQuery) -> ObjectPage:
        with self.reading() as connection:
            return listing.page(connection, _bucket_id(connection, query.bucket), query)

    def garbage(self) -> list[str]:
        """Return the names of blobs that nothing refers to any more."""
        with self.reading() as connection:
            return [name for (name,) in connection.execute("SELECT file FROM garbage LIMIT ?", (_BATCH,)).fetchall()]

    def forget_garbage(self, names: Iterable[str]) -> None:
        """Note that these blobs are gone."""
        rows = [(name,) for name in names]
        self._commits.run(lambda connection: connection.executemany("DELETE FROM garbage WHERE file = ?", rows))

    def unknown(self, names: Iterable[str]) -> list[str]:
        """Return those of `names` that are no blob of any object, nor garbage on record."""
        with self.reading() as connection:
            find = "SELECT 1 FROM content WHERE file = :name UNION ALL SELECT 1 FROM garbage WHERE file = :name"
            return [name for name in names if not connection.execute(find, {"name": name}).fetchone()]

    def expire(self) -> bool:
        """Drop some of what was kept for a while; return whether there may be more."""
        until = self._now() if self._has_room() else _FOREVER

        def change(connection: sqlite3.Connection) -> bool:
            more = retention.expire(connection, until)
            forgotten = connection.execute(
                "DELETE FROM outcome WHERE id IN (SELECT id FROM outcome ORDER BY id LIMIT ?) AND at_us <= ?",
                (_BATCH, self._now() - REMEMBERED_SECONDS * 1_000_000),
            ).rowcount
            return more or forgotten == _BATCH

        return self._commits.run(change)

    def _survey(self, connection: sqlite3.Connection, bucket: str, key: bytes, call: bytes) -> tuple[Any, ...]:
        """Return bucket id, the present generation, size, crc32c and content id, and what `call` returned earlier."""
        oldest = self._now() - REMEMBERED_SECONDS * 1_000_000
        row: tuple[Any, ...] = connection.execute(_SURVEY, (call, oldest, bucket, key)).fetchone()
        return row

    def _retire(
        self, connection: sqlite3.Connection, bucket_id: int, key: bytes, *, size: int, content_id: int
    ) -> None:
        if size > self._kept.max_bytes or not self._has_room():
            retention.drop_content(connection, content_id)
            return
        expires_us = self._now() + int(self._kept.seconds * 1_000_000)
        retention.replace(connection, bucket_id, key, content_id, size, expires_us)
        retention.limit(connection, self._kept.max_bytes)

    def _next_generation(self) -> int:
        self._generation = max(self._now(), self._generation + 1)
        return self._generation

    def _seal(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "UPDATE meta SET value = :last WHERE name = 'generation' AND value < :last", {"last": self._generation}
        )

    def _recall(self, connection: sqlite3.Connection, call: bytes) -> Any:
        if not call:
            return None
        oldest = self._now() - REMEMBERED_SECONDS * 1_000_000
        row = connection.execute("SELECT result FROM outcome WHERE call = ? AND at_us > ?", (call, oldest)).fetchone()
        return json.loads(row[0]) if row else None

    def _remember(self, connection: sqlite3.Connection, call: bytes, result: object) -> None:
        if call:
            connection.execute(
                "INSERT OR REPLACE INTO outcome (call, at_us, result) VALUES (?, ?, ?)",
                (call, self._now(), json.dumps(result, ensure_ascii=False)),
            )

    def _has_room(self) -> bool:
        return self._fsops.free_fraction(self._path) >= self._kept.min_free

    def _now(self) -> int:
        return microseconds(self._clock)


def _bucket_id(connection: sqlite3.Connection, bucket: str) -> int:
    row = connection.execute("SELECT id FROM bucket WHERE name = ?", (bucket,)).fetchone()
    if row is None:
        raise bucket_missing(bucket)
    return int(row[0])


def _judge(condition: Condition, bucket: str, key: str, bucket_id: int | None, present: Sequence[int]) -> None:
    if bucket_id is None:
        raise bucket_missing(bucket)
    generation, _, crc, _ = present
    judge(condition, None if generation is None else etag_of(generation, crc), bucket, key)


def _find(
    connection: sqlite3.Connection, table: str, bucket: str, key: str, now_us: int, generation: int | None = None
) -> tuple[Any, ...] | None:
    pinned = "AND generation = :generation AND expires_us > :now" if table == "retained" else ""
    row: tuple[Any, ...] | None = connection.execute(
        f"SELECT {FIELDS}, file, sums, data FROM bucket JOIN {table} ON bucket_id = bucket.id"
        f" JOIN content ON content.id = content_id WHERE name = :bucket AND key = :key {pinned}",
        {"bucket": bucket, "key": key.encode(), "generation": generation, "now": now_us},
    ).fetchone()
    return row
