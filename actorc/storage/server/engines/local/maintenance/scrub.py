"""The scrubber: slowly reads and verifies everything stored, to find damage before a client reads it."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from threading import Event, Thread

from actorc.storage._wire.checksum import crc32c
from actorc.storage.rules import BLOCK_SIZE, MiB
from actorc.storage.server.engines.blocks import block_length
from actorc.storage.server.engines.local.disk.blobs import Blobs
from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.index import content_refs
from actorc.storage.server.engines.local.index.index import Index
from actorc.storage.server.engines.local.rows import Segment, unpack_sums
from actorc.storage.server.engines.times import Clock, microseconds

from .election import MaintenanceLock

_log = logging.getLogger(__name__)

_DAY = 24 * 60 * 60
_INDEX_SECONDS = _DAY
"""Seconds between two verifications of the index; one takes a quarter of a second for 100 000 rows."""
_SAVE_EVERY_BYTES = 64 * MiB
_RETRY_SECONDS = 60.0
"""Seconds until the next check of the maintenance lock, or the next attempt after an error."""
_MAX_PAUSE_SECONDS = 3600.0

_NEXT = """
SELECT id, size, sums, file, data, stamp FROM content
WHERE id >= ? AND (file IS NOT NULL OR data IS NOT NULL) ORDER BY id LIMIT 1
"""
_OWNER = """
SELECT bucket.name, key FROM object JOIN bucket ON bucket.id = bucket_id
WHERE content_id IN (SELECT :id UNION ALL SELECT content_id FROM segment WHERE leaf_id = :id) LIMIT 1
"""


@dataclass(slots=True, kw_only=True)
class Progress:
    """Progress of the scrubber; stored in the index, so that it resumes after a restart."""

    began_us: int = 0
    """Beginning of the current or last pass, in microseconds since 1970-01-01 UTC."""
    content: int = 0
    """Id of the next content; older content has a lower one. 0: no pass is running."""
    block: int = 0
    """Index of its next block."""
    passes: int = 0
    """Number of completed passes."""
    damaged: int = 0
    """Number of times that content or a part of the index was found damaged, over all passes."""


class Scrubber:
    """Verifies the index once a day, and blocks, those not verified for longest first.

    It logs damage and never removes anything.

    One thread verifies; any thread may ask for `progress`.

    Args:
        index: The index.
        blobs: The blobs.
        fsops: The disk.
        maintenance_lock: The maintenance lock; only its holder scrubs.
        clock: Seconds since 1970-01-01 UTC.
        days: Days of one pass.
    """

    def __init__(
        self, index: Index, blobs: Blobs, fsops: FsOps, maintenance_lock: MaintenanceLock, *, clock: Clock, days: float
    ) -> None:
        self._index = index
        self._blobs = blobs
        self._fsops = fsops
        self._maintenance_lock = maintenance_lock
        self._clock = clock
        self._seconds = days * _DAY
        # the start has verified it, or found it as a stop had that did
        self._verified = clock()
        self._stopping = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start a thread that reads at the rate of one pass in `days`."""
        # daemon, so that a process that never closes the engine can exit
        self._thread = Thread(target=self._run, name="storage-scrub", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; return when it has ended and stored its progress."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def progress(self) -> Progress:
        """Return the progress."""
        with self._index.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE name = 'scrub'").fetchone()
        return Progress(**json.loads(row[0])) if row else Progress()

    def blocks(self) -> Generator[int, None, None]:
        """Verify the rest of a pass, and the index at its beginning and once a day; yield the size of each block."""
        progress, unsaved = self.progress(), 0
        if not progress.content:
            progress.began_us = microseconds(self._clock)
            self._verify_index(progress)
        try:
            while found := self._next(progress.content):
                if self._is_index_due():
                    self._verify_index(progress)
                content, segment = found
                if content != progress.content:
                    progress.content, progress.block = content, 0
                for size in self._segment(progress, segment):
                    unsaved += size
                    if unsaved >= _SAVE_EVERY_BYTES:
                        self._save(progress)
                        unsaved = 0
                    yield size
                progress.content, progress.block = content + 1, 0
            progress.content, progress.block, progress.passes = 0, 0, progress.passes + 1
        finally:
            self._save(progress)

    def verify_index(self) -> None:
        """Verify the index alone, between two passes."""
        progress = self.progress()
        self._verify_index(progress)
        self._save(progress)

    def _is_index_due(self) -> bool:
        # a clock that was set back must not put it off by as much
        return not 0 <= self._clock() - self._verified < _INDEX_SECONDS

    def _verify_index(self, progress: Progress) -> None:
        self._verified = self._clock()
        for damage in self._index.damages():
            progress.damaged += 1
            _log.error(
                "the index is damaged on the disk, %s: %s; objects may seem to be missing until the server is stopped "
                "and 'lucas-storage fsck' repairs its data directory",
                ascii(damage.subject),
                damage.detail,
            )

    def _segment(self, progress: Progress, segment: Segment) -> Iterator[int]:
        # a stamp covers what is read from now on, so not the blocks that were read before a restart
        stamp = self._stamp(segment) if progress.block == 0 else None
        while progress.block < len(segment.sums):
            if not self._is_good(segment, progress.block):
                if self._still_exists(progress.content, segment):
                    self._report_damage(progress, segment)
                return
            size = block_length(segment.size, progress.block)
            progress.block += 1
            yield size
        if stamp is not None and stamp != segment.stamp and stamp == self._stamp(segment):
            self._restamp(progress.content, segment, stamp)

    def _stamp(self, segment: Segment) -> bytes | None:
        try:
            return self._blobs.stamp(segment.file) if segment.file and segment.size else None
        except OSError:
            return None

    def _restamp(self, content: int, segment: Segment, stamp: bytes) -> None:
        file = segment.file or ""
        self._index.run(lambda connection: content_refs.restamp(connection, content, file, stamp))

    def _is_good(self, segment: Segment, block: int) -> bool:
        length = block_length(segment.size, block)
        # twice: an error on the way from the disk may not come again, damage does
        for _ in range(2):
            data = segment.data if segment.file is None else self._read(segment.file, length, block)
            if data is not None and len(data) == length and crc32c(data) == segment.sums[block]:
                return True
        return False

    def _read(self, file: str, length: int, block: int) -> bytes | None:
        try:
            return self._blobs.read_anew(file, length, block * BLOCK_SIZE)
        except OSError:  # a damaged disk may fail to read at all
            return None

    def _report_damage(self, progress: Progress, segment: Segment) -> None:
        with self._index.reading() as connection:
            owner = connection.execute(_OWNER, {"id": progress.content}).fetchone()
        bucket, key = (owner[0], owner[1].decode()) if owner else ("", "")
        progress.damaged += 1
        _log.error(
            "block %d is damaged on the disk, bucket=%s key=%s blob=%s; write the object again",
            progress.block,
            ascii(bucket),
            ascii(key),
            segment.file,
        )

    def _next(self, content: int) -> tuple[int, Segment] | None:
        with self._index.reading() as connection:
            row = connection.execute(_NEXT, (content,)).fetchone()
        if row is None:
            return None
        number, size, sums, file, data, stamp = row
        return number, Segment(size=size, sums=unpack_sums(sums), file=file, data=data, stamp=stamp)

    def _still_exists(self, content: int, segment: Segment) -> bool:
        """Return whether the content still exists, and was not removed since the lookup."""
        found = self._next(content)
        return found is not None and found[0] == content and found[1].file == segment.file

    def _save(self, progress: Progress) -> None:
        # another process may have taken over, and its progress must not be overwritten
        if not self._maintenance_lock.held():
            return
        packed = json.dumps(asdict(progress))

        def change(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('scrub', ?)", (packed,))

        self._index.run(change)

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            pause = self._try_pass()

    def _try_pass(self) -> float:
        try:
            return self._pass() if self._maintenance_lock.held() else _RETRY_SECONDS
        except Exception:  # noqa: BLE001 (the thread must outlive a full disk)
            _log.exception("verifying what is stored failed; it is tried again later")
            return _RETRY_SECONDS

    def _pass(self) -> float:
        """Read the rest of a pass if one is due; return the seconds until the next call."""
        progress = self.progress()
        passed = self._clock() - progress.began_us / 1e6
        # one that began in the future is of a clock that was set back since
        if not progress.content and 0 <= passed < self._seconds:
            if self._is_index_due():
                self.verify_index()
            return min(self._seconds - passed, _MAX_PAUSE_SECONDS)
        owed = 0
        with closing(self.blocks()) as blocks:
            for size in blocks:
                owed += size
                if owed >= MiB:
                    if self._stopping.wait(owed / self._rate()) or not self._maintenance_lock.held():
                        break
                    owed = 0
        return _RETRY_SECONDS

    def _rate(self) -> float:
        """Return bytes a second: the used space of the file system over the days, which a pass then does not exceed."""
        return max(self._fsops.used(self._blobs.root), 1) / self._seconds
