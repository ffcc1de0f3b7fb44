"""All system calls that change the disk or read a blob.

The engine uses files through this class only, so a test can record the calls, stop at the n-th, make one fail, or drop
unsynced data. SQLite makes its own file calls; the two that make changes durable, commit and checkpoint, are here, too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import stat
import sys
import tempfile
from pathlib import Path

from actorc.storage.files import file_copies

from . import free_space


class FsOps:
    """The real disk. Stateless; any thread may call it."""

    def create(self, path: Path) -> int:
        """Create a file, which must not exist; its mode forbids to open it for writing again. Return its descriptor."""
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
        file_copies.write(descriptor, data, offset)

    def clone(self, source: int, source_offset: int, descriptor: int, offset: int, length: int) -> bool:
        """Let the file share bytes of another one on the medium; return whether the file system could.

        Args:
            source: Descriptor of the other file.
            source_offset: Position of the first byte in it.
            descriptor: Descriptor of the file to write to.
            offset: Position of the first byte in this one.
            length: Number of bytes.
        """
        return file_copies.clone(source, source_offset, descriptor, offset, length)

    def write_out(self, descriptor: int, offset: int, length: int) -> None:
        """Begin to write bytes of the file to the medium, without waiting; where that is possible, else do nothing."""
        if sys.platform == "linux":
            # Linux begins to write what is dirty in the range, and drops of its cache only what is clean
            os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Sync content and size of the file."""
        if sys.platform == "darwin":
            # fsync of macOS does not flush the cache of the drive
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            # fdatasync also writes the size, and saves the write of the timestamps
            os.fdatasync(descriptor)

    def sync_directory(self, path: Path) -> None:
        """Sync the names in the directory."""
        # fsync of a file says nothing about its name: a rename without this may be undone by a power cut
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_directory(self, path: Path) -> None:
        """Make a directory unless it exists."""
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            # another thread or process may have made it first
            if not path.is_dir():
                raise

    def reserve(self, folder: Path, size: int) -> int:
        """Occupy `size` bytes with an unnamed file until its descriptor, which is returned, is closed.

        Raises:
            OSError: There is no room, or the file system cannot reserve.
        """
        with tempfile.TemporaryFile(dir=folder) as file:
            self.allocate(file.fileno(), size)
            # the duplicate keeps the unnamed file when the block closes the other descriptor
            return os.dup(file.fileno())

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        path.rmdir()

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file within the file system, replacing `target`."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """Remove a file if it is there."""
        path.unlink(missing_ok=True)

    def commit(self, connection: sqlite3.Connection) -> None:
        """Commit the open transaction durably."""
        connection.execute("COMMIT")

    def checkpoint(self, connection: sqlite3.Connection, mode: str) -> None:
        """Write the write-ahead log into the database file."""
        connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()

    def open(self, path: Path) -> int:
        """Open a file for reading; return its descriptor.

        Raises:
            FileNotFoundError: There is none, or what has its name is no file.
            OSError: It cannot be opened.
        """
        # without waiting: a pipe in the place of a file would keep the thread for ever
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "it is no file", str(path))

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Return `length` bytes from `offset`; fewer only if the file ends before."""
        data = os.pread(descriptor, length, offset)
        while len(data) < length:
            more = os.pread(descriptor, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def read_into(self, descriptor: int, buffer: memoryview, offset: int) -> None:
        """Fill `buffer` from `offset`.

        Raises:
            OSError: The file cannot be read, or ends before.
        """
        if file_copies.read_into(descriptor, buffer, offset) < len(buffer):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def used(self, path: Path) -> int:
        """Return the bytes of the file system that are in use, by any user."""
        system = os.statvfs(path)
        return (system.f_blocks - system.f_bfree) * system.f_frsize

    def room(self, path: Path) -> int:
        """Return the bytes of new data that the file system has room for."""
        return free_space.room(os.statvfs(path))

    def free_fraction(self, path: Path) -> float:
        """Return the fraction of the file system that is free for this user, between 0 and 1."""
        system = os.statvfs(path)
        return system.f_bavail / system.f_blocks if system.f_blocks else 1.0
