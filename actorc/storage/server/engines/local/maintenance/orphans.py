"""Blobs that the index does not know, and what their number says about the index."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from typing import Final

from actorc.storage.errors import IntegrityError
from actorc.storage.server.engines.local.disk.blobs import Blobs
from actorc.storage.server.engines.local.index.index import Index

_log = logging.getLogger(__name__)

CRASH_LEFTOVERS: Final = 1024
"""Orphans that a crash explains: one for each upload under way, in 16 workers of 64 threads each."""


class Orphans:
    """Finds blobs that neither content nor garbage of the index names, and puts them into quarantine.

    None is ever deleted for being one: the index may have lost what it knew. When a process is killed, one blob may be
    left for each upload that was under way; more of them mean that the index is an older copy or has lost rows.

    Args:
        index: What is known.
        blobs: What is there.
    """

    def __init__(self, index: Index, blobs: Blobs) -> None:
        self._index = index
        self._blobs = blobs

    @property
    def due(self) -> bool:
        """Whether nobody has looked for orphans since the index was not closed cleanly; kept in the index."""
        with self._index.reading() as connection:
            return connection.execute("SELECT 1 FROM meta WHERE name = 'orphans'").fetchone() is not None

    @due.setter
    def due(self, value: bool) -> None:
        def change(connection: sqlite3.Connection) -> None:
            if value:
                connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('orphans', 'due')")
            else:
                connection.execute("DELETE FROM meta WHERE name = 'orphans'")

        if value != self.due:
            self._index.run(change)

    def names(self) -> Iterator[str]:
        """Yield the names of all, those on their way into the index among them."""
        for shard in self._blobs.shards():
            for names in self._blobs.names(shard):
                yield from self._index.unknown(names)

    def put_away(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Move all into quarantine, if they are few enough; not when told to stop before all are known.

        Raises:
            IntegrityError: They are more than a crash explains; nothing was moved.
        """
        found = []
        for name in self.names():
            if stopping():
                return
            found.append(name)
        if len(found) > CRASH_LEFTOVERS:
            raise IntegrityError(
                f"meta.db does not know {len(found)} blobs, more than a crash leaves behind, so it is an older copy or "
                "has lost something; restore the newer one, or let 'lucas-storage fsck DIR --adopt' take the blobs in, "
                "or put them into quarantine with 'lucas-storage fsck DIR --accept'"
            )
        moved = self.accept(found)
        if moved:
            _log.warning(
                "blobs that the index does not know were put into quarantine (%d), where they stay for some days; "
                "'lucas-storage fsck DIR' says what they are, and with --adopt it gives them back",
                moved,
            )

    def accept(self, names: list[str]) -> int:
        """Move these into quarantine, whatever their number, if they are still unknown; return how many were moved."""
        return self._blobs.put_away(names, self.is_known)

    def reclaim(self) -> None:
        """Move what the index knows by now from quarantine to its place."""
        for entry in list(self._blobs.quarantine.entries()):
            if self.is_known(entry.name) and not self._blobs.path(entry.name).exists():
                self._blobs.recover(entry.name, entry.path)

    def is_known(self, name: str) -> bool:
        """Return whether the index knows a blob."""
        return not self._index.unknown([name])
