"""Orphans: blobs that the index does not know. Too many of them mean that the index has lost rows."""

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
    """Finds blobs that neither content nor garbage of the index names, and moves them into quarantine.

    An orphan is never deleted at once, since the index may have lost its row. A killed process may leave one blob for
    each upload under way; more of them mean that the index is an older copy or has lost rows.

    Args:
        index: The index.
        blobs: The blobs.
    """

    def __init__(self, index: Index, blobs: Blobs) -> None:
        self._index = index
        self._blobs = blobs

    @property
    def due(self) -> bool:
        """Whether a search for orphans is due since the last unclean shutdown; stored in the index."""
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
        """Yield the names of all orphans, including blobs that are about to be committed."""
        for shard in self._blobs.shards():
            for names in self._blobs.names(shard):
                yield from self._index.garbage.unknown(names)

    def move_to_quarantine(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Move all orphans into quarantine, unless `stopping` returns True during the search.

        Raises:
            IntegrityError: There are more than a crash explains; nothing was moved.
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
        """Move these blobs into quarantine if the index still does not know them; return the number moved."""
        return self._blobs.move_to_quarantine(names, self.is_known)

    def reclaim(self) -> None:
        """Move blobs that the index knows by now from quarantine to their place."""
        for entry in list(self._blobs.quarantine.entries()):
            if self.is_known(entry.name) and not self._blobs.path(entry.name).exists():
                self._blobs.recover(entry.name, entry.path)

    def is_known(self, name: str) -> bool:
        """Return whether the index knows a blob."""
        return not self._index.garbage.unknown([name])
