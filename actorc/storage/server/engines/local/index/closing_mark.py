"""What a clean stop leaves beside the index: which file it closed, so that the next start knows it again."""

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
    """An index as it was closed."""

    size: int
    """Bytes of the database file."""
    crc32c: int
    """Of all of them."""
    generation: int
    """The greatest one that was given out."""
    entries: int
    """Rows in all tables together but those that every index has from the beginning."""

    def matches(self, database: Path) -> bool:
        """Return whether the database is byte for byte what was closed."""
        return database.stat().st_size == self.size and file_checksum(database) == self.crc32c


def path_of(database: Path) -> Path:
    """Return where the mark of a database is."""
    return database.with_name(NAME)


def read(database: Path) -> ClosingMark | None:
    """Return the mark of a database; None if there is none, or none that can be read."""
    try:
        fields = json.loads(path_of(database).read_bytes())
        proof = fields.pop("proof")
        mark = ClosingMark(**fields)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return mark if proof == _proof(mark) else None


def write(database: Path, fsops: FsOps, *, generation: int, entries: int) -> None:
    """Leave the mark of a database whose log is empty; return when it is on the medium."""
    size = database.stat().st_size
    mark = ClosingMark(size=size, crc32c=file_checksum(database), generation=generation, entries=entries)
    draft = database.with_name(f"{NAME}.new")
    fsops.unlink(draft)
    descriptor = fsops.create(draft)
    try:
        fsops.write(descriptor, json.dumps({**asdict(mark), "proof": _proof(mark)}).encode() + b"\n", 0)
        fsops.sync(descriptor)
    finally:
        os.close(descriptor)
    fsops.rename(draft, path_of(database))
    fsops.sync_directory(database.parent)


def remove(database: Path, fsops: FsOps) -> None:
    """Remove the mark; return when that is on the medium."""
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
