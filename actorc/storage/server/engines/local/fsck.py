# ruff: noqa: S608 (all that is put into statements are names of our own columns)
"""Whether all that is needed is there, and nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from actorc.storage._checksum import crc32c
from actorc.storage.rules import BLOCK_SIZE

from .blobs import Blobs
from .rows import unpack_sums

_OWNERS = """
SELECT content_id, key, size FROM object UNION ALL SELECT content_id, key, size FROM retained
UNION ALL SELECT content_id, key, part.size FROM part JOIN upload ON upload.id = upload_id
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something `fsck` found."""

    kind: str
    """``damaged``: bytes are lost. ``inconsistent``: the index contradicts itself. ``leftover``: space is wasted."""
    subject: str
    """The object, blob or file concerned."""
    detail: str


def fsck(connection: sqlite3.Connection, blobs: Blobs, staging: Path) -> Iterator[Finding]:
    """Yield everything that is not as it should be, reading every byte that is stored; nothing is changed.

    Run it while nothing is being written: a write under way looks like a leftover.
    """
    yield from _database(connection)
    yield from _references(connection)
    yield from _bytes(connection, blobs)
    yield from _leftovers(connection, blobs, staging)


def _database(connection: sqlite3.Connection) -> Iterator[Finding]:
    for (line,) in connection.execute("PRAGMA integrity_check").fetchall():
        if line != "ok":
            yield Finding("damaged", "meta.db", str(line))
    for table, row, *_ in connection.execute("PRAGMA foreign_key_check").fetchall():
        yield Finding("inconsistent", str(table), f"row {row} names a bucket or an upload that is not there")


def _references(connection: sqlite3.Connection) -> Iterator[Finding]:
    for content_id, key, size, stored in connection.execute(
        f"SELECT content_id, key, owner.size, content.size FROM ({_OWNERS}) AS owner"
        " LEFT JOIN content ON content.id = content_id WHERE content.size IS NOT owner.size"
    ).fetchall():
        what = "is not there" if stored is None else f"has {stored} bytes instead of {size}"
        yield Finding("damaged", key.decode(), f"its content {content_id} {what}")
    for content_id, refs, count in connection.execute(
        "SELECT id, refs, count(content_id) FROM content LEFT JOIN"
        f" (SELECT content_id FROM ({_OWNERS}) UNION ALL SELECT leaf_id FROM segment) ON content_id = id"
        " GROUP BY id HAVING count(content_id) <> refs"
    ).fetchall():
        kind = "inconsistent" if count else "leftover"
        yield Finding(kind, f"content {content_id}", f"{refs} references are counted, {count} are there")
    for content_id, size, joined in connection.execute(
        "SELECT id, size, (SELECT sum(leaf.size) FROM segment JOIN content AS leaf ON leaf.id = leaf_id"
        " WHERE content_id = content.id) AS joined FROM content"
        " WHERE file IS NULL AND data IS NULL AND joined IS NOT size"
    ).fetchall():
        yield Finding("damaged", f"content {content_id}", f"its segments have {joined or 0} bytes instead of {size}")
    for (content_id,) in connection.execute(
        "SELECT content_id FROM segment WHERE content_id NOT IN (SELECT id FROM content)"
    ).fetchall():
        yield Finding("inconsistent", f"content {content_id}", "it is not there and has segments")
    charged, counted = connection.execute(
        "SELECT (SELECT coalesce(sum(charge), 0) FROM retained), (SELECT value FROM meta WHERE name = 'retained_bytes')"
    ).fetchone()
    if charged != counted:
        yield Finding("inconsistent", "retained", f"{counted} bytes are accounted for, {charged} are there")


def _bytes(connection: sqlite3.Connection, blobs: Blobs) -> Iterator[Finding]:
    leaves = (
        f"SELECT coalesce(leaf_id, owner.content_id) AS id, min(key) AS key FROM ({_OWNERS}) AS owner"
        " LEFT JOIN segment ON segment.content_id = owner.content_id GROUP BY 1"
    )
    stored = f"SELECT key, size, file, sums, data FROM ({leaves}) JOIN content USING (id)"
    for key, size, file, sums, data in connection.execute(f"{stored} WHERE file IS NOT NULL OR data IS NOT NULL"):
        subject = key.decode()
        try:
            found, length = _sums_of_bytes(data) if file is None else _sums_of_file(blobs.path(file))
        except OSError as error:
            yield Finding("damaged", subject, f"blob {file} cannot be read: {error}")
            continue
        if length != size:
            yield Finding("damaged", subject, f"{length} bytes are stored instead of {size}")
        elif found != unpack_sums(sums):
            yield Finding("damaged", subject, "the bytes do not match their checksums")


def _leftovers(connection: sqlite3.Connection, blobs: Blobs, staging: Path) -> Iterator[Finding]:
    for path in staging.iterdir():
        yield Finding("leftover", path.name, "a staging file of no upload")
    for (file,) in connection.execute("SELECT file FROM garbage").fetchall():
        yield Finding("leftover", file, "a blob waits to be removed")
    wanted = "SELECT 1 FROM content WHERE file = :name UNION ALL SELECT 1 FROM garbage WHERE file = :name"
    for path in sorted(blobs.root.rglob("*")):
        if path.is_dir():
            continue
        if not blobs.is_ours(path):
            yield Finding("leftover", path.name, "a file that is no blob")
        elif not connection.execute(wanted, {"name": path.name}).fetchone():
            yield Finding("leftover", path.name, "a blob that no object refers to")


def _sums_of_bytes(data: bytes) -> tuple[tuple[int, ...], int]:
    return ((crc32c(data),) if data else ()), len(data)


def _sums_of_file(path: Path) -> tuple[tuple[int, ...], int]:
    sums, length = [], 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_SIZE):
            sums.append(crc32c(block))
            length += len(block)
    return tuple(sums), length
