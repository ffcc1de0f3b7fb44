"""Every call that changes the disk, and those that read a blob, in one object.

The engine touches its files through this alone, so a test can record the calls, stop at the n-th, make one fail, or
lose what was never synced. SQLite does its own file calls; the two moments at which it makes something durable,
commit and checkpoint, pass through here as well.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Final

from actorc.storage.rules import MiB

_KEPT_FREE: Final = 64 * MiB  # more than the log of the index grows until it is carried over


class FsOps:
    """The real disk."""

    def create(self, path: Path) -> int:
        """Make a file that must not exist yet, never to be opened for writing again; return its descriptor."""
        return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o400)

    def allocate(self, descriptor: int, size: int) -> None:
        """Reserve `size` bytes for the file.

        Raises:
            OSError: There is no room, or the file system cannot reserve.
        """
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)

    def write(self, descriptor: int, data: bytes | bytearray | memoryview, offset: int) -> None:
        """Write all of `data` at `offset`."""
        with memoryview(data) as view:
            done = 0
            while done < len(view):
                done += os.pwrite(descriptor, view[done:], offset + done)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Return when the content and size of the file are on the medium."""
        if sys.platform == "darwin":
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(descriptor)

    def sync_directory(self, path: Path) -> None:
        """Return when the names in the directory are on the medium."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_directory(self, path: Path) -> None:
        """Make a directory if there is none."""
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            if not path.is_dir():
                raise

    def reserve(self, folder: Path, size: int) -> int:
        """Take `size` bytes of the file system with a file that has no name; return its descriptor, to be closed.

        Raises:
            OSError: There is no room, or the file system cannot reserve.
        """
        with tempfile.TemporaryFile(dir=folder) as file:
            self.allocate(file.fileno(), size)
            return os.dup(file.fileno())

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        path.rmdir()

    def rename(self, source: Path, target: Path) -> None:
        """Move a file within the file system, replacing what was at `target`."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """Remove a file if it is there."""
        path.unlink(missing_ok=True)

    def commit(self, connection: sqlite3.Connection) -> None:
        """End the open transaction; return when it is on the medium."""
        connection.execute("COMMIT")

    def checkpoint(self, connection: sqlite3.Connection, mode: str) -> None:
        """Carry the write-ahead log over into the database file."""
        connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()

    def open(self, path: Path) -> int:
        """Open a file for reading; return its descriptor."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Return `length` bytes from `offset`; fewer only if the file ends before."""
        data = os.pread(descriptor, length, offset)
        while len(data) < length:
            more = os.pread(descriptor, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def used(self, path: Path) -> int:
        """Return how many bytes of the file system are taken, by whomever."""
        system = os.statvfs(path)
        return (system.f_blocks - system.f_bfree) * system.f_frsize

    def room(self, path: Path) -> int:
        """Return how many bytes of new data the file system has room for.

        Some is kept free: on a disk that is full to the last byte the index could not even note what is deleted.
        """
        system = os.statvfs(path)
        return system.f_bavail * system.f_frsize - min(_KEPT_FREE, system.f_blocks * system.f_frsize // 4)

    def free_fraction(self, path: Path) -> float:
        """Return how much of the file system is free for us, between 0 and 1."""
        system = os.statvfs(path)
        return system.f_bavail / system.f_blocks if system.f_blocks else 1.0
