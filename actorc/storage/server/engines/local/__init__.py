# ruff: noqa: D102 (what the methods promise is said in base.py)
"""The durable engine: immutable files beside a SQLite index, on one machine."""

from __future__ import annotations

import time
from contextlib import ExitStack
from os import PathLike
from pathlib import Path

from actorc.storage.errors import IntegrityError, StorageError
from actorc.storage.models import ANY, BucketInfo, Condition, ListQuery, ObjectInfo, ObjectPage
from actorc.storage.server.engines.base import Engine, ObjectReader, Writer
from actorc.storage.server.engines.verdicts import Clock

from .blobs import Blobs
from .directory import DataDirectory
from .faults import Health, explained
from .fsops import FsOps
from .index import Index
from .objects import INLINE_MAX, LocalReader, LocalWriter
from .retention import Retention
from .rows import Content
from .sweep import Finding, Sweeper, fsck

__all__ = ["INLINE_MAX", "Finding", "FsOps", "LocalEngine", "Retention"]

_DEFAULT = Retention()


class LocalEngine(Engine):
    """An engine over a directory, which it holds alone.

    Args:
        path: The data directory; made if it does not exist.
        fsops: The disk.
        clock: Tells the time.
        retention: Which replaced generations stay readable.
        sweep_interval: Seconds between sweeps in a thread of the engine's own; None sweeps only when asked to.

    Raises:
        StorageError: The directory is in use, holds something else, or cannot be written.
    """

    name = "local"
    durable = True
    capabilities = frozenset({"retention"})

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        fsops: FsOps | None = None,
        clock: Clock = time.time,
        retention: Retention = _DEFAULT,
        sweep_interval: float | None = 60.0,
    ) -> None:
        self._fsops = fsops or FsOps()
        self._health = Health()
        self._closed = False
        with explained(), ExitStack() as undo:
            self._directory = DataDirectory(Path(path), self._fsops)
            undo.callback(self._directory.close)
            self._blobs = Blobs(self._directory.blobs, self._directory.staging, self._fsops, self._health)
            self._index = Index(
                self._directory.database,
                self._directory.store_id,
                fsops=self._fsops,
                health=self._health,
                clock=clock,
                kept=retention,
            )
            undo.pop_all()
        self._sweeper = Sweeper(self._index, self._blobs, self._fsops, self._health)
        if sweep_interval is not None:
            self._sweeper.start(sweep_interval)

    @property
    def healthy(self) -> bool:
        """Whether changes are accepted; False for good once a failed commit left the state on disk unknown."""
        return self._health.good

    def create_bucket(self, bucket: str, *, exist_ok: bool = False, idempotency_key: str = "") -> BucketInfo:
        return self._index.create_bucket(bucket, exist_ok=exist_ok, idempotency_key=idempotency_key)

    def delete_bucket(self, bucket: str, *, idempotency_key: str = "") -> None:
        self._index.delete_bucket(bucket, idempotency_key=idempotency_key)

    def head_bucket(self, bucket: str) -> BucketInfo:
        return self._index.head_bucket(bucket)

    def buckets(self) -> list[BucketInfo]:
        return self._index.buckets()

    def writer(self, bucket: str, key: str, *, declared_size: int | None = None) -> Writer:
        self._health.check()
        self._index.head_bucket(bucket)
        return LocalWriter(
            bucket, key, declared_size=declared_size, index=self._index, blobs=self._blobs, health=self._health
        )

    def head(self, bucket: str, key: str) -> ObjectInfo:
        return self._index.head(bucket, key)

    def read(self, bucket: str, key: str, *, generation: int | None = None) -> ObjectReader:
        found = self._index.find(bucket, key, generation)
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
            self._sweeper.wake()
        return existed

    def page(self, query: ListQuery) -> ObjectPage:
        return self._index.page(query)

    def sweep(self) -> None:
        """Remove now what would be removed sooner or later: garbage, what has expired, and orphaned blobs."""
        self._sweeper.sweep()
        self._sweeper.sweep_orphans()

    def fsck(self) -> list[Finding]:
        """Return everything that is not as it should be, having read every byte; run it while nothing is written."""
        with self._index.reading() as connection:
            return list(fsck(connection, self._blobs, self._directory.staging))

    def close(self) -> None:
        """Finish running changes, leave everything in the database file itself, and let go of the directory."""
        if self._closed:
            return
        self._closed = True
        self._sweeper.stop()
        self._index.close()
        self._directory.close()

    def _open(self, info: ObjectInfo, content: Content) -> LocalReader | None:
        """Return a reader, or None if the blob is not there: removed since it was looked up, or lost."""
        try:
            with explained():
                descriptor = None if content.file is None else self._fsops.open(self._blobs.path(content.file))
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        return LocalReader(info, content, descriptor, self._blobs, self._fsops)
