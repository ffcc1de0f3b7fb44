"""`fsck` of the index itself, also of one that servers refuse to open; and `Finding`, its result."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from actorc.storage.server.engines.local.data_dir import DataDirectory
from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.index import startup
from actorc.storage.server.engines.local.index.presence import PresenceLock
from actorc.storage.server.engines.local.index.verification import damages
from actorc.storage.server.engines.times import utc


@dataclass(frozen=True, slots=True)
class Finding:
    """A result of `fsck`."""

    kind: str
    """``damaged``: bytes are lost. ``inconsistent``: the index contradicts itself or a blob. ``leftover``: space is
    wasted. ``quarantined``: a blob that the index did not know is kept for a while. ``dropped``: after a crash, the end
    of the log of the index was not what was written and was not taken over."""
    subject: str
    """The object, blob or file concerned."""
    detail: str


def index_findings(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Read every row, and yield the damage of the index."""
    for damage in damages(connection):
        yield Finding("damaged", *damage)
    for table, row, *_ in connection.execute("PRAGMA foreign_key_check").fetchall():
        yield Finding("inconsistent", str(table), f"row {row} names a bucket or an upload that is not there")


def dropped_findings(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Yield what a start had to drop at the end of the log; the index has had no contradiction since."""
    for (stored,) in connection.execute("SELECT value FROM meta WHERE name = 'dropped'"):
        dropped = json.loads(stored)
        yield Finding(
            "dropped",
            "meta.db-wal",
            f"its end of {dropped['frames']} pages was damaged at the start of {utc(dropped['at_us']):%Y-%m-%d %H:%M} "
            "UTC; it held the last change before, which a power cut had interrupted, or which is lost",
        )


def inspect(path: Path) -> list[Finding]:
    """Return the damage of an index that `LocalEngine` refuses to open; nothing is changed.

    Raises:
        StorageError: The directory is in use, or is not a data directory.
    """
    with closing(DataDirectory(path, FsOps())) as directory:
        presence = PresenceLock(directory.database.parent, FsOps())
        with presence.entering():
            was_open = presence.was_open()
        with presence.leaving():
            found = startup.find_damage(directory.database, directory.store_id, was_open=was_open)
            return [Finding("damaged", *damage) for damage in found]
