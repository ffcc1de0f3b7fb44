# ruff: noqa: S608 (all that is put into statements are names of our own columns)
"""What nobody needs any more, and whether all that is needed is there."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread

from actorc.storage._checksum import crc32c
from actorc.storage.rules import BLOCK_SIZE

from .blobs import Blobs
from .faults import Health, explained
from .fsops import FsOps
from .index import Index
from .rows import unpack_sums

_log = logging.getLogger(__name__)


class Sweeper:
    """Removes garbage, expired generations and outcomes, and blobs that a crash left without an owner.

    Args:
        index: What is needed.
        blobs: What is there.
        fsops: The disk.
        health: Nothing is removed once it is lost.
    """

    def __init__(self, index: Index, blobs: Blobs, fsops: FsOps, health: Health) -> None:
        self._index = index
        self._blobs = blobs
        self._fsops = fsops
        self._health = health
        self._one_at_a_time = Lock()
        self._stopping = Event()
        self._wake = Event()
        self._thread: Thread | None = None

    def start(self, interval: float) -> None:
        """Sweep in a thread, every `interval` seconds and when woken; look for orphans once."""
        self._thread = Thread(target=self._run, args=(interval,), name="storage-sweep", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Let the thread sweep soon."""
        self._wake.set()

    def stop(self) -> None:
        """Return when nothing is swept any more."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def sweep(self) -> None:
        """Remove everything that can be removed now, orphans aside."""
        with self._one_at_a_time, explained():
            while not self._idle() and self._index.expire():
                pass
            while not self._idle() and (names := self._index.garbage()):
                for name in names:
                    self._fsops.unlink(self._blobs.path(name))
                self._index.forget_garbage(names)

    def sweep_orphans(self) -> None:
        """Remove blobs that no object refers to: what a crash, or an upload that could not clean up, left behind."""
        with self._one_at_a_time, explained():
            for shard in self._blobs.shards():
                for names in self._blobs.settled(shard):
                    if self._idle():
                        return
                    for name in self._index.unknown(names):
                        self._fsops.unlink(self._blobs.path(name))

    def _idle(self) -> bool:
        return self._stopping.is_set() or not self._health.good

    def _run(self, interval: float) -> None:
        self._guarded(self.sweep_orphans)
        while not self._stopping.is_set():
            self._guarded(self.sweep)
            self._wake.wait(interval)
            self._wake.clear()

    def _guarded(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception:  # noqa: BLE001 (the thread must outlive a full disk)
            _log.exception("sweeping failed; it is tried again later")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something `fsck` found."""

    kind: str
    """``damaged``: bytes are lost. ``inconsistent``: the index contradicts itself. ``leftover``: space is wasted."""
    subject: str
    """The object, blob or file concerned."""
    detail: str


def fsck(connection: sqlite3.Connection, blobs: Blobs, staging: Path) -> Iterator[Finding]:
    """Yield everything that is not as it should be, reading every byte that is stored; nothing is changed.

    Run it while nothing is being written: a write under way looks like a leftover.
    """
    yield from _database(connection)
    yield from _references(connection)
    yield from _bytes(connection, blobs)
    yield from _leftovers(connection, blobs, staging)


def _database(connection: sqlite3.Connection) -> Iterator[Finding]:
    for (line,) in connection.execute("PRAGMA integrity_check").fetchall():
        if line != "ok":
            yield Finding("damaged", "meta.db", str(line))
    for table, row, *_ in connection.execute("PRAGMA foreign_key_check").fetchall():
        yield Finding("inconsistent", str(table), f"row {row} names a bucket that is not there")


def _references(connection: sqlite3.Connection) -> Iterator[Finding]:
    owners = "SELECT content_id, key FROM object UNION ALL SELECT content_id, key FROM retained"
    for content_id, key in connection.execute(
        f"SELECT content_id, key FROM ({owners}) WHERE content_id NOT IN (SELECT id FROM content)"
    ).fetchall():
        yield Finding("damaged", key.decode(), f"its content {content_id} is not there")
    for (content_id,) in connection.execute(
        f"SELECT id FROM content WHERE id NOT IN (SELECT content_id FROM ({owners}))"
    ).fetchall():
        yield Finding("leftover", f"content {content_id}", "no object refers to it")
    for content_id, count in connection.execute(
        f"SELECT content_id, count(*) FROM ({owners}) GROUP BY content_id HAVING count(*) > 1"
    ).fetchall():
        yield Finding("inconsistent", f"content {content_id}", f"{count} objects own it")
    charged, counted = connection.execute(
        "SELECT (SELECT coalesce(sum(charge), 0) FROM retained), (SELECT value FROM meta WHERE name = 'retained_bytes')"
    ).fetchone()
    if charged != counted:
        yield Finding("inconsistent", "retained", f"{counted} bytes are accounted for, {charged} are there")


def _bytes(connection: sqlite3.Connection, blobs: Blobs) -> Iterator[Finding]:
    owned = (
        "SELECT key, size, file, sums, data FROM (SELECT key, size, content_id FROM object"
        " UNION ALL SELECT key, size, content_id FROM retained) JOIN content ON content.id = content_id"
    )
    for key, size, file, sums, data in connection.execute(owned):
        try:
            found, length = _sums_of_bytes(data) if file is None else _sums_of_file(blobs.path(file))
        except OSError as error:
            yield Finding("damaged", key.decode(), f"blob {file} cannot be read: {error}")
            continue
        if length != size:
            yield Finding("damaged", key.decode(), f"{length} bytes are stored instead of {size}")
        elif found != unpack_sums(sums):
            yield Finding("damaged", key.decode(), "the bytes do not match their checksums")


def _leftovers(connection: sqlite3.Connection, blobs: Blobs, staging: Path) -> Iterator[Finding]:
    for path in staging.iterdir():
        yield Finding("leftover", path.name, "a staging file of no upload")
    for (file,) in connection.execute("SELECT file FROM garbage").fetchall():
        yield Finding("leftover", file, "a blob waits to be removed")
    wanted = "SELECT 1 FROM content WHERE file = :name UNION ALL SELECT 1 FROM garbage WHERE file = :name"
    for path in sorted(blobs.root.rglob("*")):
        if path.is_dir():
            continue
        if not blobs.is_ours(path):
            yield Finding("leftover", path.name, "a file that is no blob")
        elif not connection.execute(wanted, {"name": path.name}).fetchone():
            yield Finding("leftover", path.name, "a blob that no object refers to")


def _sums_of_bytes(data: bytes) -> tuple[tuple[int, ...], int]:
    return ((crc32c(data),) if data else ()), len(data)


def _sums_of_file(path: Path) -> tuple[tuple[int, ...], int]:
    sums, length = [], 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_SIZE):
            sums.append(crc32c(block))
            length += len(block)
    return tuple(sums), length
