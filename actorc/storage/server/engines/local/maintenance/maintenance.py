"""All maintenance of one engine: its background threads, and checks and repairs on request."""

from __future__ import annotations

import logging

from actorc.storage.errors import ResourceExhaustedError
from actorc.storage.server.engines.local.data_dir import DataDirectory
from actorc.storage.server.engines.local.disk.blobs import Blobs
from actorc.storage.server.engines.local.disk.errors import explained
from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.disk.health import Health
from actorc.storage.server.engines.local.index import tally
from actorc.storage.server.engines.local.index.index import Index
from actorc.storage.server.engines.times import Clock

from .checkpointer import Checkpointer
from .election import MaintenanceLock
from .fsck import blob_findings, contradictions
from .fsck_index import Finding, dropped_findings
from .garbage import GarbageCollector
from .orphans import Orphans
from .restoration import Restoration
from .scrub import Progress, Scrubber

_log = logging.getLogger(__name__)


class Maintenance:
    """The maintenance of one engine. Any thread may call it; repairs are for an engine that nothing writes to.

    Args:
        index: The index.
        blobs: The blobs.
        fsops: The disk.
        health: That of the engine; nothing is changed once it is lost.
        directory: The data directory.
        clock: Seconds since 1970-01-01 UTC.
        scrub_days: Days of one pass of the scrubber; 0: it has no thread.
        quarantine_days: Least days that blobs unknown to the index are kept.
    """

    def __init__(
        self,
        index: Index,
        blobs: Blobs,
        fsops: FsOps,
        health: Health,
        directory: DataDirectory,
        *,
        clock: Clock,
        scrub_days: float,
        quarantine_days: float,
    ) -> None:
        self._index = index
        self._blobs = blobs
        self._staging = directory.staging
        self._scrub_days = scrub_days
        self.lock = MaintenanceLock(directory.jobs, health)
        self.orphans = Orphans(index, blobs)
        self.collector = GarbageCollector(
            index,
            blobs,
            health,
            self.lock,
            self.orphans,
            pause=directory.removal_pause,
            is_sound=self._is_sound,
            quarantine_days=quarantine_days,
        )
        self.scrubber = Scrubber(index, blobs, fsops, self.lock, clock=clock, days=scrub_days)
        self._checkpointer = Checkpointer(index)

    def start(self, sweep_interval: float | None) -> None:
        """Start the threads; `sweep_interval` is in seconds, None for none that sweeps."""
        if sweep_interval is not None:
            self.collector.start(sweep_interval)
            self._checkpointer.start()
        if self._scrub_days:
            self.scrubber.start()

    def close(self) -> None:
        """Stop the threads, return when they have ended, and leave maintenance to another process."""
        self.scrubber.stop()
        self.collector.stop()
        self._checkpointer.stop()
        self.lock.close()

    def quarantine_leftovers(self, *, repairing: bool) -> None:
        """Move what a crash left behind into quarantine, or record that it is to be done if `repairing`.

        Raises:
            IntegrityError: There are more orphans than a crash explains; none was moved.
        """
        try:
            # recorded first: if this engine is closed cleanly before the search, the next one must still search
            self.orphans.due = True
            if not repairing:
                self.orphans.move_to_quarantine()
                self.orphans.due = False
        except (OSError, ResourceExhaustedError) as error:
            # a full disk must not keep a server from starting; the sweeper tries again
            _log.warning("what a crash left behind stays where it is for now: %s", error)

    def sweep(self) -> None:
        """Remove garbage and expired objects now, and move orphans into quarantine.

        Raises:
            StorageError: There are more orphans than a crash explains; none was moved.
        """
        self.collector.sweep()
        self.collector.sweep_orphans()

    def scrub(self) -> Progress:
        """Finish the current pass over everything stored now; return the progress of all passes."""
        with explained():
            for _ in self.scrubber.blocks():
                pass
            return self.scrubber.progress()

    def fsck(self) -> list[Finding]:
        """Read every byte and return all damage and inconsistencies; run it while nothing is written.

        Objects and bytes that were counted wrong are corrected, unless the index is damaged.
        """
        with self._index.reading() as connection:
            in_index = [*contradictions(connection), *dropped_findings(connection)]
            in_blobs = list(blob_findings(connection, self._blobs, self._staging))
        if not any(finding.kind == "damaged" for finding in in_index):
            wrong = self._index.run(tally.recount)
            in_index += [Finding("inconsistent", each.bucket, f"{each}; it is corrected now") for each in wrong]
        return in_index + in_blobs

    def adopt(self) -> list[Finding]:
        """Restore objects from blobs that the index does not know; return the result for each of these blobs.

        Blobs that cannot be restored are moved into quarantine. Run it while nothing is written.
        """
        with explained():
            names = [*self.orphans.names(), *(entry.name for entry in self._blobs.quarantine.entries())]
            unknown = self._index.garbage.unknown(dict.fromkeys(names))
            findings = list(Restoration(self._index, self._blobs, rebuilding=False).restore_all(unknown))
            self.orphans.reclaim()
            self.accept()
            return findings

    def accept(self) -> int:
        """Move all orphans into quarantine, whatever their number; return that."""
        with explained():
            moved = self.orphans.accept(list(self.orphans.names()))
            self.orphans.due = False
            return moved

    def empty_quarantine(self) -> int:
        """Remove all blobs in quarantine that the index does not know, of any age; return their number."""
        with explained():
            self.orphans.reclaim()
            entries = list(self._blobs.quarantine.entries())
            for entry in entries:
                self._blobs.quarantine.remove(entry)
            self._blobs.quarantine.tidy()
            return len(entries)

    def contradictions(self) -> list[Finding]:
        """Return the inconsistencies within the index; blobs are not read."""
        with self._index.reading() as connection:
            return list(contradictions(connection))

    def _is_sound(self) -> bool:
        return not self.contradictions()
