"""Reference-counted content of objects: a file, inline bytes, or several of these joined.

Objects, retained generations and parts refer to content. Files without a reference become garbage, those of joined
content as a group: while a reader has it open, none of them is removed.
"""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from actorc.storage.server.engines.local.rows import Segment, pack_sums, unpack_sums

from .row_checksums import damaged_row, intact

_LEAVES = "FROM segment JOIN content ON content.id = leaf_id WHERE content_id = ?"


def add(connection: sqlite3.Connection, segment: Segment) -> int:
    """Store a segment as content with one reference; return its id."""
    return _insert(connection, (segment.size, pack_sums(segment.sums), segment.file, segment.data, segment.stamp))


def restamp(connection: sqlite3.Connection, content_id: int, file: str, stamp: bytes) -> None:
    """Record the stamp of a file that was verified, unless the content is another one by now."""
    # a damaged row would refuse any change; `fsck` reports it
    update = f"UPDATE content SET stamp = ? WHERE id = ? AND file = ? AND {intact('content')}"
    connection.execute(update, (stamp, content_id, file))


def join(connection: sqlite3.Connection, ids: Sequence[int], size: int) -> int:
    """Return content of `size` bytes that joins others in order, and takes over their only references."""
    # a single part needs no row of `segment`
    if len(ids) == 1:
        return ids[0]
    joined = _insert(connection, (size, b"", None, None, None))
    connection.executemany(
        "INSERT INTO segment (content_id, position, leaf_id) VALUES (?, ?, ?)",
        ((joined, at, leaf) for at, leaf in enumerate(ids)),
    )
    return joined


def share(connection: sqlite3.Connection, content_id: int) -> None:
    """Add a reference."""
    connection.execute("UPDATE content SET refs = refs + 1 WHERE id = ?", (content_id,))


def drop(connection: sqlite3.Connection, content_id: int) -> None:
    """Remove a reference; after the last one, remove the content and make its files garbage."""
    row = connection.execute("SELECT refs, file, data IS NOT NULL FROM content WHERE id = ?", (content_id,)).fetchone()
    if row is None:
        raise damaged_row("content")
    refs, file, data = row
    if refs > 1:
        connection.execute("UPDATE content SET refs = refs - 1 WHERE id = ?", (content_id,))
        return
    # garbage in the same transaction: after a crash in between, the file would be an orphan
    if file is not None:
        connection.execute("INSERT INTO garbage (guard, file) VALUES (?, ?)", (file, file))
    elif not data:
        _drop_segments(connection, content_id)
    connection.execute("DELETE FROM content WHERE id = ?", (content_id,))


def load(connection: sqlite3.Connection, content_id: int) -> tuple[Segment, ...]:
    """Return the segments of content, in order.

    Raises:
        IntegrityError: A row of it is damaged or missing.
    """
    fields = "content.size, sums, file, data, stamp"
    row = connection.execute(
        f"SELECT {intact('content')}, {fields} FROM content WHERE id = ?", (content_id,)
    ).fetchone()
    if row is None or not row[0]:
        raise damaged_row("content")
    if row[3] is not None or row[4] is not None:
        return (_segment(row),)
    rows = connection.execute(
        f"SELECT {intact('content')} AND {intact('segment')}, {fields} {_LEAVES} ORDER BY position", (content_id,)
    ).fetchall()
    segments = tuple(map(_segment, rows))
    if sum(segment.size for segment in segments) != row[1]:
        raise damaged_row("segment")
    return segments


def _insert(connection: sqlite3.Connection, row: tuple[int, bytes, str | None, bytes | None, bytes | None]) -> int:
    insert = "INSERT INTO content (size, sums, file, data, stamp) VALUES (?, ?, ?, ?, ?)"
    content_id = connection.execute(insert, row).lastrowid
    assert content_id is not None
    return content_id


def _drop_segments(connection: sqlite3.Connection, content_id: int) -> None:
    guard = connection.execute(
        f"SELECT file {_LEAVES} AND file IS NOT NULL ORDER BY position LIMIT 1", (content_id,)
    ).fetchone()
    if guard:
        connection.execute(
            f"INSERT INTO garbage (guard, file) SELECT ?, file {_LEAVES} AND file IS NOT NULL", (guard[0], content_id)
        )
    connection.execute(
        "DELETE FROM content WHERE id IN (SELECT leaf_id FROM segment WHERE content_id = ?)", (content_id,)
    )
    connection.execute("DELETE FROM segment WHERE content_id = ?", (content_id,))


def _segment(row: tuple[int, int, bytes, str | None, bytes | None, bytes | None]) -> Segment:
    is_intact, size, sums, file, data, stamp = row
    if not is_intact:
        raise damaged_row("content")
    return Segment(size=size, sums=unpack_sums(sums), file=file, data=data, stamp=stamp)
