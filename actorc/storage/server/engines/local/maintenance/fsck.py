"""`fsck`: checks that every blob the index needs exists and is intact, and that there are no others."""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from actorc.storage._wire.checksum import crc32c
from actorc.storage.server.engines.local.disk.blobs import Blobs
from actorc.storage.server.engines.local.disk.quarantine import Quarantine
from actorc.storage.server.engines.local.disk.trailer import OBJECT, DamagedTrailerError, Trailer
from actorc.storage.server.engines.local.rows import unpack_sums

from .fsck_index import Finding, index_findings

_OWNERS = """
SELECT content_id, key, size FROM object UNION ALL SELECT content_id, key, size FROM retained
UNION ALL SELECT content_id, key, part.size FROM part JOIN upload ON upload.id = upload_id
"""


def blob_findings(connection: sqlite3.Connection, blobs: Blobs, staging: Path) -> Iterator[Finding]:
    """Read every stored byte, and yield all damage, contradictions between index and blobs, and leftovers.

    Nothing is changed, except that blobs the index knows are moved back from quarantine. Run it while nothing is
    written: an unfinished write looks like a leftover.
    """
    yield from _bytes(connection, blobs)
    yield from _names(connection, blobs)
    yield from _leftovers(connection, blobs, staging)
    yield from _quarantined(blobs, blobs.quarantine)


def contradictions(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Yield the inconsistencies within the index; blobs are not read."""
    yield from index_findings(connection)
    yield from _references(connection)


def _references(connection: sqlite3.Connection) -> Iterator[Finding]:
    for content_id, key, size, stored in connection.execute(
        f"SELECT content_id, key, owner.size, content.size FROM ({_OWNERS}) AS owner"
        " LEFT JOIN content ON content.id = content_id WHERE content.size IS NOT owner.size"
    ).fetchall():
        what = "is not there" if stored is None else f"has {stored} bytes instead of {size}"
        yield Finding("damaged", key.decode(), f"its content {content_id} {what}")
    yield from _reference_counts(connection)
    for content_id, size, joined in connection.execute(
        "SELECT id, size, (SELECT sum(leaf.size) FROM segment JOIN content AS leaf ON leaf.id = leaf_id"
        " WHERE content_id = content.id) AS joined FROM content"
        " WHERE file IS NULL AND data IS NULL AND joined IS NOT size"
    ).fetchall():
        yield Finding("damaged", f"content {content_id}", f"its segments have {joined or 0} bytes instead of {size}")
    yield from _stray_rows(connection)


def _reference_counts(connection: sqlite3.Connection) -> Iterator[Finding]:
    for content_id, refs, count in connection.execute(
        "SELECT id, refs, count(content_id) FROM content LEFT JOIN"
        f" (SELECT content_id FROM ({_OWNERS}) UNION ALL SELECT leaf_id FROM segment) ON content_id = id"
        " GROUP BY id HAVING count(content_id) <> refs"
    ).fetchall():
        kind = "inconsistent" if count else "leftover"
        yield Finding(kind, f"content {content_id}", f"{refs} references are counted, {count} are there")


def _stray_rows(connection: sqlite3.Connection) -> Iterator[Finding]:
    for (file,) in connection.execute("SELECT file FROM garbage WHERE file IN (SELECT file FROM content)").fetchall():
        yield Finding("inconsistent", file, "the blob is content and waits to be removed; it is not removed")
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
            found, length = _sums_of_bytes(data) if file is None else _sums_of_blob(blobs, file, size)
        except OSError as error:
            yield Finding("damaged", subject, f"blob {file} cannot be read: {error}")
            continue
        if length != size:
            yield Finding("damaged", subject, f"{length} bytes are stored instead of {size}")
        elif found != unpack_sums(sums):
            yield Finding("damaged", subject, "the bytes do not match their checksums")
        elif file is not None:
            yield from _trailer(blobs, subject, file, size, unpack_sums(sums))


def _trailer(blobs: Blobs, subject: str, file: str, size: int, sums: tuple[int, ...]) -> Iterator[Finding]:
    try:
        trailer = blobs.trailer(blobs.path(file))
    except DamagedTrailerError as error:
        yield Finding("inconsistent", subject, f"blob {file} could not be given back to an index, {error}")
        return
    if trailer is None:
        if blobs.path(file).stat().st_size > size:
            yield Finding("inconsistent", subject, f"blob {file} has something behind its bytes that is no trailer")
    elif (trailer.payload, trailer.sums) != (size, sums):
        yield Finding("inconsistent", subject, f"blob {file} says that it has other bytes")


def _names(connection: sqlite3.Connection, blobs: Blobs) -> Iterator[Finding]:
    """Yield objects whose blob's trailer names another object; copies are exempt, as theirs names the original."""
    rows = connection.execute(
        "SELECT bucket.name, key, generation, file FROM object JOIN bucket ON bucket.id = bucket_id"
        " JOIN content ON content.id = content_id WHERE file IS NOT NULL"
    )
    for bucket, key, generation, file in rows:
        trailer = _trailer_or_error(blobs, blobs.path(file))
        if not isinstance(trailer, Trailer) or trailer.kind != OBJECT:
            continue
        # generations are unique, so only the original has that of its blob
        if trailer.order == generation and (trailer.bucket, trailer.key) != (bucket, key.decode()):
            yield Finding("inconsistent", key.decode(), f"blob {file} says that it is {trailer.place}")


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
            yield Finding(
                "leftover", path.name, f"a blob that no object refers to, {_trailer_description(blobs, path)}"
            )


def _quarantined(blobs: Blobs, quarantine: Quarantine) -> Iterator[Finding]:
    for entry in quarantine.entries():
        size = entry.path.stat().st_size
        detail = f"in quarantine since {entry.since}, {size} bytes, {_trailer_description(blobs, entry.path)}"
        yield Finding("quarantined", entry.name, detail)


def _trailer_description(blobs: Blobs, path: Path) -> str:
    said = _trailer_or_error(blobs, path)
    return f"written as {said.place}" if isinstance(said, Trailer) else said


def _trailer_or_error(blobs: Blobs, path: Path) -> Trailer | str:
    try:
        return blobs.trailer(path) or "without a trailer"
    except (DamagedTrailerError, OSError) as error:
        return f"and {error}"


def _sums_of_bytes(data: bytes) -> tuple[tuple[int, ...], int]:
    return ((crc32c(data),) if data else ()), len(data)


def _sums_of_blob(blobs: Blobs, name: str, size: int) -> tuple[tuple[int, ...], int]:
    os.close(blobs.open(name))  # opening moves it back from quarantine
    return blobs.sums(blobs.path(name), size)
