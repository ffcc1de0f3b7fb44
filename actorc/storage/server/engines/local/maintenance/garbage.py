"""The garbage collector: expires objects, removes unreferenced blobs, and quarantines orphans."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from threading import Event, Lock, Thread

from actorc.storage.errors import StorageError
from actorc.storage.server.engines.local.disk.blobs import Blobs
from actorc.storage.server.engines.local.disk.errors import Health, explained
from actorc.storage.server.engines.local.index.index import Index

from .lock import Leadership
from .orphans import Orphans

_log = logging.getLogger(__name__)

_ORPHANS_EVERY = 3600.0
"""Seconds between searches for blobs that killed processes left behind."""


class Sweeper:
    """Removes garbage and expired objects, and moves orphans into quarantine. Any thread may call it.

    Args:
        index: The index.
        blobs: The blobs.
        health: Nothing is removed once it is lost.
        leadership: Its holder sweeps periodically; other processes sweep only when woken.
        orphans: Finds blobs that the index does not know.
        is_sound: Returns whether the index is consistent; called before the quarantine is emptied.
        quarantine_days: Least days that a blob stays in quarantine.
    """

    def __init__(
        self,
        index: Index,
        blobs: Blobs,
        health: Health,
        leadership: Leadership,
        orphans: Orphans,
        *,
        is_sound: Callable[[], bool],
        quarantine_days: float,
    ) -> None:
        self._index = index
        self._blobs = blobs
        self._health = health
        self._leadership = leadership
        self._orphans = orphans
        self._is_sound = is_sound
        self._quarantine_days = quarantine_days
        self._orphans_due = 0.0
        self._one_at_a_time = Lock()  # the thread and callers of `sweep` would else remove the same rows
        self._stopping = Event()
        self._wake = Event()
        self._thread: Thread | None = None

    def start(self, interval: float) -> None:
        """Start a thread that sweeps every `interval` seconds and when woken, and searches orphans each hour."""
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
        """Expire objects and remove garbage; orphans are left to `sweep_orphans`."""
        with self._one_at_a_time, explained():
            while not self._idle() and self._index.expire():
                pass
            after = ("", "")
            while not self._idle() and (rows := self._index.garbage(after)):
                self._remove(rows)
                after = rows[-1]

    def sweep_orphans(self) -> None:
        """Move orphans into quarantine, and remove blobs that have been there for long enough.

        Raises:
            StorageError: There are more orphans than a crash explains; nothing was moved or removed.
        """
        with self._one_at_a_time, explained():
            self._orphans.put_away(self._idle)
            self._blobs.clear_staging()
            self._empty_quarantine()
            self._blobs.quarantine.tidy()

    def _empty_quarantine(self) -> None:
        due = list(self._blobs.quarantine.due(self._quarantine_days))
        if not due or self._idle():
            return
        if not self._is_sound():
            raise StorageError("the index contradicts itself, so the quarantine stays; look at it with fsck")
        for entry in due:
            if self._idle():
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
            self._index.forget_garbage(gone)

    def _idle(self) -> bool:
        return self._stopping.is_set() or not self._health.good

    def _run(self, interval: float) -> None:
        woken = False
        while not self._stopping.is_set():
            self._guarded(woken=woken)
            woken = self._wake.wait(interval)
            self._wake.clear()

    def _round(self, *, woken: bool) -> None:
        leads = self._leadership.held()
        if leads and time.monotonic() >= self._orphans_due:
            self._orphans_due = time.monotonic() + _ORPHANS_EVERY
            self.sweep_orphans()
        if leads or woken:
            self.sweep()

    def _guarded(self, *, woken: bool) -> None:
        try:
            self._round(woken=woken)
        except Exception:  # noqa: BLE001 (the thread must outlive a full disk)
            _log.exception("sweeping failed; it is tried again later")
