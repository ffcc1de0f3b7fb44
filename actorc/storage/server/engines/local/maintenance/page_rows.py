"""Intact rows on the pages of a damaged index, as tables that can be queried.

A record tells neither its table nor the names of its fields. But the checksum of a row covers its fields in the order
of its table, so a record is a row of the table whose checksum it matches, and of none if it matches none.
"""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

from actorc.storage.server.engines.local.disk.blobs import Blobs
from actorc.storage.server.engines.local.disk.trailer import DamagedTrailerError
from actorc.storage.server.engines.local.index import schema
from actorc.storage.server.engines.local.index.row_checksums import COLUMNS, register, row_checksum

from .page_scan import DatabaseFile, Record, Value

_TABLES: Final = ("meta", "bucket", "content", "segment", "object", "garbage")
"""The tables that objects are made of."""


class _Table(NamedTuple):
    name: str
    columns: tuple[str, ...]
    """Columns as they are stored, in order."""
    key: tuple[str, ...]
    has_rowid: bool
    texts: frozenset[str]
    """Columns that may have text."""

    def row(self, record: Record) -> dict[str, Value | str] | None:
        """Return a record as a row of this table; None if it is none, or a damaged one."""
        missing = len(self.columns) - len(record.values)
        # columns that a later version added are not in the rows of an earlier one
        if self.has_rowid != (record.rowid is not None) or not 0 <= missing <= 1:
            return None
        fields = dict(zip(self.columns, (*record.values, *(None,) * missing), strict=True))
        if self.has_rowid:
            fields[self.key[0]] = record.rowid
        if row_checksum(*(_summed(expression, fields) for expression in COLUMNS[self.name])) != fields["checksum"]:
            return None
        return {name: self._stored(name, value) for name, value in fields.items()}

    def _stored(self, name: str, value: Value) -> Value | str:
        # the checksum is that of the row as it was written, so its text can be decoded
        return value.decode() if isinstance(value, bytes) and name in self.texts else value


def collect(database: Path, target: Path) -> bool:
    """Write the intact rows on the pages of a database into tables of a new one.

    Of two rows with one key the later generation is kept, and else the one that the file has last.

    Returns:
        Whether all of them are rows of the index as it is; else some may have been removed or replaced before.
    """
    tables = _tables()
    with closing(sqlite3.connect(target, isolation_level=None)) as connection, database.open("rb") as file:
        register(connection)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for table in tables:
            connection.execute(
                f"CREATE TABLE {table.name} ({', '.join(table.columns)}, PRIMARY KEY {_list(table.key)})"
            )
        pages = DatabaseFile(file)
        for record in pages.records():
            for table, row in _matching(tables, record):
                connection.execute(_insertion(table), row)
        connection.execute("COMMIT")
        return pages.knows_free_pages


def name_buckets(pages: Path, blobs: Blobs) -> list[str]:
    """Give a name to each bucket of collected objects whose own row is lost; return the names that are not its own.

    It is the one in the trailer of a blob of the bucket, where there is one, and else ``recovered-ID``.
    """
    made = []
    with closing(sqlite3.connect(pages, isolation_level=None)) as connection:
        connection.create_function("row_checksum", -1, row_checksum)
        query = "SELECT DISTINCT bucket_id FROM object WHERE bucket_id NOT IN (SELECT id FROM bucket)"
        for (bucket,) in connection.execute(query).fetchall():
            name = _name_of(connection, blobs, bucket)
            if name is None:
                name = f"recovered-{bucket}"
                made.append(name)
            row = {"id": bucket, "name": name, "created_us": 0}
            checksum = row_checksum(*(_summed(expression, row) for expression in COLUMNS["bucket"]))
            connection.execute(
                "INSERT INTO bucket (id, name, created_us, checksum) VALUES (?, ?, 0, ?)", (bucket, name, checksum)
            )
    return made


def _name_of(connection: sqlite3.Connection, blobs: Blobs, bucket: int) -> str | None:
    query = (
        "SELECT key, generation, file FROM object JOIN content ON content.id = content_id"
        " WHERE bucket_id = ? AND file IS NOT NULL"
    )
    for key, generation, file in connection.execute(query, (bucket,)):
        with suppress(DamagedTrailerError, OSError):
            trailer = blobs.trailer(blobs.path(file))
            # the blob of a copy names the original, which has another generation
            if trailer is not None and (trailer.order, trailer.key.encode()) == (generation, key):
                return trailer.bucket
    return None


def _matching(tables: tuple[_Table, ...], record: Record) -> Iterator[tuple[_Table, dict[str, Value | str]]]:
    for table in tables:
        row = table.row(record)
        if row is not None:
            yield table, row


def _insertion(table: _Table) -> str:
    values = ", ".join(f":{name}" for name in table.columns)
    if table.name != "object":
        return f"INSERT OR REPLACE INTO {table.name} VALUES ({values})"
    excluded = ", ".join(f"excluded.{name}" for name in table.columns)
    return (
        f"INSERT INTO object VALUES ({values}) ON CONFLICT {_list(table.key)}"
        f" DO UPDATE SET {_list(table.columns)} = ({excluded}) WHERE excluded.generation > object.generation"
    )


def _tables() -> tuple[_Table, ...]:
    with closing(sqlite3.connect(":memory:")) as connection:
        register(connection)
        connection.executescript(schema.tables())
        return tuple(_table(connection, name) for name in _TABLES)


def _table(connection: sqlite3.Connection, name: str) -> _Table:
    found = connection.execute(f"SELECT name, type, pk FROM pragma_table_xinfo('{name}') ORDER BY cid").fetchall()
    key = [column for column, _, place in sorted(found, key=lambda row: row[2]) if place]
    has_rowid = len(key) == 1 and (key[0], "INTEGER", 1) in found
    texts = frozenset(column for column, kind, _ in found if kind in {"TEXT", ""})
    return _Table(name, tuple(column for column, _, _ in found), tuple(key), has_rowid, texts)


def _summed(expression: str, fields: Mapping[str, Value | str]) -> bytes | None:
    """Return what the checksum of a row covers of one of its expressions: `CAST (... AS BLOB)` of SQLite."""
    function, parenthesis, argument = expression.partition("(")
    value = fields[argument.rstrip(")") if parenthesis else expression]
    if function == "typeof":
        return b"text" if isinstance(value, bytes) else b"null" if value is None else b"integer"
    if function == "length":
        return b"%d" % len(value) if isinstance(value, bytes) else None
    return value if value is None or isinstance(value, bytes) else str(value).encode()


def _list(names: tuple[str, ...]) -> str:
    return f"({', '.join(names)})"
