"""Checks of an index at the start, by the first process that opens it.

Nothing is changed before the index is known to have every acknowledged change: the file matches the mark of a clean
stop, or every row is verified.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actorc.storage.errors import IntegrityError, ResourceExhaustedError, StorageError
from actorc.storage.rules import KiB
from actorc.storage.server.engines.local.disk.fsops import FsOps

from . import closing_mark, schema, tally, upgrade
from .closing_mark import ClosingMark
from .verification import DAMAGES, Damage, damages
from .wal import wal_check

_log = logging.getLogger(__name__)

REMEDY: Final = (
    "nothing was changed; see what 'lucas-storage fsck DIR' says of the data directory, then restore its directory "
    "meta from a backup or rebuild the index with 'lucas-storage fsck DIR --rebuild'"
)
_MAX_FINDINGS: Final = 3
"""Findings in an error message; `fsck` shows all of them."""
_RECORD_US: Final = 30 * 24 * 60 * 60 * 1_000_000
_ROOM_TO_OPEN: Final = 64 * KiB
"""Bytes; the file beside an index that is read takes 32 KiB."""
_DATABASE_HEADER: Final = 100
_WAL_MODE: Final = b"\x02\x02"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The state in which an index was found.

    Args:
        dropped: Damaged frames at the end of its log, as a power cut leaves them.
        verified: Whether every row was verified.
    """

    dropped: int = 0
    verified: bool = False


def prepare(database: Path, store_id: str, fsops: FsOps, *, was_open: bool, may_be_older: bool = False) -> Opening:
    """Create a missing index, or check an existing one and upgrade it to the current version.

    Args:
        database: The database file.
        store_id: Identity of the data directory.
        fsops: The disk.
        was_open: Whether the index was open before, in this version.
        may_be_older: Whether to accept an older copy of the index that was closed last.

    Raises:
        IntegrityError: It is damaged, or a part of it is missing.
        StorageError: It belongs to another data directory, or to a newer version.
    """
    if not database.exists():
        _refuse_lost(database, was_open=was_open)
        create(database, store_id, fsops)
    opening = check(database, store_id, was_open=was_open, may_be_older=may_be_older)
    with closing(schema.connect_read_only(database)) as connection:
        found = upgrade.version(connection)
    if found != schema.VERSION:
        upgrade.upgrade(database, fsops)
        # the upgrade changed the file, so a mark from before does not match it any more
        mark_closed(database, fsops, is_verified=True)
    return opening


def create(database: Path, store_id: str, fsops: FsOps) -> None:
    """Create an empty index atomically: complete it under another name, sync, and rename."""
    draft = database.with_name(f"{database.name}.new")
    # leftovers of a killed process; a log beside the draft would be replayed into it
    for leftover in (draft, *_log_paths(draft)):
        fsops.unlink(leftover)
    with closing(schema.connect(draft)) as connection:
        connection.executescript(f"BEGIN IMMEDIATE; {schema.tables()} {schema.indexes()}")
        schema.fill(connection, store_id)
        fsops.commit(connection)
        # everything into one file: the rename moves neither log nor shared memory
        fsops.checkpoint(connection, "TRUNCATE")
    # complete before it gets its name, so that a killed first start leaves no half-made index
    fsops.rename(draft, database)
    fsops.sync_directory(database.parent)
    mark_closed(database, fsops, is_verified=True)


def check(database: Path, store_id: str, *, was_open: bool, may_be_older: bool = False) -> Opening:
    """Raise as `prepare` does if an index that no process has open is damaged; return how it was found.

    Nothing is changed. The arguments are those of `prepare`.
    """
    page_size = _page_size(database)
    mark = closing_mark.read(database)
    is_as_closed = mark is not None and mark.matches(database)
    dropped = _check_log(database, page_size, is_as_closed=is_as_closed, was_open=was_open)
    try:
        with closing(schema.connect_read_only(database)) as connection:
            check_identity(connection, store_id)
            if not is_as_closed:
                verify(connection, database)
                if mark is not None:
                    _check_generation(connection, database, mark, may_be_older=may_be_older)
    except DAMAGES as error:
        system = os.statvfs(database.parent)
        raise failure(error, database, left=system.f_bavail * system.f_frsize) from error
    return Opening(dropped=dropped, verified=not is_as_closed)


def failure(error: Exception, database: Path, *, left: int) -> StorageError:
    """Return what it means that an index could not be read, with `left` bytes free on its disk."""
    # SQLite makes a file beside the index to read it; what it says of a full disk then is the same as of a broken one
    if "disk I/O error" in str(error) and left < _ROOM_TO_OPEN:
        return ResourceExhaustedError(
            f"the disk of {database.parent.parent} is full, so its index cannot be opened; "
            f"free {_ROOM_TO_OPEN // KiB} KiB there, then try again; nothing is damaged by that"
        )
    return IntegrityError(f"{database} is damaged, {error}; {REMEDY}")


def verify(connection: sqlite3.Connection, database: Path) -> None:
    """Raise `IntegrityError` if a row or a page of an index of any version is damaged; `database` is its name."""
    if upgrade.version(connection) == upgrade.WITHOUT_CHECKSUMS:
        found = [Damage("meta.db", line) for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]
    else:
        found = list(damages(connection))
    if found:
        text = "; ".join(f"{damage.subject}: {damage.detail}" for damage in found[:_MAX_FINDINGS])
        more = f", and {len(found) - _MAX_FINDINGS} more" if len(found) > _MAX_FINDINGS else ""
        raise IntegrityError(f"{database} is damaged, {text}{more}; {REMEDY}")


def find_damage(database: Path, store_id: str, *, was_open: bool) -> Iterator[Damage]:
    """Yield the damage of an index that `prepare` refuses; nothing is changed."""
    try:
        check(database, store_id, was_open=was_open)
    except (StorageError, OSError) as error:
        yield Damage(database.name, error.message if isinstance(error, StorageError) else str(error))
    try:
        with closing(schema.connect_read_only(database)) as connection:
            yield from damages(connection)
    except DAMAGES as error:
        yield Damage(database.name, str(error))


def mark_closed(database: Path, fsops: FsOps, *, is_verified: bool) -> bool:
    """Write the mark of a clean stop and return True, unless the log is not empty; nobody changes the index meanwhile.

    Args:
        database: The database file.
        fsops: The disk.
        is_verified: Whether all of it was verified a moment ago; else it is now.

    Raises:
        IntegrityError: The index was damaged while it was open; there is no mark.
    """
    log = wal_check.path_of(database)
    if log.exists():
        if log.stat().st_size:
            return False
        _sync(log, fsops)
    # first: what is damaged behind this is no longer the file that the mark describes
    size, crc32c = database.stat().st_size, closing_mark.file_checksum(database)
    # of its own, since one that was in use has pages in memory, and not those of the file
    with closing(schema.connect_read_only(database)) as connection:
        if not is_verified:
            verify(connection, database)
        generation = int(str(schema.read_meta(connection, "generation")))
        counted = connection.execute("SELECT sum(entries) FROM tally").fetchone()[0]
        beginning = connection.execute("SELECT entries FROM tally WHERE name = 'meta'").fetchone()[0]
    mark = ClosingMark(size=size, crc32c=crc32c, generation=generation, entries=counted - beginning)
    closing_mark.write(database, fsops, mark)
    return True


def _sync(log: Path, fsops: FsOps) -> None:
    # or a power cut may bring back what it had, and a log beside a mark is taken for that of another index
    descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fsops.sync(descriptor)
    finally:
        os.close(descriptor)


def record_opening(connection: sqlite3.Connection, opening: Opening, now_us: int) -> None:
    """After a verification, record for `fsck` which frames were dropped from the log, and correct the tally."""
    for wrong in tally.recount(connection):
        _log.warning("the index was verified, and its count was corrected: %s", wrong)
    if opening.dropped:
        text = json.dumps({"frames": opening.dropped, "at_us": now_us})
        connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('dropped', ?)", (text,))
    else:
        oldest = now_us - _RECORD_US
        connection.execute("DELETE FROM meta WHERE name = 'dropped' AND json_extract(value, '$.at_us') < ?", (oldest,))


def _refuse_lost(database: Path, *, was_open: bool) -> None:
    mark = closing_mark.read(database)
    if was_open or any(path.exists() for path in _log_paths(database)) or (mark is not None and mark.entries):
        raise IntegrityError(f"{database} is missing; {REMEDY}")


def _page_size(database: Path) -> int:
    with database.open("rb") as file:
        header = file.read(_DATABASE_HEADER)
    if not header:
        raise IntegrityError(f"{database} is empty; {REMEDY}")
    if len(header) < _DATABASE_HEADER or not header.startswith(b"SQLite format 3\0") or header[18:20] != _WAL_MODE:
        raise IntegrityError(f"{database} is damaged, its first bytes are not those of an index; {REMEDY}")
    (size,) = struct.unpack(">H", header[16:18])
    if size & (size - 1) or not size:
        raise IntegrityError(f"{database} is damaged, it has no size of pages; {REMEDY}")
    return 65536 if size == 1 else int(size)


def _check_log(database: Path, page_size: int, *, is_as_closed: bool, was_open: bool) -> int:
    log = wal_check.path_of(database)
    if not log.exists():
        if was_open and not closing_mark.path_of(database).exists():
            raise IntegrityError(f"{log} is missing, and with it what was written last; {REMEDY}")
        return 0
    if is_as_closed and log.stat().st_size:
        raise IntegrityError(f"{log} does not belong to {database.name}, which was closed without one; {REMEDY}")
    report = wal_check.inspect(log, page_size)
    if report.lost:
        raise IntegrityError(f"{log} is damaged, {report.lost}; {REMEDY}")
    if report.damaged:
        _log.warning(
            "%s ends in %d damaged frames; they are dropped, and with them a last change that a power cut interrupted",
            log,
            report.dropped,
        )
    return max(report.dropped, 1) if report.damaged else 0


def check_identity(connection: sqlite3.Connection, store_id: str) -> None:
    """Raise `StorageError` if an index belongs to another data directory, or to a newer version."""
    if connection.execute("SELECT value FROM meta WHERE name = 'store'").fetchone() != (store_id,):
        raise StorageError("meta.db belongs to another data directory; restore the one that FORMAT names")
    found = upgrade.version(connection)
    if isinstance(found, int) and found > schema.VERSION:
        raise StorageError(
            f"meta.db has version {found} and this server knows {schema.VERSION} at most; "
            "use the version of lucas-storage that wrote it"
        )


def _check_generation(connection: sqlite3.Connection, database: Path, mark: ClosingMark, *, may_be_older: bool) -> None:
    _log.warning("%s is not the file that was closed; all of it was verified", database)
    generation = int(str(schema.read_meta(connection, "generation")))
    log = wal_check.path_of(database)
    has_log = log.exists() and log.stat().st_size  # a read-only connection creates an empty one
    if generation > mark.generation and not has_log:
        # opening an index removes its mark, so this mark is a copy, and does not prove that the log was checkpointed
        raise IntegrityError(f"{log} is missing, and the mark of a clean stop is of an earlier one; {REMEDY}")
    if generation < mark.generation and not may_be_older:
        raise IntegrityError(
            f"{database} is an older copy of the index, which lacks what was written since; restore the newer one, or "
            "let 'lucas-storage fsck DIR --adopt' take in the blobs that it does not know"
        )


def _log_paths(database: Path) -> tuple[Path, Path]:
    return wal_check.path_of(database), database.with_name(f"{database.name}-shm")
