"""Quarantine: blobs unknown to the index are kept for some days, in case the index has lost rows."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from actorc.storage.server.engines.times import Clock

from .fsops import FsOps

_NAME = re.compile(r"[0-9a-f]{32}")

DAYS = 7.0
"""Default days that a blob stays; as long as an abandoned upload."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A blob in quarantine."""

    name: str
    path: Path
    since: date
    """The day it was moved there, UTC."""


class Quarantine:
    """The files below ``quarantine/``, each in a directory named by the day it came, such as ``2026-03-01``.

    The day is in the name of a directory, since a rename keeps the times of a file and copies may lose them.

    Args:
        root: The directory; made with the first blob.
        fsops: The disk.
        clock: Seconds since 1970-01-01 UTC.
    """

    def __init__(self, root: Path, fsops: FsOps, clock: Clock = time.time) -> None:
        self._root = root
        self._fsops = fsops
        self._clock = clock

    def place(self, name: str) -> Path:
        """Return the path for a blob that is moved here now; its directory is made and synced."""
        day = self._root / f"{self._now():%Y-%m-%d}"
        for folder in (self._root, day):
            if not folder.is_dir():
                self._fsops.make_directory(folder)
                self._fsops.sync_directory(folder.parent)
        return day / name

    def find(self, name: str) -> Path | None:
        """Return the path of the blob, or None if it is not in quarantine."""
        found = (day / name for _, day in self._days())
        return next((path for path in found if path.exists()), None)

    def entries(self) -> Iterator[Quarantined]:
        """Yield the blobs in quarantine, the oldest first."""
        for since, day in self._days():
            # files with other names were put there by people, and are left alone
            paths = sorted(path for path in day.iterdir() if is_blob_name(path.name) and path.is_file())
            yield from (Quarantined(path.name, path, since) for path in paths)

    def due(self, days: float) -> Iterator[Quarantined]:
        """Yield the blobs that have been here for `days` full days."""
        now = self._now()
        for entry in self.entries():
            end = datetime.combine(entry.since, datetime.min.time(), UTC) + timedelta(days=1)
            if end + timedelta(days=days) <= now:
                yield entry

    def remove(self, entry: Quarantined) -> None:
        """Remove a blob for good."""
        self._fsops.unlink(entry.path)

    def tidy(self) -> None:
        """Remove empty directories, except today's, into which another process may be moving a blob."""
        today = self._now().date()
        for since, day in self._days():
            if since != today and not any(day.iterdir()):
                self._fsops.remove_directory(day)

    def _days(self) -> list[tuple[date, Path]]:
        try:
            found = sorted(self._root.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            # nothing was ever quarantined
            return []
        return [(since, path) for path in found if (since := _day(path.name)) is not None and path.is_dir()]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def is_blob_name(name: str) -> bool:
    """Return whether a file of this name may be a blob."""
    return bool(_NAME.fullmatch(name))


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(name)
    except ValueError:
        return None
