"""The SQL schema of the index, and connections to it.

Listings scan ``object``, which has only short rows, so that a page of names takes few pages of the database. The bytes
of an object are a row of ``content``, which is reference-counted: a file, inline bytes, or else ``segment`` lists the
rows that it joins. Keys are blobs, since blobs compare byte by byte. Every row has a checksum (`row_checksums`), and
``tally`` has their number and sum for each table, and the bytes of each bucket (`tally`).
"""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from . import tally
from .row_checksums import TABLES, column, damaged_row, guards, intact, register

_TEXT: Final = partial(str, encoding="utf-8", errors="surrogateescape")
"""Decodes what is stored as text. Checksums find damage; an error of decoding would hide which row it is."""

VERSION = 4
"""Version of the schema.

Version 1 has no checksums, and no row with its version; version 2 has no stamps; version 3 counts all objects in one.
"""
WITHOUT_STAMPS = 2
VERIFIABLE = (WITHOUT_STAMPS, tally.BY_BUCKET - 1, VERSION)
"""Versions whose rows have checksums."""
STAMP_COLUMN = "stamp BLOB"
"""Column of ``content`` with the stamp of its file (`file_stamp`), NULL if none is recorded.

It is not under the checksum of the row: a damaged stamp is not that of the file, so the file is verified.
"""

_TABLES = {
    "meta": "name TEXT PRIMARY KEY, value, {checksum}) WITHOUT ROWID",
    "bucket": "id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_us INTEGER NOT NULL, {checksum})",
    "content": """
    id INTEGER PRIMARY KEY, refs INTEGER NOT NULL DEFAULT 1, size INTEGER NOT NULL,
    sums BLOB NOT NULL, file TEXT, data BLOB, {checksum}{stamp}, CHECK (file IS NULL OR data IS NULL)
)""",
    "segment": """
    content_id INTEGER NOT NULL, position INTEGER NOT NULL, leaf_id INTEGER NOT NULL, {checksum},
    PRIMARY KEY (content_id, position)
) WITHOUT ROWID""",
    "object": """
    bucket_id INTEGER NOT NULL REFERENCES bucket (id), key BLOB NOT NULL,
    generation INTEGER NOT NULL, size INTEGER NOT NULL, crc32c INTEGER NOT NULL, content_type TEXT NOT NULL,
    metadata TEXT NOT NULL, modified_us INTEGER NOT NULL, expires_us INTEGER, content_id INTEGER NOT NULL, {checksum},
    PRIMARY KEY (bucket_id, key)
) WITHOUT ROWID""",
    "retained": """
    bucket_id INTEGER NOT NULL REFERENCES bucket (id), key BLOB NOT NULL,
    generation INTEGER NOT NULL, size INTEGER NOT NULL, crc32c INTEGER NOT NULL, content_type TEXT NOT NULL,
    metadata TEXT NOT NULL, modified_us INTEGER NOT NULL, expires_us INTEGER, content_id INTEGER NOT NULL,
    until_us INTEGER NOT NULL, charge INTEGER NOT NULL, {checksum},
    PRIMARY KEY (bucket_id, key, generation)
) WITHOUT ROWID""",
    "upload": """
    id INTEGER PRIMARY KEY, bucket_id INTEGER NOT NULL REFERENCES bucket (id), key BLOB NOT NULL, name TEXT NOT NULL,
    content_type TEXT NOT NULL, metadata TEXT NOT NULL, ttl INTEGER, if_absent INTEGER NOT NULL, if_match TEXT,
    created_us INTEGER NOT NULL, touched_us INTEGER NOT NULL, {checksum}, UNIQUE (bucket_id, key, name)
)""",
    "part": """
    upload_id INTEGER NOT NULL REFERENCES upload (id), number INTEGER NOT NULL, size INTEGER NOT NULL,
    generation INTEGER NOT NULL, crc32c INTEGER NOT NULL, modified_us INTEGER NOT NULL, content_id INTEGER NOT NULL,
    {checksum}, PRIMARY KEY (upload_id, number)
) WITHOUT ROWID""",
    "outcome": """
    id INTEGER PRIMARY KEY, call BLOB NOT NULL UNIQUE, request BLOB, at_us INTEGER NOT NULL, result TEXT NOT NULL,
    {checksum}
)""",
    "garbage": "guard TEXT NOT NULL, file TEXT NOT NULL UNIQUE, {checksum}, PRIMARY KEY (guard, file)) WITHOUT ROWID",
}
_INDEXES = """
CREATE UNIQUE INDEX content_by_file ON content (file) WHERE file IS NOT NULL;
CREATE INDEX object_by_expiry ON object (expires_us) WHERE expires_us IS NOT NULL;
CREATE INDEX retained_by_end ON retained (until_us, generation);
CREATE INDEX upload_by_touch ON upload (touched_us);
"""


def tables(version: int = VERSION) -> str:
    """Return the statements that create every table of a version with its triggers, and an empty tally."""
    # as ALTER TABLE adds it to an index of version 2, so that the two have the same text
    stamp = f", {STAMP_COLUMN}" if version > WITHOUT_STAMPS else ""
    made = [
        f"CREATE TABLE {name} ({body.format(checksum=column(name), stamp=stamp)};" for name, body in _TABLES.items()
    ]
    made_of_rows = (guards(name) + tally.triggers(name, version) for name in TABLES)
    return "\n".join([tally.table(version), *made, tally.rows(version), *made_of_rows])


def indexes() -> str:
    """Return the statements that create the indexes; separate, since those of an old schema may have the same names."""
    return _INDEXES


@cache
def expected(version: int = VERSION) -> frozenset[tuple[str, str, str]]:
    """Return the expected ``sqlite_schema`` of version 2 or later: kind, name and statement of each of its objects."""
    with closing(sqlite3.connect(":memory:")) as connection:
        register(connection)
        connection.executescript(tables(version) + indexes())
        return found(connection)


def found(connection: sqlite3.Connection) -> frozenset[tuple[str, str, str]]:
    """Return the ``sqlite_schema`` of a database, in the form of `expected`."""
    return frozenset(connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


C = TypeVar("C", bound=sqlite3.Connection)


class WritingConnection(sqlite3.Connection):
    """The connection that changes an index; for the thread whose transaction is open.

    Attributes:
        kept_before: Bytes of retained generations before the transaction; None: not read yet.
        kept_change: Bytes by which the transaction has changed them so far.
        has_room: Whether the disk has room for more of them; None: not looked at in this transaction.
    """

    kept_before: int | None = None
    kept_change: int = 0
    has_room: bool | None = None


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, for one thread at a time; the connection begins no implicit transactions."""
    return connect_as(sqlite3.Connection, path)


def connect_for_changes(path: Path) -> WritingConnection:
    """Open the database like `connect`, to change it by the index's own changes."""
    return connect_as(WritingConnection, path)


def connect_as(kind: type[C], path: Path) -> C:
    """Open the database like `connect`, as a connection of this class."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=64, factory=kind
    )
    try:
        _prepare(connection)
        for pragma in (
            # milliseconds; another process may be committing
            "busy_timeout = 10000",
            "journal_mode = WAL",
            # an acknowledged commit is on the medium, so each syncs the log
            "synchronous = FULL",
            "fullfsync = ON",
            "foreign_keys = ON",
            # without it INSERT OR REPLACE fires no delete trigger, and the tally would keep the replaced row
            "recursive_triggers = ON",
            # `GroupCommit` checkpoints itself, after the waiting callers have their answers
            "wal_autocheckpoint = 0",
            # KiB, for each connection
            "cache_size = -8000",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def connect_read_only(path: Path, *, alone: bool = False) -> sqlite3.Connection:
    """Open the database read-only; neither it nor its log is changed, not even by closing.

    Args:
        path: The database file.
        alone: It has no log, and nothing changes it as long as it is open; then no file is made beside it.
    """
    # in any other mode the last connection to close would checkpoint and remove the log
    address = f"file:{quote(str(path))}?mode=ro{'&immutable=1' if alone else ''}"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def fill(connection: sqlite3.Connection, store_id: str) -> None:
    """Insert the initial rows into new tables."""
    connection.execute(
        "INSERT INTO meta (name, value) VALUES ('store', ?), ('schema', ?), ('generation', 0), ('retained_bytes', 0)",
        (store_id, VERSION),
    )


def read_meta(connection: sqlite3.Connection, name: str) -> object:
    """Return one value of the table ``meta``.

    Raises:
        IntegrityError: Its row is damaged or missing.
    """
    row = connection.execute(f"SELECT value, {intact('meta')} FROM meta WHERE name = ?", (name,)).fetchone()
    if row is None or not row[1]:
        raise damaged_row("meta")
    return row[0]


def page_size(connection: sqlite3.Connection) -> int:
    """Return the bytes of a page of the database."""
    return int(connection.execute("PRAGMA page_size").fetchone()[0])


def _prepare(connection: sqlite3.Connection) -> None:
    register(connection)
    connection.text_factory = _TEXT
