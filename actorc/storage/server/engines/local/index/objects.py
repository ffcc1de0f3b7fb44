"""The current generation of each key: conditions, replacement, removal, expiry, in the caller's transaction."""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from actorc.storage.errors import StorageError
from actorc.storage.models import Condition, ObjectAttributes, ObjectInfo
from actorc.storage.server.engines.batches import attempted
from actorc.storage.server.engines.errors import bucket_missing, object_missing
from actorc.storage.server.engines.etags import etag_of
from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.rows import ALIVE, FIELDS, object_info, pack_metadata
from actorc.storage.server.engines.preconditions import check_precondition
from actorc.storage.server.engines.times import expiry

from . import absence, content_refs, retention
from .changes.idempotency import IdempotencyLog
from .retention import Retention
from .row_checksums import COLUMNS, checked, damaged_row, intact, is_intact
from .value_lists import ListStatement

_NO_LIMIT_US = 1 << 62
_FIND_PLACE = (
    f"SELECT bucket.id, {checked('object')}"
    " FROM bucket LEFT JOIN object ON bucket_id = bucket.id AND key = ? WHERE name = ?"
)
_FIND_PLACES = ListStatement(f"SELECT {checked('object')} FROM object WHERE bucket_id = ? AND key IN {{}}")
_FIND_BUCKET = f"SELECT {checked('bucket')} FROM bucket WHERE name = ?"
_FIND_CURRENT = (
    f"SELECT {checked('bucket')}, {checked('object')}"
    f" FROM bucket JOIN object ON bucket_id = bucket.id WHERE name = :bucket AND key = :key AND {ALIVE}"
)
_FIND_RETAINED = (
    f"SELECT {intact('bucket')} AND {intact('retained')}, content_id, {FIELDS}"
    f" FROM bucket JOIN retained ON bucket_id = bucket.id WHERE name = :bucket AND key = :key AND {ALIVE}"
    " AND generation = :generation AND until_us > :now"
)
_ADD = f"INSERT INTO object ({FIELDS}, content_id, bucket_id, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_CHANGE = f"UPDATE object SET ({FIELDS}, content_id) = (?, ?, ?, ?, ?, ?, ?, ?) WHERE bucket_id = ? AND key = ?"
_KEY = 2
_NOTHING = (None,)
"""The row of a place without an object."""
_BUCKET_WIDTH = 1 + len(COLUMNS["bucket"])


class CurrentGeneration(NamedTuple):
    """The current generation of an object."""

    generation: int
    size: int
    crc32c: int
    content_id: int


class FoundGeneration(NamedTuple):
    """A generation of an object that was looked up."""

    info: ObjectInfo
    content_id: int
    is_current: bool
    """Whether it is not one that was replaced."""


class WriteTarget(NamedTuple):
    """The bucket and key of a write, and the object that it replaces."""

    bucket_id: int
    name: bytes
    current: CurrentGeneration | None


class Objects:
    """Changes the objects of the index, in the transaction of the caller. Any thread may call it.

    Args:
        idempotency: Provides time and generations.
        kept: Limits of retained generations.
        fsops: The disk.
        path: A path on its file system.
    """

    def __init__(self, idempotency: IdempotencyLog, kept: Retention, fsops: FsOps, path: Path) -> None:
        self._idempotency = idempotency
        self._kept = kept
        self._fsops = fsops
        self._path = path

    def place(self, connection: sqlite3.Connection, bucket: str, key: str, *conditions: Condition) -> WriteTarget:
        """Return the place for an object, if the current one meets the conditions.

        Raises:
            BucketNotFoundError: There is no such bucket.
            AlreadyExistsError: A condition says `if_absent` and the key is taken.
            PreconditionFailedError: A condition demands another etag.
            IntegrityError: The row of the object is damaged.
        """
        name = key.encode()
        row = connection.execute(_FIND_PLACE, (name, bucket)).fetchone()
        if row is None:
            absence.check_bucket(connection, bucket)
            raise bucket_missing(bucket)
        number, *stored = row
        return self._judged(connection, WriteTarget(number, name, None), stored, bucket, key, conditions)

    def place_each(
        self, connection: sqlite3.Connection, bucket: str, asked: Sequence[tuple[str, Condition]]
    ) -> list[WriteTarget | StorageError]:
        """Return for each key what `place` does, or its error.

        Raises:
            BucketNotFoundError: There is no such bucket.
        """
        number = bucket_id(connection, bucket)
        names = [key.encode() for key, _ in asked]
        stored = {row[_KEY]: row for row in _FIND_PLACES.rows(connection, (number,), names)}

        def judged(name: bytes, key: str, condition: Condition) -> WriteTarget:
            empty = WriteTarget(number, name, None)
            return self._judged(connection, empty, stored.get(name, _NOTHING), bucket, key, (condition,))

        return [
            attempted(lambda: judged(name, *one))  # noqa: B023
            for name, one in zip(names, asked, strict=True)
        ]

    def _judged(
        self,
        connection: sqlite3.Connection,
        empty: WriteTarget,
        row: Sequence[Any],
        bucket: str,
        key: str,
        conditions: Sequence[Condition],
    ) -> WriteTarget:
        """Return a place with the object of a row, as `checked` selects it, if that meets the conditions."""
        stored, *fields = row
        current = None
        if stored is not None:
            if not is_intact("object", stored, fields):
                raise damaged_row("object", bucket, key)
            _, _, generation, size, crc32c, _, _, _, expires_us, content_id = fields
            current = CurrentGeneration(generation, size, crc32c, content_id)
            # also here, not only when swept: an expired object must not make a condition fail
            if expires_us is not None and expires_us <= self._idempotency.now():
                remove(connection, empty.bucket_id, empty.name, content_id)
                current = None
        elif any(condition.if_absent or condition.if_match for condition in conditions):
            absence.check_object(connection, empty.bucket_id, bucket, key)
        for condition in conditions:
            check_precondition(condition, etag_of(current.generation, current.crc32c) if current else None, bucket, key)
        return empty._replace(current=current) if current else empty

    def publish(
        self,
        connection: sqlite3.Connection,
        place: WriteTarget,
        content_id: int,
        attributes: ObjectAttributes,
        *,
        size: int,
        crc32c: int,
        order: int = 0,
    ) -> tuple[Any, ...]:
        """Make an object of content, whose reference it takes over; return its row of `FIELDS`.

        One in its place must have been given to `retire` before, which takes many at once.

        Args:
            connection: The connection with the open transaction.
            place: From `place`.
            content_id: The content.
            attributes: Content type, metadata and time to live.
            size: Bytes of the content.
            crc32c: Checksum of the content.
            order: The reserved generation; 0: none.
        """
        now = self._idempotency.now()
        fields = (
            self._idempotency.next_generation(order),
            size,
            crc32c,
            attributes.content_type,
            pack_metadata(attributes.metadata),
            now,
            expiry(attributes.ttl, now),
        )
        # a replaced row is changed and not removed, for which fewer triggers run
        connection.execute(_CHANGE if place.current else _ADD, (*fields, content_id, place.bucket_id, place.name))
        return fields

    def restore(
        self, connection: sqlite3.Connection, place: WriteTarget, fields: tuple[Any, ...], content_id: int
    ) -> None:
        """Insert an object with its former row of `FIELDS`, where there is none."""
        self._idempotency.advance(fields[0])
        connection.execute(
            f"INSERT INTO object (bucket_id, key, {FIELDS}, content_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (place.bucket_id, place.name, *fields, content_id),
        )

    def find(
        self, connection: sqlite3.Connection, bucket: str, key: str, generation: int | None = None
    ) -> FoundGeneration:
        """Return the current object, or a retained generation, and its content.

        Raises:
            ObjectNotFoundError: There is none.
            IntegrityError: Its row is damaged.
        """
        row = self._current(connection, bucket, key)
        is_current = row is None or generation in {None, row[1]}
        if not is_current:
            row = self._retained(connection, bucket, key, generation)
        if row is None:
            absence.check_object(connection, bucket_id(connection, bucket), bucket, key)
            raise object_missing(bucket, key, generation)
        return FoundGeneration(object_info(bucket, key, row[1:]), row[0], is_current)

    def expire(self, connection: sqlite3.Connection, limit: int) -> bool:
        """Remove up to `limit` expired objects and as many generations; return whether there may be more."""
        until = self._idempotency.now() if self._has_room(connection) else _NO_LIMIT_US
        more = retention.expire(connection, until, limit)
        rows = connection.execute(
            f"SELECT bucket_id, key, content_id FROM object WHERE expires_us <= ? AND {intact('object')} LIMIT ?",
            (self._idempotency.now(), limit),
        ).fetchall()
        for row in rows:
            remove(connection, *row)
        return more or len(rows) == limit

    def _current(self, connection: sqlite3.Connection, bucket: str, key: str) -> tuple[Any, ...] | None:
        """Return content and `FIELDS` of the current generation; None if there is none."""
        asked = {"bucket": bucket, "key": key.encode(), "now": self._idempotency.now()}
        row: tuple[Any, ...] | None = connection.execute(_FIND_CURRENT, asked).fetchone()
        if row is None:
            return None
        found, stored, fields = row[:_BUCKET_WIDTH], row[_BUCKET_WIDTH], row[_BUCKET_WIDTH + 1 :]
        if not is_intact("bucket", found[0], found[1:]) or not is_intact("object", stored, fields):
            raise damaged_row("object", bucket, key)
        return fields[-1], *fields[2:-1]

    def _retained(
        self, connection: sqlite3.Connection, bucket: str, key: str, generation: int | None
    ) -> tuple[Any, ...] | None:
        """Return content and `FIELDS` of a retained generation; None if there is none."""
        asked = {"bucket": bucket, "key": key.encode(), "generation": generation, "now": self._idempotency.now()}
        row: tuple[Any, ...] | None = connection.execute(_FIND_RETAINED, asked).fetchone()
        if row is None:
            return None
        if not row[0]:
            raise damaged_row("retained", bucket, key)
        return row[1:]

    def retire(self, connection: sqlite3.Connection, places: Sequence[WriteTarget]) -> None:
        """Retain the current objects of one bucket, which are replaced next, as long as the limits let them stay."""
        kept: dict[bytes, int] = {}
        for place in places:
            if place.current is None:
                continue
            if place.current.size > self._kept.max_bytes or not self._has_room(connection):
                content_refs.drop(connection, place.current.content_id)
            else:
                kept[place.name] = place.current.size
        if kept:
            until_us = self._idempotency.now() + int(self._kept.seconds * 1_000_000)
            retention.replace(connection, places[0].bucket_id, kept, until_us)
            retention.limit(connection, self._kept.max_bytes)

    def _has_room(self, connection: sqlite3.Connection) -> bool:
        return retention.has_room(connection, lambda: self._fsops.free_fraction(self._path), self._kept)


def remove(connection: sqlite3.Connection, bucket_id: int, name: bytes, content_id: int) -> None:
    """Remove an object and every retained generation of it."""
    connection.execute("DELETE FROM object WHERE bucket_id = ? AND key = ?", (bucket_id, name))
    content_refs.drop(connection, content_id)
    retention.forget(connection, bucket_id, name)


def ensure_bucket(connection: sqlite3.Connection, bucket: str, created_us: int) -> None:
    """Make a bucket unless it exists."""
    connection.execute("INSERT OR IGNORE INTO bucket (name, created_us) VALUES (?, ?)", (bucket, created_us))


def bucket_id(connection: sqlite3.Connection, bucket: str) -> int:
    """Return the id of a bucket.

    Raises:
        BucketNotFoundError: There is no such bucket.
        IntegrityError: Its row is damaged.
    """
    row = connection.execute(_FIND_BUCKET, (bucket,)).fetchone()
    if row is None:
        absence.check_bucket(connection, bucket)
        raise bucket_missing(bucket)
    if not is_intact("bucket", row[0], row[1:]):
        raise damaged_row("bucket", bucket)
    return int(row[1])


def drop_all(connection: sqlite3.Connection, bucket: int) -> None:
    """Remove every object of a bucket."""
    rows = connection.execute("SELECT key, content_id FROM object WHERE bucket_id = ?", (bucket,)).fetchall()
    for name, content_id in rows:
        remove(connection, bucket, name, content_id)
