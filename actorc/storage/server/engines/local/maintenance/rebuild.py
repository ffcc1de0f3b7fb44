"""Rebuilds a lost or damaged index from the readable rows of the old one and from the trailers of the blobs.

The new index is completed beside the old one before it is renamed into place; the old one is kept. Small objects exist
only in the index, and come back if their rows are readable; so do copies, since a trailer names only the object that
the blob was written for.
"""

from __future__ import annotations

import os
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path

from actorc.storage.rules import MiB
from actorc.storage.server.engines.local.data_dir import OLD_INDEX_PREFIX, DataDirectory
from actorc.storage.server.engines.local.disk.errors import explained
from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.disk.health import Health
from actorc.storage.server.engines.local.index import closing_mark, presence
from actorc.storage.server.engines.local.index.index import Index
from actorc.storage.server.engines.local.index.retention import Retention
from actorc.storage.server.engines.times import UPLOAD_TTL, Clock

from .fsck_index import Finding
from .orphans import Orphans
from .restoration import Restoration
from .salvage import Salvage

_DRAFT = "meta.rebuilt"


class Rebuild:
    """The rebuild of one data directory's index; the directory is locked from construction to `close`.

    Args:
        path: The data directory.
        fsops: The disk.
        clock: Seconds since 1970-01-01 UTC.

    Raises:
        StorageError: The directory is in use, or is not a data directory.
    """

    def __init__(self, path: str | PathLike[str], *, fsops: FsOps | None = None, clock: Clock = time.time) -> None:
        self._fsops = fsops or FsOps()
        self._clock = clock
        self._health = Health()
        with explained():
            self._directory = DataDirectory(Path(path), self._fsops, rebuilding=True)
        self._draft = self._directory.root / _DRAFT
        self._blobs = self._directory.open_blobs(self._health, clock)

    def run(self, *, commit: bool) -> list[Finding]:
        """Build the new index and return the result for each object and blob; put it into place if `commit`.

        Blobs that are not part of it are then moved into quarantine. Without `commit` nothing is changed.
        """
        with explained():
            self._discard_draft()
            try:
                findings = self._build(commit=commit)
                if commit:
                    self._swap()
            finally:
                self._discard_draft()
            return findings

    def close(self) -> None:
        """Unlock the directory."""
        self._directory.close()

    def _build(self, *, commit: bool) -> list[Finding]:
        self._fsops.make_directory(self._draft)
        old = self._old()
        with closing(self._open(self._draft / "meta.db")) as index:
            salvage = Salvage(index, self._blobs)
            findings = [] if old is None else self._salvage(salvage, old)
            if old is None or not salvage.readable:
                findings.append(Finding("lost", "meta.db", "small objects and copies, of which no row could be read"))
            if old is not None and _lacks_log(old):
                findings.append(Finding("lost", "meta.db-wal", "small objects and copies that were written last"))
            orphans = Orphans(index, self._blobs)
            names = [name for name in orphans.names() if name not in salvage.garbage]
            findings += Restoration(index, self._blobs, rebuilding=True).restore_all(names)
            if commit:
                orphans.reclaim()
                orphans.accept(list(orphans.names()))
        return findings

    def _salvage(self, salvage: Salvage, old: Path) -> list[Finding]:
        # reads a copy, since SQLite changes files that it opens
        copy = self._draft / "old"
        for name in ("meta.db", "meta.db-wal"):
            # without a log, all was in the database; without a database, there is nothing to salvage
            with suppress(FileNotFoundError):
                self._copy(old / name, copy.with_name(name.replace("meta.db", "old")))
        return list(salvage.take(copy, self._directory.store_id))

    def _copy(self, source: Path, target: Path) -> None:
        with source.open("rb") as file:
            target.touch(0o600)  # SQLite writes to it
            descriptor, offset = os.open(target, os.O_WRONLY | os.O_CLOEXEC), 0
            try:
                while block := file.read(MiB):
                    self._fsops.write(descriptor, block, offset)
                    offset += len(block)
            finally:
                os.close(descriptor)

    def _open(self, path: Path) -> Index:
        return Index(
            path,
            self._directory.store_id,
            fsops=self._fsops,
            health=self._health,
            clock=self._clock,
            kept=Retention(),
            upload_ttl=UPLOAD_TTL,
        )

    def _old(self) -> Path | None:
        """Return the directory of the old index: the current one, or the one renamed by a rebuild that was killed."""
        current = self._directory.database.parent
        if (current / "meta.db").exists():
            return current
        aside = [
            path for path in sorted(self._directory.root.glob(f"{OLD_INDEX_PREFIX}*")) if (path / "meta.db").exists()
        ]
        return aside[-1] if aside else None

    def _swap(self) -> None:
        for leftover in self._draft.glob("old*"):
            self._fsops.unlink(leftover)
        # on the medium before it gets the name of the index
        self._fsops.sync_directory(self._draft)
        current, root = self._directory.database.parent, self._directory.root
        # two renames are not atomic; killed in between, the directory has no index, and every start refuses it
        if any(current.iterdir()):
            self._fsops.rename(current, self._old_index_path())
        else:
            self._fsops.remove_directory(current)
        self._fsops.sync_directory(root)
        self._fsops.rename(self._draft, current)
        self._fsops.sync_directory(root)
        self._directory.relabel()

    def _old_index_path(self) -> Path:
        now = datetime.fromtimestamp(self._clock(), UTC)
        name = f"{OLD_INDEX_PREFIX}{now:%Y%m%dT%H%M%S}"
        others = len(list(self._directory.root.glob(f"{name}*")))
        return self._directory.root / (f"{name}-{others}" if others else name)

    def _discard_draft(self) -> None:
        if self._draft.exists():
            for leftover in self._draft.iterdir():
                self._fsops.unlink(leftover)
            self._fsops.remove_directory(self._draft)


def _lacks_log(old: Path) -> bool:
    """Return whether an index was opened, but has neither log nor mark, so that the log was lost."""
    lock = old / presence.NAME
    was_open = lock.exists() and lock.stat().st_size > 0
    return was_open and not (old / "meta.db-wal").exists() and not (old / closing_mark.NAME).exists()
