"""The mark of a clean shutdown: size and checksum of the closed index, by which the next start recognizes it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from actorc.storage._wire.checksum import crc32c
from actorc.storage.rules import MiB
from actorc.storage.server.engines.local.disk.fsops import FsOps

NAME: Final = "clean"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingMark:
    """State of an index when it was closed."""

    size: int
    """Bytes of the database file."""
    crc32c: int
    """CRC-32C of the database file."""
    generation: int
    """The greatest generation that was assigned."""
    entries: int
    """Rows of all tables, without those of an empty index."""

    def matches(self, database: Path) -> bool:
        """Return whether the database file is byte for byte the closed one."""
        return database.stat().st_size == self.size and file_checksum(database) == self.crc32c


def path_of(database: Path) -> Path:
    """Return the path of a database's mark."""
    return database.with_name(NAME)


def read(database: Path) -> ClosingMark | None:
    """Return the mark of a database, or None if it is missing or unreadable."""
    try:
        fields = json.loads(path_of(database).read_bytes())
        proof = fields.pop("proof")
        mark = ClosingMark(**fields)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return mark if proof == _proof(mark) else None


def write(database: Path, fsops: FsOps, mark: ClosingMark) -> None:
    """Write and sync the mark of a database whose log is empty, also after a power cut."""
    draft = database.with_name(f"{NAME}.new")
    # `create` replaces nothing, and a killed process may have left its draft
    fsops.unlink(draft)
    descriptor = fsops.create(draft)
    try:
        fsops.write(descriptor, json.dumps({**asdict(mark), "proof": _proof(mark)}).encode() + b"\n", 0)
        # before the rename: a mark that is readable must be complete
        fsops.sync(descriptor)
    finally:
        os.close(descriptor)
    fsops.rename(draft, path_of(database))
    fsops.sync_directory(database.parent)


def remove(database: Path, fsops: FsOps) -> None:
    """Remove the mark, and sync the removal: a mark must never survive a later change of the index."""
    fsops.unlink(path_of(database))
    fsops.sync_directory(database.parent)


def file_checksum(path: Path) -> int:
    """Return the CRC-32C of a whole file."""
    total = 0
    with path.open("rb") as file:
        while block := file.read(MiB):
            total = crc32c(block, total)
    return total


def _proof(mark: ClosingMark) -> int:
    return crc32c(json.dumps(asdict(mark)).encode())
