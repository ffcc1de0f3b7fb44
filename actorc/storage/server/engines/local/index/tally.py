"""The table ``tally``: how many rows each table has, the sum of their checksums, and the bytes of each bucket.

Triggers change it in the transaction of the rows, so that no statement can forget it. It proves that no row is missing,
and tells how much a bucket has without counting. The table ``object`` has a row of it for each bucket, and not one for
all of them: a put changes one row of ``tally`` as before, on a page that it changes anyway. ``bytes`` has no checksum;
the rows prove it, as they do the rest, whenever all of them are read.
"""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from actorc.storage.server.engines.bucket_totals import BucketTotal

from .row_checksums import TABLES, damaged_row, intact

BY_BUCKET = 4
"""First version of the schema that counts the objects of each bucket; those before count all objects in one row."""

_BYTES: Final = "bytes INTEGER NOT NULL DEFAULT 0"
_OBJECTS_OF: Final = "'object/' || {}"
"""SQL expression of the name of the row for the objects of a bucket."""
_COUNTED: Final = f"FROM bucket LEFT JOIN tally ON tally.name = {_OBJECTS_OF.format('bucket.id')}"
_FOUND: Final = f"""
SELECT {_OBJECTS_OF.format("bucket.id")} AS row, bucket.name AS bucket, count(key) AS entries,
    coalesce(sum(object.checksum), 0) AS checksums, coalesce(sum(size), 0) AS bytes
FROM bucket LEFT JOIN object ON bucket_id = bucket.id GROUP BY bucket.id
"""
_OBJECTS: Final = f"""
CREATE TRIGGER object_count_insert AFTER INSERT ON object BEGIN UPDATE tally SET entries = entries + 1,
    checksums = checksums + new.checksum, bytes = bytes + new.size WHERE name = {_OBJECTS_OF.format("new.bucket_id")};
END;
CREATE TRIGGER object_count_delete AFTER DELETE ON object BEGIN UPDATE tally SET entries = entries - 1,
    checksums = checksums - old.checksum, bytes = bytes - old.size WHERE name = {_OBJECTS_OF.format("old.bucket_id")};
END;
CREATE TRIGGER object_count_update AFTER UPDATE ON object BEGIN UPDATE tally SET entries = entries - 1,
    checksums = checksums - old.checksum, bytes = bytes - old.size WHERE name = {_OBJECTS_OF.format("old.bucket_id")};
    UPDATE tally SET entries = entries + 1,
    checksums = checksums + new.checksum, bytes = bytes + new.size WHERE name = {_OBJECTS_OF.format("new.bucket_id")};
END;
CREATE TRIGGER bucket_tally_insert AFTER INSERT ON bucket BEGIN
    INSERT INTO tally (name) VALUES ({_OBJECTS_OF.format("new.id")});
END;
CREATE TRIGGER bucket_tally_delete AFTER DELETE ON bucket BEGIN
    DELETE FROM tally WHERE name = {_OBJECTS_OF.format("old.id")};
END;
"""


class Miscount(NamedTuple):
    """A row of the tally that was not what the objects of a bucket are."""

    bucket: str
    counted: tuple[int | None, int | None]
    """Objects and bytes that were counted; None: the row was missing."""
    found: tuple[int, int]
    """Objects and bytes that are there."""

    def __str__(self) -> str:
        counted = "nothing was" if None in self.counted else "{} objects of {} bytes were".format(*self.counted)
        return f"{counted} counted in the bucket {self.bucket}, and {self.found[0]} of {self.found[1]} are there"


def table(version: int) -> str:
    """Return the statement that creates the table."""
    # as ALTER TABLE adds it to an index of an earlier version, so that the two have the same text
    column = f", {_BYTES}" if version >= BY_BUCKET else ""
    return f"""
CREATE TABLE tally (
    name TEXT PRIMARY KEY, entries INTEGER NOT NULL DEFAULT 0, checksums INTEGER NOT NULL DEFAULT 0
{column}) WITHOUT ROWID;
"""


def rows(version: int) -> str:
    """Return the statement that inserts the rows of empty tables."""
    values = ", ".join(f"('{name}')" for name in TABLES if name != "object" or version < BY_BUCKET)
    return f"INSERT INTO tally (name) VALUES {values};"


def triggers(name: str, version: int) -> str:
    """Return the triggers that count the rows of a table."""
    if name == "object" and version >= BY_BUCKET:
        return _OBJECTS
    count = f"UPDATE tally SET entries = entries {{}}, checksums = checksums {{}} WHERE name = '{name}'; END;"
    return (
        f"CREATE TRIGGER {name}_count_insert AFTER INSERT ON {name} BEGIN {count.format('+ 1', '+ new.checksum')}\n"
        f"CREATE TRIGGER {name}_count_delete AFTER DELETE ON {name} BEGIN {count.format('- 1', '- old.checksum')}\n"
        f"CREATE TRIGGER {name}_count_update AFTER UPDATE ON {name}"
        f" BEGIN {count.format('', '- old.checksum + new.checksum')}\n"
    )


def counting_by_bucket() -> str:
    """Return the statements that make an index count by bucket which has counted all objects in one row."""
    dropped = "".join(f"DROP TRIGGER object_count_{change};\n" for change in ("insert", "delete", "update"))
    counted = (
        f"INSERT INTO tally (name, entries, checksums, bytes) SELECT row, entries, checksums, bytes FROM ({_FOUND});"
    )
    begun = f"ALTER TABLE tally ADD COLUMN {_BYTES};\n{dropped}DELETE FROM tally WHERE name = 'object';\n"
    return f"{begun}{counted}{_OBJECTS}"


def of_table(connection: sqlite3.Connection, name: str) -> tuple[int | None, int | None]:
    """Return how many rows of a table are counted, and the sum of their checksums; None if nothing is, as by damage."""
    counted: tuple[int | None, int | None] = connection.execute(
        "SELECT sum(entries), sum(checksums) FROM tally WHERE name = :table OR name GLOB :table || '/*'",
        {"table": name},
    ).fetchone()
    # there is no row while there is no bucket
    return (0, 0) if name == "object" and counted[0] is None else counted


def objects_in(connection: sqlite3.Connection, bucket: int) -> int:
    """Return how many objects of the bucket with this number are counted."""
    row = connection.execute(f"SELECT entries FROM tally WHERE name = {_OBJECTS_OF.format('?')}", (bucket,)).fetchone()
    return int(row[0]) if row else 0


def bucket_totals(connection: sqlite3.Connection) -> list[BucketTotal]:
    """Return objects and bytes of every bucket, by name, in time proportional to the number of buckets.

    Raises:
        IntegrityError: The row of a bucket is damaged.
    """
    query = f"SELECT {intact('bucket')}, bucket.name, coalesce(entries, 0), coalesce(bytes, 0) {_COUNTED} ORDER BY 2"
    found = connection.execute(query).fetchall()
    if not all(row[0] for row in found):
        raise damaged_row("bucket")
    return [BucketTotal(*row[1:]) for row in found]


def recount(connection: sqlite3.Connection) -> list[Miscount]:
    """Correct the rows of all buckets, reading every object; return those that were wrong.

    Only for an index of which every row is proven: it would hide that one is missing.
    """
    wrong = connection.execute(
        f"SELECT row, bucket, found.entries, found.checksums, found.bytes, tally.entries, tally.bytes FROM ({_FOUND})"
        " AS found LEFT JOIN tally ON tally.name = row WHERE (tally.entries, tally.checksums, tally.bytes)"
        " IS NOT (found.entries, found.checksums, found.bytes)"
    ).fetchall()
    connection.executemany(
        "INSERT OR REPLACE INTO tally (name, entries, checksums, bytes) VALUES (?, ?, ?, ?)",
        ((name, *found) for name, _, *found, _, _ in wrong),
    )
    return [Miscount(row[1], counted=(row[5], row[6]), found=(row[2], row[4])) for row in wrong]
