"""The garbage collector: expires objects, removes unreferenced blobs, and quarantines orphans."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from threading import Event, Lock, Thread

from actorc.storage.errors import StorageError
from actorc.storage.server.engines.local.disk import removal_pause
from actorc.storage.server.engines.local.disk.blobs import Blobs
from actorc.storage.server.engines.local.disk.errors import explained
from actorc.storage.server.engines.local.disk.health import Health
from actorc.storage.server.engines.local.index.index import Index

from .election import MaintenanceLock
from .orphans import Orphans

_log = logging.getLogger(__name__)

_ORPHAN_SEARCH_SECONDS = 3600.0
"""Seconds between searches for blobs that killed processes left behind."""


class GarbageCollector:
    """Removes garbage and expired objects, and moves orphans into quarantine. Any thread may call it.

    Args:
        index: The index.
        blobs: The blobs.
        health: Nothing is removed once it is lost.
        maintenance_lock: Its holder sweeps periodically; other processes sweep only when woken.
        orphans: Finds blobs that the index does not know.
        pause: The lock file by which a backup keeps garbage from being removed.
        is_sound: Returns whether the index is consistent; called before the quarantine is emptied.
        quarantine_days: Least days that a blob stays in quarantine.
    """

    def __init__(
        self,
        index: Index,
        blobs: Blobs,
        health: Health,
        maintenance_lock: MaintenanceLock,
        orphans: Orphans,
        *,
        pause: Path,
        is_sound: Callable[[], bool],
        quarantine_days: float,
    ) -> None:
        self._index = index
        self._blobs = blobs
        self._health = health
        self._maintenance_lock = maintenance_lock
        self._orphans = orphans
        self._pause = pause
        self._is_sound = is_sound
        self._quarantine_days = quarantine_days
        self._orphans_due = 0.0
        self._collecting = Lock()  # the thread and callers of `sweep` would else remove the same rows
        self._stopping = Event()
        self._wake = Event()
        self._thread: Thread | None = None

    def start(self, interval: float) -> None:
        """Start a thread that sweeps every `interval` seconds and when woken, and searches orphans each hour."""
        # daemon, so that a process that never closes the engine can exit
        self._thread = Thread(target=self._run, args=(interval,), name="storage-sweep", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Make the thread sweep soon."""
        self._wake.set()

    def stop(self) -> None:
        """Stop the thread, and return when it has ended."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def sweep(self) -> None:
        """Expire objects and remove garbage, unless a backup needs it; orphans are left to `sweep_orphans`."""
        with self._collecting, explained():
            # in batches of short transactions, so that writers are not kept waiting
            while not self._must_stop() and self._index.expire():
                pass
            after = ("", "")
            while not self._must_stop() and (rows := self._index.garbage.page(after)):
                # after the rows were read: what is garbage by now is not content in the snapshot of a later backup
                with removal_pause.removing(self._pause) as allowed:
                    if not allowed:
                        return
                    self._remove(rows)
                after = rows[-1]

    def sweep_orphans(self) -> None:
        """Move orphans into quarantine, and remove blobs that have been there for long enough.

        Raises:
            StorageError: There are more orphans than a crash explains; nothing was moved or removed.
        """
        with self._collecting, explained():
            self._orphans.move_to_quarantine(self._must_stop)
            self._blobs.clear_staging()
            self._empty_quarantine()
            self._blobs.quarantine.tidy()

    def _empty_quarantine(self) -> None:
        due = list(self._blobs.quarantine.due(self._quarantine_days))
        if not due or self._must_stop():
            return
        if not self._is_sound():
            raise StorageError("the index contradicts itself, so the quarantine stays; look at it with fsck")
        for entry in due:
            if self._must_stop():
                return
            # an index that was restored since may refer to it
            if self._orphans.is_known(entry.name) and not self._blobs.path(entry.name).exists():
                self._blobs.recover(entry.name, entry.path)
            else:
                self._blobs.quarantine.remove(entry)

    def _remove(self, rows: Sequence[tuple[str, str]]) -> None:
        gone: list[str] = []
        for guard, group in groupby(rows, key=itemgetter(0)):
            names = [name for _, name in group]
            if self._blobs.remove(guard, names):
                gone += names
        # after the files: a crash in between leaves rows of missing files, which the next sweep removes
        if gone:
            self._index.garbage.forget(gone)

    def _must_stop(self) -> bool:
        return self._stopping.is_set() or not self._health.good

    def _run(self, interval: float) -> None:
        woken = False
        while not self._stopping.is_set():
            self._try_collect(woken=woken)
            woken = self._wake.wait(interval)
            self._wake.clear()

    def _collect(self, *, woken: bool) -> None:
        leads = self._maintenance_lock.held()
        if leads and time.monotonic() >= self._orphans_due:
            self._orphans_due = time.monotonic() + _ORPHAN_SEARCH_SECONDS
            self.sweep_orphans()
        if leads or woken:
            self.sweep()

    def _try_collect(self, *, woken: bool) -> None:
        try:
            self._collect(woken=woken)
        except Exception:  # noqa: BLE001 (the thread must outlive a full disk)
            _log.exception("sweeping failed; it is tried again later")
