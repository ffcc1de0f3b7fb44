"""A checksum in every row of the index, which refuses to be changed or removed if it does not match.

SQLite does not verify pages that it reads, so a flipped bit may silently change a name. Here the database itself
maintains checksums: each table has a generated column with the checksum of its row, and triggers refuse to change or
remove a row that does not match. No statement can bypass this. The table ``tally`` has the sums of them (`tally`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import IntegrityError

_REFUSAL: Final = "a damaged row of the table "
_NONE: Final = b"\xfe"
"""What stands for a field that is NULL; UTF-8 does not have it."""

COLUMNS: Final = {
    "meta": ("name", "typeof(value)", "value"),
    "bucket": ("id", "name", "created_us"),
    # `sums` covers inline bytes, as it does those of a file
    "content": ("id", "refs", "size", "sums", "file", "length(data)"),
    "segment": ("content_id", "position", "leaf_id"),
    "object": (
        "bucket_id",
        "key",
        "generation",
        "size",
        "crc32c",
        "content_type",
        "metadata",
        "modified_us",
        "expires_us",
        "content_id",
    ),
    "retained": (
        "bucket_id",
        "key",
        "generation",
        "size",
        "crc32c",
        "content_type",
        "metadata",
        "modified_us",
        "expires_us",
        "content_id",
        "until_us",
        "charge",
    ),
    "upload": (
        "id",
        "bucket_id",
        "key",
        "name",
        "content_type",
        "metadata",
        "ttl",
        "if_absent",
        "if_match",
        "created_us",
        "touched_us",
    ),
    "part": ("upload_id", "number", "size", "generation", "crc32c", "modified_us", "content_id"),
    "outcome": ("id", "call", "request", "at_us", "result"),
    "garbage": ("guard", "file"),
}
"""Columns under the checksum of a row, by table, in order. They never change: stored checksums depend on it."""

TABLES: Final = tuple(COLUMNS)


def register(connection: sqlite3.Connection) -> None:
    """Register the SQL function that tables and triggers call."""
    connection.create_function("row_checksum", -1, row_checksum, deterministic=True)


def row_checksum(*fields: bytes | None) -> int:
    """Return the CRC-32C of the fields of a row, with a byte FF between them, which UTF-8 does not have."""
    return crc32c(b"\xff".join([_NONE if field is None else field for field in fields]))


def is_intact(table: str, stored: object, fields: Sequence[Any]) -> bool:
    """Return whether the fields of a row, as `checked` selects them behind its stored checksum, match that.

    The same as `intact` in SQL, in two thirds of its time. Also, SQLite runs without the interpreter's lock, and would
    wait for it whenever it calls a function.
    """
    try:
        return crc32c(_PACKED[table](*fields)) == stored
    except (AttributeError, TypeError, ValueError, OverflowError):  # damage changed the type of a field
        return False


def _packed_bucket(number: int, name: str, created_us: int) -> bytes:
    return b"%d\xff%b\xff%d" % (number, name.encode(), created_us)


def _packed_object(
    bucket_id: int,
    key: bytes,
    generation: int,
    size: int,
    crc: int,
    content_type: str,
    metadata: str,
    modified_us: int,
    expires_us: int | None,
    content_id: int,
) -> bytes:
    leading = (bucket_id, key, generation, size, crc, content_type.encode(), metadata.encode(), modified_us)
    expires = _NONE if expires_us is None else b"%d" % expires_us
    return b"%d\xff%b\xff%d\xff%d\xff%d\xff%b\xff%b\xff%d\xff%b\xff%d" % (*leading, expires, content_id)


def _packed_content(number: int, refs: int, size: int, sums: bytes, file: str | None, length: int | None) -> bytes:
    place = _NONE if file is None else file.encode(), _NONE if length is None else b"%d" % length
    return b"%d\xff%d\xff%d\xff%b\xff%b\xff%b" % (number, refs, size, sums, *place)


_PACKED: Final[Mapping[str, Callable[..., bytes]]] = {
    "bucket": _packed_bucket,
    "object": _packed_object,
    "content": _packed_content,
}
"""The text whose checksum a row has, by table; for those that small calls read."""


def checked(table: str) -> str:
    """Return the SQL expressions of a row's checksum and of the fields under it."""
    return ", ".join(_qualified(expression, f"{table}.") for expression in ("checksum", *COLUMNS[table]))


def column(table: str) -> str:
    """Return the definition of the column that holds the checksum."""
    return f"checksum INTEGER GENERATED ALWAYS AS ({_computed(table)}) STORED"


@cache
def intact(table: str, alias: str | None = None) -> str:
    """Return the SQL expression that is 1 if a row of `table`, known as `alias`, matches its checksum, and else 0."""
    name = alias or table
    return f"({name}.checksum IS {_computed(table, f'{name}.')})"


def guards(table: str) -> str:
    """Return the triggers that protect damaged rows of a table from changes."""
    guard = f"NOT {intact(table, 'old')} BEGIN SELECT RAISE(ABORT, '{_REFUSAL}{table}'); END;"
    return (
        f"CREATE TRIGGER {table}_guard_update BEFORE UPDATE ON {table} WHEN {guard}\n"
        f"CREATE TRIGGER {table}_guard_delete BEFORE DELETE ON {table} WHEN {guard}\n"
    )


def damaged_row(table: str, bucket: str | None = None, key: str | None = None) -> IntegrityError:
    """Return the error for a row that does not match its checksum."""
    return IntegrityError(
        f"the index of the server is damaged, in a row of its table {table}; nothing was changed, so stop the server "
        "and run 'lucas-storage fsck' on its data directory",
        bucket,
        key,
    )


def is_refusal(error: sqlite3.Error) -> bool:
    """Return whether a trigger refused to change or remove a damaged row."""
    return str(error).startswith(_REFUSAL)


def refused(error: sqlite3.Error) -> IntegrityError:
    """Return the error for callers after such a refusal."""
    return damaged_row(str(error).removeprefix(_REFUSAL))


def _computed(table: str, prefix: str = "") -> str:
    # as blobs, since damage may turn numbers into text, and text into invalid UTF-8
    return (
        f"row_checksum({', '.join(f'CAST({_qualified(expression, prefix)} AS BLOB)' for expression in COLUMNS[table])})"
    )


def _qualified(expression: str, prefix: str) -> str:
    function, parenthesis, argument = expression.partition("(")
    return f"{function}({prefix}{argument}" if parenthesis else f"{prefix}{expression}"
