"""Blobs that the index does not know: kept for a while, since it may be the index that has lost something."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from actorc.storage.server.engines.preconditions import Clock

from .fsops import FsOps

_NAME = re.compile(r"[0-9a-f]{32}")

DAYS = 7.0
"""How long a blob stays unless told otherwise; as long as an upload that nobody goes on with."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A blob in quarantine."""

    name: str
    path: Path
    since: date
    """The day it was put there, UTC."""


class Quarantine:
    """The files below ``quarantine/``, each in a directory named by the day it was put there, such as ``2026-03-01``.

    The day is in the name of a directory, since a rename keeps the times of a file and copies may lose them.

    Args:
        root: Where they are; made when the first one comes.
        fsops: The disk.
        clock: Tells the time.
    """

    def __init__(self, root: Path, fsops: FsOps, clock: Clock = time.time) -> None:
        self._root = root
        self._fsops = fsops
        self._clock = clock

    def place(self, name: str) -> Path:
        """Return where a blob that comes now belongs; its directory is on the medium."""
        day = self._root / f"{self._now():%Y-%m-%d}"
        for folder in (self._root, day):
            if not folder.is_dir():
                self._fsops.make_directory(folder)
                self._fsops.sync_directory(folder.parent)
        return day / name

    def find(self, name: str) -> Path | None:
        """Return where the blob of this name is; None if it is not here."""
        found = (day / name for _, day in self._days())
        return next((path for path in found if path.exists()), None)

    def entries(self) -> Iterator[Quarantined]:
        """Yield what is there, that which came first first."""
        for since, day in self._days():
            # what somebody else put there is no blob, and is left alone
            paths = sorted(path for path in day.iterdir() if is_blob_name(path.name) and path.is_file())
            yield from (Quarantined(path.name, path, since) for path in paths)

    def due(self, days: float) -> Iterator[Quarantined]:
        """Yield what came more than so many days ago, the whole of its day counted."""
        now = self._now()
        for entry in self.entries():
            end = datetime.combine(entry.since, datetime.min.time(), UTC) + timedelta(days=1)
            if end + timedelta(days=days) <= now:
                yield entry

    def remove(self, entry: Quarantined) -> None:
        """Remove a blob for good."""
        self._fsops.unlink(entry.path)

    def tidy(self) -> None:
        """Remove the directories of days of which nothing is left, except today's: blobs may be on their way there."""
        today = self._now().date()
        for since, day in self._days():
            if since != today and not any(day.iterdir()):
                self._fsops.remove_directory(day)

    def _days(self) -> list[tuple[date, Path]]:
        try:
            found = sorted(self._root.iterdir())
        except (FileNotFoundError, NotADirectoryError):
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
