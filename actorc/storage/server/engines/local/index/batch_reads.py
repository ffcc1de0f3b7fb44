"""Look-ups of many objects of one bucket, by few statements."""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from actorc.storage.errors import StorageError
from actorc.storage.models import ObjectInfo
from actorc.storage.server.engines.errors import object_missing
from actorc.storage.server.engines.local.rows import ALIVE, Segment, object_info, unpack_sums

from .row_checksums import COLUMNS, checked, damaged_row, is_intact

GROUP: Final = 100
"""Keys in one statement; all statements but those for one key have this many, so that few are prepared."""
_FIND: Final = (
    f"SELECT {checked('object')}, {checked('content')}, content.data"
    " FROM object LEFT JOIN content ON content.id = object.content_id"
    f" WHERE bucket_id = ? AND {ALIVE.replace(':now', '?')} AND object.key IN "
)
_FIND_GROUP: Final = f"{_FIND}({', '.join('?' * GROUP)})"
_FIND_ONE: Final = f"{_FIND}(?)"
_KEY: Final = 2
_CONTENT: Final = 1 + len(COLUMNS["object"])
"""Where the fields of the content begin, with its checksum."""


class Found(NamedTuple):
    """An object that was looked up."""

    info: ObjectInfo
    segment: Segment | None
    """All of its bytes; None if it has several segments."""


def find(
    connection: sqlite3.Connection, bucket: str, bucket_id: int, keys: Sequence[str], now: int
) -> list[Found | StorageError]:
    """Return the current object of each key, or its error; object and segment are of one moment."""
    rows = {row[_KEY]: row for row in _rows(connection, bucket_id, [key.encode() for key in keys], now)}
    return [_found(bucket, key, rows.get(key.encode())) for key in keys]


def _rows(connection: sqlite3.Connection, bucket_id: int, names: list[bytes], now: int) -> Iterator[tuple[Any, ...]]:
    if len(names) == 1:
        yield from connection.execute(_FIND_ONE, (bucket_id, now, *names))
        return
    for at in range(0, len(names), GROUP):
        group = names[at : at + GROUP]
        # a short group is filled up by its last name; a name is found once, however often it is asked for
        padding = group[-1:] * (GROUP - len(group))
        yield from connection.execute(_FIND_GROUP, (bucket_id, now, *group, *padding))


def _found(bucket: str, key: str, row: tuple[Any, ...] | None) -> Found | StorageError:
    if row is None:
        return object_missing(bucket, key)
    fields, (stored, *content, data) = row[1:_CONTENT], row[_CONTENT:]
    if not is_intact("object", row[0], fields):
        return damaged_row("object", bucket, key)
    if not is_intact("content", stored, content):
        return damaged_row("content", bucket, key)
    _, _, _, sums, file, _ = content
    info = object_info(bucket, key, fields[2:-1])
    if file is None and data is None:
        return Found(info, None)
    return Found(info, Segment(size=info.size, sums=unpack_sums(sums), file=file, data=data))
