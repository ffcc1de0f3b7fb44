"""Blobs: immutable files under random names, and the directories that they are in."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from actorc.storage._wire.checksum import crc32c
from actorc.storage.files import file_locks
from actorc.storage.server.engines.blocks import block_length

from . import free_space
from .errors import may_pass
from .file_stamp import stamp_of
from .fsops import FsOps
from .health import Health
from .home import Home
from .quarantine import Quarantine, is_blob_name
from .trailer import Trailer, read_trailer

_log = logging.getLogger(__name__)

_LOCK_GRACE_SECONDS = 60.0  # seconds in which a new staging file may not be locked yet by its writer


class Blobs:
    """The files below ``blobs/``, each under a random name in a directory named by its first four digits.

    Any thread and process may use one directory at once: names are unique, and locks on the files tell which of them
    are in use.

    Args:
        root: Directory of the blobs.
        staging: Directory of blobs being written; on the same file system.
        quarantine: Blobs that the index does not know; on the same file system.
        fsops: The disk.
        health: Set read-only when a directory cannot be synced, since other objects have names in it.
        home: The data directory; nothing is published in or moved within another one that has its path. None: no
            server has it open.
    """

    def __init__(
        self, root: Path, staging: Path, quarantine: Quarantine, fsops: FsOps, health: Health, home: Home | None = None
    ) -> None:
        self.root = root
        self.quarantine = quarantine
        self.staging = staging
        self.fsops = fsops
        self._health = health
        self._home = home
        self._durable: set[Path] = set()  # directories whose own entries are known to be synced

    def check_home(self) -> None:
        """Check that the data directory is the one that was opened; else the engine becomes read-only.

        Raises:
            OSError: It was moved, or another one is in its place.
        """
        if self._home is not None:
            self._home.check(self._health)

    def check_room(self, size: int) -> None:
        """Check that there is room for `size` more bytes.

        Raises:
            OSError: There is none.
        """
        free_space.check_room(self.room(), size)

    def room(self) -> int:
        """Return the bytes of new data that there is room for."""
        return self.fsops.room(self.root)

    def path(self, name: str) -> Path:
        """Return the path of a blob."""
        return self.root / name[:2] / name[2:4] / name

    def open(self, name: str) -> int:
        """Open a blob for reading, and move it back from quarantine if it is there; the caller owns the descriptor."""
        try:
            return self.fsops.open(self.path(name))
        except FileNotFoundError:
            self.check_home()
            kept = self.quarantine.find(name)
            if kept is None:
                raise
        if not self._health.good:  # read-only: it is not moved back, and can be read where it is
            return self.fsops.open(kept)
        self.recover(name, kept)
        return self.fsops.open(self.path(name))

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Return `length` bytes from `offset` of an open blob; fewer only if it ends before."""
        return self.fsops.read(descriptor, length, offset)

    def read_anew(self, name: str, length: int, offset: int) -> bytes:
        """Read as `read` does, through a new descriptor."""
        descriptor = self.open(name)
        try:
            return self.read(descriptor, length, offset)
        finally:
            os.close(descriptor)

    def stamp(self, name: str) -> bytes:
        """Return the present stamp of a blob."""
        descriptor = self.open(name)
        try:
            return stamp_of(descriptor)
        finally:
            os.close(descriptor)

    def trailer(self, path: Path) -> Trailer | None:
        """Return the trailer of the blob at `path`; None if an earlier version wrote it without one.

        Raises:
            DamagedTrailerError: The trailer is damaged.
            OSError: It cannot be read.
        """
        descriptor = self.fsops.open(path)
        try:
            return read_trailer(self.fsops, descriptor)
        finally:
            os.close(descriptor)

    def sums(self, path: Path, size: int) -> tuple[tuple[int, ...], int]:
        """Return the checksums of the blocks in the first `size` bytes, and the number of bytes that exist."""
        descriptor = self.fsops.open(path)
        try:
            found: list[int] = []
            length = 0
            while length < size:
                expected = block_length(size, len(found))
                block = self.read(descriptor, expected, length)
                length += len(block)
                if block:
                    found.append(crc32c(block))
                if len(block) < expected:  # it ends too early
                    break
            return tuple(found), length
        finally:
            os.close(descriptor)

    def remove(self, guard: str, names: Sequence[str]) -> bool:
        """Remove `guard` and then the blobs that it guards; return False if a reader holds them."""
        with self._locked_exclusively(self.path(guard)) as free:
            # the guard first: a reader that cannot open it knows that the group is being removed
            for name in dict.fromkeys((guard, *names)) if free else ():
                self.fsops.unlink(self.path(name))
        return free

    def shards(self) -> list[Path]:
        """Return the directories of the first level, in order of name."""
        return sorted(path for path in self.root.iterdir() if path.is_dir())

    def names(self, shard: Path) -> Iterator[list[str]]:
        """Yield the names of the blobs in each directory of `shard`."""
        for folder in sorted(path for path in shard.iterdir() if path.is_dir()):
            yield [entry.name for entry in folder.iterdir() if self.is_ours(entry)]

    def move_to_quarantine(self, names: Sequence[str], is_wanted: Callable[[str], bool]) -> int:
        """Move blobs into quarantine, except those that are wanted, or that a process holds to commit or read them.

        Returns:
            The number of blobs moved, whose new names are synced.
        """
        self.check_home()
        sources, targets, moved = set(), set(), 0
        for name in names:
            source = self.path(name)
            with self._locked_exclusively(source) as free:
                if free and not is_wanted(name) and source.exists():
                    target = self.quarantine.place(name)
                    self.fsops.rename(source, target)
                    sources.add(source.parent)
                    targets.add(target.parent)
                    moved += 1
        # targets first: after a power cut between the two a blob has both names, and never none
        for folder in (*sorted(targets), *sorted(sources)):
            self.sync_directory(folder)
        return moved

    def recover(self, name: str, kept: Path) -> None:
        """Move a blob from quarantine to its place."""
        target = self._place(name)
        try:
            self.fsops.rename(kept, target)
        except FileNotFoundError:  # another process was faster
            return
        # the new name before the loss of the old one, as in `move_to_quarantine`
        self.sync_directory(target.parent)
        self.sync_directory(kept.parent)
        _log.warning("blob %s is needed and came back from quarantine", name)

    def clear_staging(self) -> None:
        """Remove staged files of killed processes."""
        for path in self.staging.iterdir():
            # its writer may rename or remove it between the listing and the lock
            with suppress(FileNotFoundError), self._locked_exclusively(path) as free:
                if free and path.stat().st_mtime < time.time() - _LOCK_GRACE_SECONDS:
                    self.fsops.unlink(path)

    def is_ours(self, path: Path) -> bool:
        """Return whether `path` is the place of a blob."""
        return is_blob_name(path.name) and path == self.path(path.name)

    def accept(self, staged: Path, name: str) -> Path:
        """Rename a synced file to its place and return that path; the directory is not synced yet."""
        target = self._place(name)
        # its content was synced before, so a name in place always leads to whole bytes
        self.fsops.rename(staged, target)
        return target

    def sync_directory(self, path: Path) -> None:
        """Sync the names in a directory; if that fails, the engine becomes read-only."""
        try:
            self.fsops.sync_directory(path)
        except OSError as error:
            if not may_pass(error):
                # after a failed fsync the kernel may have dropped the pages, so a later success would prove nothing
                self._health.lose(error)
            raise

    @contextmanager
    def _locked_exclusively(self, path: Path) -> Iterator[bool]:
        """Lock a file exclusively within the block; yield False if a reader or writer holds it."""
        try:
            descriptor = self.fsops.open(path)
        except FileNotFoundError:
            # removed meanwhile, so nothing can be using it
            yield True
            return
        try:
            yield file_locks.try_lock(descriptor)
        finally:
            os.close(descriptor)

    def _place(self, name: str) -> Path:
        """Return the path of a blob, in a directory that exists."""
        target = self.path(name)
        self._ensure(target.parent.parent)
        self._ensure(target.parent)
        return target

    def _ensure(self, folder: Path) -> None:
        if folder in self._durable:
            return
        self.fsops.make_directory(folder)
        # also if it existed: the process that made it may have been killed before its sync
        self.sync_directory(folder.parent)
        self._durable.add(folder)
