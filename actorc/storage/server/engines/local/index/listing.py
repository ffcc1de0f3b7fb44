"""Pages of listings by skip-scan, in one SQL statement each.

Each step of the recursion asks the primary key for the least key at or behind a bound. The next bound is right behind
that key, or, if the key is rolled up, behind everything its common prefix covers: a page costs as many seeks as it
has names, however many keys are rolled up. Expired objects are skipped until they are swept.
"""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from actorc.storage.models import ListQuery, ObjectInfo, ObjectPage
from actorc.storage.server.engines.listing import Span, successor
from actorc.storage.server.engines.local.rows import ALIVE, FIELDS, object_info

from . import absence
from .row_checksums import COLUMNS, checked, damaged_row, is_intact

# the columns under the row's checksum; FIELDS among them, from the third on
_CHECKED_COLUMNS = checked("object")
_KEY = 2
_FIELDS = slice(3, 3 + len(FIELDS.split(",")))

_FLAT = f"""
SELECT {_CHECKED_COLUMNS} FROM object
WHERE bucket_id = :bucket AND key >= :lower AND key < :upper AND {ALIVE}
ORDER BY key LIMIT :limit
"""

# found: position of the delimiter behind the prefix, counted from 1; 0 if the key stands for itself
_ROLLED = f"""
WITH RECURSIVE walk (key) AS (
    SELECT (
        SELECT key FROM object WHERE bucket_id = :bucket AND key >= :lower AND key < :upper AND {ALIVE}
        ORDER BY key LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT object.key FROM object
        WHERE bucket_id = :bucket AND {ALIVE} AND object.key < :upper AND object.key >= CAST(
            CASE instr(substr(walk.key, :behind), :delimiter)
                WHEN 0 THEN walk.key || x'00'
                ELSE substr(walk.key, 1, :behind - 2 + instr(substr(walk.key, :behind), :delimiter)) || :successor
            END AS BLOB)
        ORDER BY object.key LIMIT 1
    ) FROM walk WHERE walk.key IS NOT NULL
    LIMIT :limit
),
name (key, found) AS (
    SELECT key, instr(substr(key, :behind), :delimiter) FROM walk WHERE key IS NOT NULL
)
SELECT {_CHECKED_COLUMNS}, name.found FROM name
JOIN object ON object.bucket_id = :bucket AND object.key = name.key
"""


def page(connection: sqlite3.Connection, bucket_id: int, query: ListQuery, now_us: int) -> ObjectPage:
    """Return the first `query.limit` names behind `query.after` of objects that exist at `now_us`.

    Raises:
        IntegrityError: The row of one of them is damaged.
    """
    span = Span.of(query)
    values: dict[str, int | bytes] = {
        "now": now_us,
        "bucket": bucket_id,
        "lower": span.lower,
        "upper": span.upper,
        "limit": query.limit + 1,
    }
    if span.delimiter:
        return _rolled(connection, query, span, values)
    rows = connection.execute(_FLAT, values).fetchall()
    _check(query.bucket, rows)
    absence.check_span(connection, bucket_id, query.bucket, span.lower, span.upper)
    objects = [object_info(query.bucket, row[_KEY].decode(), row[_FIELDS]) for row in rows[: query.limit]]
    return ObjectPage.of(objects, more=len(rows) > query.limit)


def _rolled(connection: sqlite3.Connection, query: ListQuery, span: Span, values: dict[str, int | bytes]) -> ObjectPage:
    values |= {
        "delimiter": span.delimiter,
        "successor": successor(span.delimiter),
        "behind": len(span.prefix) + 1,
    }
    shown: list[ObjectInfo | str] = []
    # SQLite returns them in order, but SQL does not guarantee it
    rows = sorted(connection.execute(_ROLLED, values), key=itemgetter(_KEY))
    _check(query.bucket, rows)
    absence.check_span(connection, int(values["bucket"]), query.bucket, span.lower, span.upper)
    for row in rows[: query.limit]:
        key, found = row[_KEY], row[-1]
        if found:
            shown.append(key[: len(span.prefix) + found - 1 + len(span.delimiter)].decode())
        else:
            shown.append(object_info(query.bucket, key.decode(), row[_FIELDS]))
    return ObjectPage.of(shown, more=len(rows) > query.limit)


def _check(bucket: str, rows: Sequence[tuple[Any, ...]]) -> None:
    end = 1 + len(COLUMNS["object"])
    for row in rows:
        if not is_intact("object", row[0], row[1:end]):
            key = row[_KEY]
            shown = key.decode(errors="backslashreplace") if isinstance(key, bytes) else None
            raise damaged_row("object", bucket, shown)
