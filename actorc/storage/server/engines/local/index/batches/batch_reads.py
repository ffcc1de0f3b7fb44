"""Look-ups of one object, or of many of one bucket, with their bytes, by few statements."""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from actorc.storage.errors import IntegrityError, StorageError
from actorc.storage.models import ObjectInfo
from actorc.storage.server.engines.errors import object_missing
from actorc.storage.server.engines.local.index import absence
from actorc.storage.server.engines.local.index.objects import bucket_id
from actorc.storage.server.engines.local.index.row_checksums import COLUMNS, checked, damaged_row, is_intact
from actorc.storage.server.engines.local.index.value_lists import ListStatement
from actorc.storage.server.engines.local.rows import ALIVE, Segment, are_of, object_info, unpack_sums

_FIND: Final = ListStatement(
    f"SELECT {checked('object')}, {checked('content')}, content.data"
    " FROM object LEFT JOIN content ON content.id = object.content_id"
    f" WHERE bucket_id = ? AND {ALIVE.replace(':now', '?')} AND object.key IN {{}}"
)
_FIND_ONE: Final = (
    f"SELECT {checked('bucket')}, {checked('object')}, {checked('content')}, content.data"
    " FROM bucket JOIN object ON bucket_id = bucket.id LEFT JOIN content ON content.id = object.content_id"
    f" WHERE bucket.name = :bucket AND object.key = :key AND {ALIVE}"
)
_BUCKET: Final = 1 + len(COLUMNS["bucket"])
_KEY: Final = 2
_CONTENT: Final = 1 + len(COLUMNS["object"])
"""Where the fields of the content begin, with its checksum."""


class Found(NamedTuple):
    """An object that was looked up."""

    info: ObjectInfo
    segment: Segment | None
    """All of its bytes; None if it has several segments."""


def find_one(connection: sqlite3.Connection, bucket: str, key: str, now: int) -> Found:
    """Return the current object of a key; bucket, object and segment are of one moment.

    Raises:
        BucketNotFoundError: There is no such bucket.
        ObjectNotFoundError: There is no such object.
        IntegrityError: A row of it is damaged.
    """
    row = connection.execute(_FIND_ONE, {"bucket": bucket, "key": key.encode(), "now": now}).fetchone()
    if row is None:
        absence.check_object(connection, bucket_id(connection, bucket), bucket, key)
        raise object_missing(bucket, key)
    if not is_intact("bucket", row[0], row[1:_BUCKET]):
        raise damaged_row("bucket", bucket)
    found = _found(bucket, key, row[_BUCKET:])
    if isinstance(found, StorageError):
        raise found
    return found


def find(
    connection: sqlite3.Connection, bucket: str, number: int, keys: Sequence[str], now: int
) -> list[Found | StorageError]:
    """Return the current object of each key of the bucket with this number, or its error.

    An object and its segment are of one moment.
    """
    names = [key.encode() for key in keys]
    rows = {row[_KEY]: row for row in _FIND.rows(connection, (number, now), names)}
    return [_judged(connection, number, bucket, key, rows.get(name)) for key, name in zip(keys, names, strict=True)]


def _judged(
    connection: sqlite3.Connection, number: int, bucket: str, key: str, row: tuple[Any, ...] | None
) -> Found | StorageError:
    if row is not None:
        return _found(bucket, key, row)
    try:
        absence.check_object(connection, number, bucket, key)
    except IntegrityError as error:
        return error
    return object_missing(bucket, key)


def _found(bucket: str, key: str, row: tuple[Any, ...]) -> Found | StorageError:
    fields, (stored, *content, data) = row[1:_CONTENT], row[_CONTENT:]
    if not is_intact("object", row[0], fields):
        return damaged_row("object", bucket, key)
    if not is_intact("content", stored, content):
        return damaged_row("content", bucket, key)
    _, _, size, sums, file, _ = content
    info = object_info(bucket, key, fields[2:-1])
    if file is None and data is None:
        return Found(info, None)
    segment = Segment(size=size, sums=unpack_sums(sums), file=file, data=data)
    return Found(info, segment) if are_of(info, (segment,)) else damaged_row("object", bucket, key)
