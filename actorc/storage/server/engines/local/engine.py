"""The durable engine: immutable files beside a SQLite index, on one machine."""

# ruff: noqa: D102 (the methods are documented in base.py)

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path

from actorc.storage.errors import IntegrityError, ResourceExhaustedError, StorageError
from actorc.storage.models import (
    ANY,
    WHOLE,
    BucketInfo,
    ByteRange,
    Condition,
    DeleteResult,
    ListQuery,
    ObjectAttributes,
    ObjectInfo,
    ObjectPage,
    PartInfo,
    UploadPage,
)
from actorc.storage.rules import MiB
from actorc.storage.server.engines.base import (
    CAPABILITIES,
    CopySource,
    Engine,
    ObjectReader,
    ObjectWriter,
    PartChoice,
    PartWriter,
)
from actorc.storage.server.engines.preconditions import UPLOAD_TTL, Clock

from .completion import LocalCompletion
from .data_dir import DataDirectory
from .disk.blobs import Blobs
from .disk.errors import Health, explained
from .disk.fsops import FsOps
from .disk.held_blobs import HeldBlobs
from .disk.quarantine import DAYS, Quarantine
from .index.index import Index
from .index.retention import Retention
from .maintenance.fsck import contradictions, fsck
from .maintenance.fsck_index import Finding
from .maintenance.garbage import GarbageCollector
from .maintenance.lock import MaintenanceLock
from .maintenance.orphans import Orphans
from .maintenance.restoration import Restoration
from .maintenance.scrub import Progress, Scrubber
from .readers_writers import INLINE_MAX, LocalObjectWriter, LocalPartWriter, LocalReader
from .rows import Segment

_log = logging.getLogger(__name__)

_DEFAULT = Retention()
_MIN_SPARE = MiB
_READY = MiB
"""Bytes of room below which the engine reports itself full, although smaller objects may still fit."""


class LocalEngine(Engine):
    """An engine over a directory, which it locks alone or with other processes of its group. Any thread may call it.

    Args:
        path: The data directory; made if it does not exist.
        fsops: The disk.
        clock: Seconds since 1970-01-01 UTC.
        retention: Limits of replaced generations that stay readable.
        upload_ttl: Seconds that a multipart upload stays after its beginning or its last part.
        scrub_days: Days of one pass of the scrubber, which reads and verifies everything; 0: never.
        quarantine_days: Least days that blobs unknown to the index are kept.
        group: Descriptor that `share` returned in a parent process; owned by the engine from now on.
        sweep_interval: Seconds between sweeps in a thread of the engine; None: only by `sweep`.
        repairing: Whether to open it with any number of orphans, or with an older copy of the index, for `fsck` and
            repairs.

    Raises:
        StorageError: The directory is in use, holds something else, or cannot be written.
    """

    name = "local"
    durable = True
    capabilities = frozenset(CAPABILITIES)

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        fsops: FsOps | None = None,
        clock: Clock = time.time,
        retention: Retention = _DEFAULT,
        upload_ttl: float = UPLOAD_TTL,
        scrub_days: float = 0.0,
        quarantine_days: float = DAYS,
        group: int | None = None,
        sweep_interval: float | None = 60.0,
        repairing: bool = False,
    ) -> None:
        self._fsops = fsops or FsOps()
        self._health = Health()
        self._closed = False
        # undone in reverse order if a later step fails, or this process would keep the directory locked
        with explained(), ExitStack() as undo:
            self._directory = DataDirectory(Path(path), self._fsops, group)
            undo.callback(self._directory.close)
            quarantine = Quarantine(self._directory.root / "quarantine", self._fsops, clock)
            self._blobs = Blobs(self._directory.blobs, self._directory.staging, quarantine, self._fsops, self._health)
            self._index = Index(
                self._directory.database,
                self._directory.store_id,
                fsops=self._fsops,
                health=self._health,
                clock=clock,
                kept=retention,
                upload_ttl=upload_ttl,
                repairing=repairing,
            )
            undo.callback(self._index.close)
            self._directory.relabel()
            self._orphans = Orphans(self._index, self._blobs)
            # only by the process that locked the directory alone: others of a group may have blobs that are not
            # committed yet
            if group is None and (self._index.verified or self._orphans.due):
                self._quarantine_leftovers(repairing=repairing)
            undo.pop_all()
        self._start_maintenance(clock, scrub_days, quarantine_days, sweep_interval)

    def share(self) -> int:
        """Close the engine, but keep its directory locked.

        Every process that inherits the returned descriptor may open the directory with it. The directory is unlocked
        when all of them have ended or closed it. Upgrades and checks are done before this returns.
        """
        self._close_index()
        return self._directory.share()

    @property
    def healthy(self) -> bool:
        """Whether changes are accepted; False for good once a failed commit left the state on disk unknown."""
        return self._health.good

    @property
    def full(self) -> bool:
        """Whether the disk has no room for new objects at present; reads and deletes still succeed."""
        try:
            self._blobs.check_room(_READY)
        except OSError:
            return True
        return False

    def create_bucket(self, bucket: str, *, exist_ok: bool = False, idempotency_key: str = "") -> BucketInfo:
        return self._index.create_bucket(bucket, exist_ok=exist_ok, idempotency_key=idempotency_key)

    def delete_bucket(self, bucket: str, *, idempotency_key: str = "") -> None:
        self._index.delete_bucket(bucket, idempotency_key=idempotency_key)

    def head_bucket(self, bucket: str) -> BucketInfo:
        return self._index.head_bucket(bucket)

    def buckets(self) -> list[BucketInfo]:
        return self._index.buckets()

    def writer(self, bucket: str, key: str, *, declared_size: int | None = None) -> ObjectWriter:
        self._check_writable()
        self._index.head_bucket(bucket)
        return LocalObjectWriter(
            bucket, key, index=self._index, declared_size=declared_size, blobs=self._blobs, health=self._health
        )

    def head(self, bucket: str, key: str) -> ObjectInfo:
        return self._index.head(bucket, key)

    def read(
        self,
        bucket: str,
        key: str,
        *,
        generation: int | None = None,
        ahead: ByteRange = WHOLE,  # noqa: ARG002 - opening a file costs nothing
    ) -> ObjectReader:
        found = self._index.find(bucket, key, generation)
        # blobs of a replaced object may be removed between lookup and opening; a second lookup then finds others
        while (reader := self._open(*found)) is None:
            before, found = found, self._index.find(bucket, key, generation)
            if found == before:
                raise IntegrityError(
                    "the bytes of the object are missing on the disk of the server; write the object again", bucket, key
                )
        return reader

    def delete(self, bucket: str, key: str, condition: Condition = ANY, *, idempotency_key: str = "") -> bool:
        existed = self._index.delete(bucket, key, condition, idempotency_key=idempotency_key)
        if existed:
            self._collector.wake()
        return existed

    def delete_many(self, bucket: str, keys: Sequence[str], *, idempotency_key: str = "") -> list[DeleteResult]:
        results = self._index.delete_many(bucket, keys, idempotency_key=idempotency_key)
        self._collector.wake()
        return results

    def copy(
        self,
        source: CopySource,
        bucket: str,
        key: str,
        attributes: ObjectAttributes | None = None,
        condition: Condition = ANY,
        *,
        ttl: int | None = None,
        idempotency_key: str = "",
    ) -> ObjectInfo:
        return self._index.copy(source, bucket, key, attributes, condition, ttl=ttl, idempotency_key=idempotency_key)

    def create_upload(
        self,
        bucket: str,
        key: str,
        attributes: ObjectAttributes,
        condition: Condition = ANY,
        *,
        idempotency_key: str = "",
    ) -> str:
        return self._index.uploads.create(bucket, key, attributes, condition, idempotency_key=idempotency_key)

    def part_writer(
        self, bucket: str, key: str, upload_id: str, number: int, *, declared_size: int | None = None
    ) -> PartWriter:
        self._check_writable()
        self._index.uploads.check(bucket, key, upload_id)
        return LocalPartWriter(
            bucket,
            key,
            upload_id,
            number,
            index=self._index,
            declared_size=declared_size,
            blobs=self._blobs,
            health=self._health,
        )

    def complete_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Sequence[PartChoice],
        condition: Condition = ANY,
        *,
        idempotency_key: str = "",
    ) -> ObjectInfo:
        with LocalCompletion(bucket, key, index=self._index, blobs=self._blobs, health=self._health) as completion:
            return completion.commit(upload_id, parts, condition, idempotency_key=idempotency_key)

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        self._index.uploads.abort(bucket, key, upload_id)
        self._collector.wake()

    def list_parts(
        self, bucket: str, key: str, upload_id: str, *, after_number: int = 0, limit: int = 1000
    ) -> list[PartInfo]:
        return self._index.uploads.parts(bucket, key, upload_id, after_number=after_number, limit=limit)

    def list_uploads(
        self, bucket: str, *, prefix: str = "", after: tuple[str, str] | None = None, limit: int = 1000
    ) -> UploadPage:
        return self._index.uploads.page(bucket, prefix=prefix, after=after, limit=limit)

    def page(self, query: ListQuery) -> ObjectPage:
        return self._index.page(query)

    def sweep(self) -> None:
        """Remove garbage and expired objects now, and move orphans into quarantine.

        Raises:
            StorageError: There are more orphans than a crash explains; none was moved.
        """
        self._collector.sweep()
        self._collector.sweep_orphans()

    def fsck(self) -> list[Finding]:
        """Read every byte and return all damage and inconsistencies; run it while nothing is written."""
        with self._index.reading() as connection:
            return list(fsck(connection, self._blobs, self._directory.staging))

    def adopt(self) -> list[Finding]:
        """Restore objects from blobs that the index does not know; return the result for each of these blobs.

        Blobs that cannot be restored are moved into quarantine. Run it while nothing is written.
        """
        with explained():
            names = [*self._orphans.names(), *(entry.name for entry in self._blobs.quarantine.entries())]
            unknown = self._index.unknown(dict.fromkeys(names))
            findings = list(Restoration(self._index, self._blobs, rebuilding=False).restore_all(unknown))
            self._orphans.reclaim()
            self.accept()
            return findings

    def accept(self) -> int:
        """Move all orphans into quarantine, whatever their number; return that."""
        with explained():
            moved = self._orphans.accept(list(self._orphans.names()))
            self._orphans.due = False
            return moved

    def empty_quarantine(self) -> int:
        """Remove all blobs in quarantine that the index does not know, of any age; return their number."""
        with explained():
            self._orphans.reclaim()
            entries = list(self._blobs.quarantine.entries())
            for entry in entries:
                self._blobs.quarantine.remove(entry)
            self._blobs.quarantine.tidy()
            return len(entries)

    @property
    def damaged(self) -> int:
        """Number of times that the scrubber found damaged content."""
        return self._scrubber.progress().damaged

    def scrub(self) -> Progress:
        """Finish the current pass over everything stored now; return the progress of all passes."""
        with explained():
            for _ in self._scrubber.blocks():
                pass
            return self._scrubber.progress()

    def close(self) -> None:
        """Finish running changes, checkpoint the database, and unlock the directory."""
        if not self._closed:
            self._close_index()
            self._directory.close()

    def _start_maintenance(
        self, clock: Clock, scrub_days: float, quarantine_days: float, sweep_interval: float | None
    ) -> None:
        self._maintenance_lock = MaintenanceLock(self._directory.jobs, self._health)
        self._collector = GarbageCollector(
            self._index,
            self._blobs,
            self._health,
            self._maintenance_lock,
            self._orphans,
            is_sound=self._is_sound,
            quarantine_days=quarantine_days,
        )
        self._scrubber = Scrubber(
            self._index, self._blobs, self._fsops, self._maintenance_lock, clock=clock, days=scrub_days
        )
        if sweep_interval is not None:
            self._collector.start(sweep_interval)
        if scrub_days:
            self._scrubber.start()

    def _quarantine_leftovers(self, *, repairing: bool) -> None:
        try:
            # recorded first: if this engine is closed cleanly before the search, the next one must still search
            self._orphans.due = True
            if not repairing:
                self._orphans.move_to_quarantine()
                self._orphans.due = False
        except (OSError, ResourceExhaustedError) as error:
            # a full disk must not keep a server from starting; the sweeper tries again
            _log.warning("what a crash left behind stays where it is for now: %s", error)

    def _is_sound(self) -> bool:
        with self._index.reading() as connection:
            return not any(contradictions(connection))

    def _check_writable(self) -> None:
        """Raise if a commit would fail, before any bytes are taken."""
        self._health.check()
        with explained():
            try:
                self._blobs.check_room(INLINE_MAX)
            except OSError:
                # free pages of the index still take small objects and deletes
                if self._index.spare() < _MIN_SPARE:
                    raise

    def _close_index(self) -> None:
        self._closed = True
        # before the index is closed: both threads use it
        self._scrubber.stop()
        self._collector.stop()
        self._maintenance_lock.close()
        self._index.close()

    def _open(self, info: ObjectInfo, segments: Sequence[Segment]) -> LocalReader | None:
        """Return a reader, or None if a blob is missing: removed since the lookup, or lost."""
        try:
            with explained():
                held = HeldBlobs(self._blobs, [segment.file for segment in segments if segment.file is not None])
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        return LocalReader(info, segments, held)
