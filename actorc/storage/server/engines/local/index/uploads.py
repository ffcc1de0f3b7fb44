"""Multipart uploads in the index; completion makes the object and ends the upload in one transaction."""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import sqlite3
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, NamedTuple

from actorc.storage.errors import StorageError
from actorc.storage.models import Condition, ObjectAttributes, ObjectInfo, PartInfo, UploadInfo, UploadPage
from actorc.storage.rules import MiB
from actorc.storage.server.engines.base import PartChoice
from actorc.storage.server.engines.blocks import joined_checksum
from actorc.storage.server.engines.errors import upload_missing
from actorc.storage.server.engines.etags import upload_id_of
from actorc.storage.server.engines.listing import successor
from actorc.storage.server.engines.local.disk.errors import named
from actorc.storage.server.engines.local.disk.trailer import MANIFEST, Piece, Trailer
from actorc.storage.server.engines.local.rows import (
    Segment,
    call_id,
    object_info,
    pack_metadata,
    part_info,
    unpack_metadata,
)
from actorc.storage.server.engines.preconditions import chosen_parts
from actorc.storage.server.engines.times import utc

from . import content_refs
from .changes.idempotency import IdempotencyLog
from .objects import Objects, bucket_id
from .row_checksums import damaged_row, intact

_PART = "number, size, generation, crc32c, modified_us"
_AFTER_ALL_KEYS = b"\xff"
_MAX_INLINE_BYTES = MiB
"""Most bytes of inline parts that a manifest repeats; an object with more cannot be rebuilt from blobs."""

_PAGE = f"""
SELECT {intact("upload")}, key, name, created_us FROM upload
WHERE bucket_id = :bucket AND key >= :lower AND key < :upper AND (key, name) > (:key, :name)
ORDER BY key, name LIMIT :limit
"""


class _Upload(NamedTuple):
    """The row of an upload."""

    id: int
    attributes: ObjectAttributes
    condition: Condition


class Uploads:
    """The multipart uploads of one data directory. Any thread may call it.

    Args:
        idempotency: Runs changes.
        objects: Publishes completed uploads.
        reading: Yields a connection for reading.
        ttl: Seconds that an upload stays after its beginning or its last part.
    """

    def __init__(
        self,
        idempotency: IdempotencyLog,
        objects: Objects,
        reading: Callable[[], AbstractContextManager[sqlite3.Connection]],
        ttl: float,
    ) -> None:
        self._idempotency = idempotency
        self._objects = objects
        self._reading = reading
        self._ttl_us = int(ttl * 1_000_000)

    def create(
        self, bucket: str, key: str, attributes: ObjectAttributes, condition: Condition, *, idempotency_key: str
    ) -> str:
        """Begin an upload; return its id."""

        def change(connection: sqlite3.Connection) -> str:
            place = self._objects.place(connection, bucket, key, condition)
            now, upload_id = self._idempotency.now(), upload_id_of(self._idempotency.next_generation())
            described = attributes.content_type, pack_metadata(attributes.metadata), attributes.ttl
            demanded = condition.if_absent, condition.if_match
            connection.execute(
                "INSERT INTO upload (bucket_id, key, name, content_type, metadata, ttl, if_absent, if_match,"
                " created_us, touched_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (place.bucket_id, place.name, upload_id, *described, *demanded, now, now),
            )
            return upload_id

        call = call_id("create_upload", bucket, key, idempotency_key)
        with named(bucket, key):
            return self._idempotency.once(call, (attributes, condition), change)[0]

    def check(self, bucket: str, key: str, upload_id: str) -> None:
        """Return if there is such an upload.

        Raises:
            UploadNotFoundError: There is none.
        """
        with self._reading() as connection:
            _find(connection, bucket, key, upload_id)

    def add_part(
        self, bucket: str, key: str, upload_id: str, number: int, segment: Segment, *, crc32c: int, idempotency_key: str
    ) -> tuple[PartInfo, bool]:
        """Store or replace a part; return it, and whether this call did, and not an earlier one with the same key."""

        def change(connection: sqlite3.Connection) -> tuple[int, ...]:
            upload = _find(connection, bucket, key, upload_id)
            _drop_parts(connection, upload.id, number)
            now = self._idempotency.now()
            fields = number, segment.size, self._idempotency.next_generation(), crc32c, now
            connection.execute(
                f"INSERT INTO part (upload_id, {_PART}, content_id) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (upload.id, *fields, content_refs.add(connection, segment)),
            )
            # the upload expires after its last part, not after its beginning
            connection.execute("UPDATE upload SET touched_us = ? WHERE id = ?", (now, upload.id))
            return fields

        call = call_id("part", bucket, key, upload_id, str(number), idempotency_key)
        with named(bucket, key):
            answer: tuple[tuple[int, ...], bool] = self._idempotency.once(call, (segment.size, crc32c), change, tuple)
        return part_info(answer[0]), answer[1]

    def complete(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Sequence[PartChoice],
        condition: Condition,
        *,
        manifest: Segment,
        idempotency_key: str,
    ) -> tuple[ObjectInfo, bool]:
        """Make the object of the parts and end the upload; return it, and whether this call did, not an earlier one.

        Args:
            bucket: Bucket of the upload.
            key: Key of the upload.
            upload_id: Id of the upload.
            parts: The parts, in order.
            condition: Checked in addition to that of `create`.
            manifest: The blob with the result of `manifest`; without a file if that named no parts.
            idempotency_key: Unique per logical completion.
        """

        def change(connection: sqlite3.Connection) -> tuple[Any, ...]:
            upload = _find(connection, bucket, key, upload_id)
            chosen, ids = _take_parts(connection, upload.id, parts)
            place = self._objects.place(connection, bucket, key, upload.condition, condition)
            # the parts could not be chosen when the manifest was made, and now they can
            if manifest.file is None:
                raise StorageError("the parts of the upload changed meanwhile; complete it again", retryable=True)
            _remove(connection, upload.id)
            size, crc = _joined(chosen)
            content_id = content_refs.join(connection, [*ids, content_refs.add(connection, manifest)], size)
            self._objects.retire(connection, (place,))
            return self._objects.publish(
                connection, place, content_id, upload.attributes, size=size, crc32c=crc, order=manifest.order
            )

        call = call_id("complete_upload", bucket, key, upload_id, idempotency_key)
        with named(bucket, key):
            fields, is_new = self._idempotency.once(call, (list(parts), condition), change, tuple)
        return object_info(bucket, key, fields), is_new

    def manifest(self, bucket: str, key: str, upload_id: str, parts: Sequence[PartChoice]) -> Trailer:
        """Return the manifest trailer of the object; without parts if the upload cannot be completed now."""
        empty = Trailer(kind=MANIFEST, bucket=bucket, key=key, upload_id=upload_id)
        with self._reading() as connection:
            try:
                upload = _find(connection, bucket, key, upload_id)
                chosen, ids = _choose_parts(connection, upload.id, parts)
            except StorageError:
                # the completion itself checks again, in its transaction, and reports the reason
                return empty
            pieces = _pieces(chosen, [content_refs.load(connection, content_id)[0] for content_id in ids])
        size, crc = _joined(chosen)
        return replace(empty.described(upload.attributes), size=size, crc32c=crc, pieces=pieces)

    def abort(self, bucket: str, key: str, upload_id: str) -> None:
        """Drop an upload and its parts, if it is there."""

        def change(connection: sqlite3.Connection) -> None:
            row = connection.execute(
                "SELECT id FROM upload WHERE bucket_id = ? AND key = ? AND name = ?",
                (bucket_id(connection, bucket), key.encode(), upload_id),
            ).fetchone()
            if row:
                _remove(connection, row[0])

        self._idempotency.run(change)

    def parts(self, bucket: str, key: str, upload_id: str, *, after_number: int, limit: int) -> list[PartInfo]:
        """Return the first `limit` parts behind a number."""
        with self._reading() as connection:
            upload = _find(connection, bucket, key, upload_id)
            rows = connection.execute(
                f"SELECT {intact('part')}, {_PART} FROM part WHERE upload_id = ? AND number > ?"
                " ORDER BY number LIMIT ?",
                (upload.id, after_number, limit),
            ).fetchall()
        return [part_info(fields) for fields in _checked("part", bucket, key, rows)]

    def page(self, bucket: str, *, prefix: str, after: tuple[str, str] | None, limit: int) -> UploadPage:
        """Return the first `limit` uploads behind `after`."""
        lower, (key, name) = prefix.encode(), after or ("", "")
        with self._reading() as connection:
            bounds = {
                "bucket": bucket_id(connection, bucket),
                "lower": max(lower, key.encode()),
                "upper": successor(lower) if lower else _AFTER_ALL_KEYS,
                "key": key.encode(),
                "name": name,
                "limit": limit + 1,
            }
            rows = connection.execute(_PAGE, bounds).fetchall()
        found = [
            UploadInfo(bucket=bucket, key=key.decode(), upload_id=name, created_at=utc(created_us))
            for key, name, created_us in _checked("upload", bucket, "", rows[:limit])
        ]
        return UploadPage.of(found, more=len(rows) > limit)

    def expire(self, connection: sqlite3.Connection, limit: int) -> bool:
        """Remove up to `limit` abandoned uploads; return whether there may be more."""
        rows = connection.execute(
            f"SELECT id FROM upload WHERE touched_us <= ? AND {intact('upload')} ORDER BY touched_us LIMIT ?",
            (self._idempotency.now() - self._ttl_us, limit),
        ).fetchall()
        for (upload,) in rows:
            _remove(connection, upload)
        return len(rows) == limit


def drop_all(connection: sqlite3.Connection, in_bucket: int) -> None:
    """Drop every upload of a bucket."""
    for (upload,) in connection.execute("SELECT id FROM upload WHERE bucket_id = ?", (in_bucket,)).fetchall():
        _remove(connection, upload)


def _joined(parts: Sequence[PartInfo]) -> tuple[int, int]:
    """Return size and checksum of the object that parts make."""
    return sum(part.size for part in parts), joined_checksum((part.crc32c, part.size) for part in parts)


def _find(connection: sqlite3.Connection, bucket: str, key: str, upload_id: str) -> _Upload:
    row = connection.execute(
        f"SELECT {intact('upload')}, id, content_type, metadata, ttl, if_absent, if_match FROM upload"
        " WHERE bucket_id = ? AND key = ? AND name = ?",
        (bucket_id(connection, bucket), key.encode(), upload_id),
    ).fetchone()
    if row is None:
        raise upload_missing(bucket, key)
    ((number, content_type, metadata, ttl, if_absent, if_match),) = _checked("upload", bucket, key, [row])
    attributes = ObjectAttributes(content_type=content_type, metadata=unpack_metadata(metadata), ttl=ttl)
    return _Upload(number, attributes, Condition(if_absent=bool(if_absent), if_match=if_match))


def _checked(table: str, bucket: str, key: str, rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Yield rows without their first column, which is true if the row is intact.

    Raises:
        IntegrityError: A row is damaged.
    """
    for is_intact, *fields in rows:
        if not is_intact:
            raise damaged_row(table, bucket, key)
        yield tuple(fields)


def _take_parts(
    connection: sqlite3.Connection, upload: int, parts: Sequence[PartChoice]
) -> tuple[list[PartInfo], list[int]]:
    """Remove the parts from the upload, and return them and their contents."""
    chosen, ids = _choose_parts(connection, upload, parts)
    connection.executemany(
        "DELETE FROM part WHERE upload_id = ? AND number = ?", ((upload, part.number) for part in chosen)
    )
    return chosen, ids


def _choose_parts(
    connection: sqlite3.Connection, upload: int, parts: Sequence[PartChoice]
) -> tuple[list[PartInfo], list[int]]:
    found = f"SELECT {intact('part')}, content_id, {_PART} FROM part WHERE upload_id = ?"
    rows = list(_checked("part", "", "", connection.execute(found, (upload,)).fetchall()))
    stored = {row[1]: part_info(row[1:]) for row in rows}
    ids = {row[1]: row[0] for row in rows}
    chosen = chosen_parts(parts, stored)
    return chosen, [ids[part.number] for part in chosen]


def _pieces(parts: Sequence[PartInfo], segments: Sequence[Segment]) -> tuple[Piece, ...]:
    pieces, room = [], _MAX_INLINE_BYTES
    for part, segment in zip(parts, segments, strict=True):
        data = None
        if segment.data is not None and len(segment.data) <= room:
            room -= len(segment.data)
            data = b64encode(segment.data).decode()
        pieces.append(Piece(size=part.size, crc32c=part.crc32c, file=segment.file or "", data=data))
    return tuple(pieces)


def _drop_parts(connection: sqlite3.Connection, upload: int, number: int | None = None) -> None:
    where, values = (
        ("upload_id = ?", [upload]) if number is None else ("upload_id = ? AND number = ?", [upload, number])
    )
    for (content_id,) in connection.execute(f"SELECT content_id FROM part WHERE {where}", values).fetchall():
        content_refs.drop(connection, content_id)
    connection.execute(f"DELETE FROM part WHERE {where}", values)


def _remove(connection: sqlite3.Connection, upload: int) -> None:
    _drop_parts(connection, upload)
    connection.execute("DELETE FROM upload WHERE id = ?", (upload,))
