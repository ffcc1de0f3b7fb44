"""Connections for reading, and the objects that each has looked up since the last commit of any other.

A look-up with all that verifies its rows takes many times as long as to ask SQLite whether another connection, of this
process or another one, has committed since the last time: that is what its ``data_version`` tells. As long as none has,
the rows are those that were verified. A connection that changes the index does not see its own commits there, so only
those for reading remember.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final, NamedTuple

from actorc.storage.models import ObjectInfo
from actorc.storage.rules import KiB, MiB
from actorc.storage.server.engines.local.disk.errors import explained
from actorc.storage.server.engines.local.rows import Segment
from actorc.storage.server.engines.times import utc

from . import schema

_MAX_BYTES: Final = MiB
"""Bytes that a connection remembers at most; its pages in SQLite's own memory are 8 MiB."""
_MAX_OBJECT: Final = 64 * KiB
"""Bytes beyond which an object is not remembered, such as one with the checksums of very many blocks."""
_ROW_BYTES: Final = KiB
"""Bytes that count for each object besides its names, its content and its checksums."""
_SUM_BYTES: Final = 36


class Remembered(NamedTuple):
    """An object as it was looked up."""

    info: ObjectInfo
    segments: tuple[Segment, ...] | None
    """All of its bytes; None: not looked up."""


class ReadingConnection(sqlite3.Connection):
    """A connection that changes nothing. For one thread at a time."""

    _version: int = -1
    _bytes: int = 0

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self._objects: dict[tuple[str, str], tuple[Remembered, int]] = {}

    def remembered(self, bucket: str, key: str, now: int) -> Remembered | None:
        """Return the current object of a key as it was looked up; None if it was not, or anything was committed since.

        What was remembered before a commit is forgotten. To be called before each look-up that `remember` is told of.

        Args:
            bucket: The bucket.
            key: The key.
            now: Microseconds since 1970-01-01 UTC; an object that has expired by then is not returned.
        """
        (version,) = self.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version, self._bytes = version, 0
            self._objects.clear()
            return None
        found = self._objects.get((bucket, key))
        if found is None or _has_expired(found[0].info, now):
            return None
        return found[0]

    def remember(self, found: Remembered) -> None:
        """Remember a current object that was looked up, in place of what was looked up of it before.

        If another connection has committed since `remembered`, SQLite has noticed it in the look-up, and the next call
        of `remembered` forgets this object, too.
        """
        name = found.info.bucket, found.info.key
        size = _size(found)
        self._drop(name)
        if size > _MAX_OBJECT:
            return
        while self._bytes + size > _MAX_BYTES:
            self._drop(next(iter(self._objects)))
        self._objects[name] = found, size
        self._bytes += size

    def _drop(self, name: tuple[str, str]) -> None:
        _, size = self._objects.pop(name, (None, 0))
        self._bytes -= size


class Readers:
    """The connections for reading of a database. Any thread may call it.

    Args:
        path: The database file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[ReadingConnection] = []
        self._closed = False

    def lend(self) -> ReadingConnection:
        """Return a connection, to be given back by `take_back`."""
        with explained():
            # popped without asking before, since another thread may take the last one in between
            try:
                return self._idle.pop()
            except IndexError:
                return schema.connect_as(ReadingConnection, self._path)

    def take_back(self, connection: ReadingConnection) -> None:
        """Keep a connection for the next reader."""
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    def refuse(self) -> None:
        """From now on close each connection that is given back."""
        self._closed = True

    def close(self) -> None:
        """Close those that nobody has."""
        while self._idle:
            self._idle.pop().close()


class Reading(explained):
    """A block with a connection; a class, since every call has one, and a generator takes four times as long."""

    __slots__ = ("_connection", "_readers")

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def __enter__(self) -> ReadingConnection:  # type: ignore[override]
        self._connection = self._readers.lend()
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._readers.take_back(self._connection)
        super().__exit__(kind, error, traceback)


def _has_expired(info: ObjectInfo, now: int) -> bool:
    return info.expires_at is not None and info.expires_at <= utc(now)


def _size(found: Remembered) -> int:
    info, segments = found
    texts = len(info.bucket) + len(info.key) + len(info.content_type)
    texts += sum(len(name) + len(value) for name, value in info.metadata.items())
    held = sum(len(each.data or b"") + _SUM_BYTES * len(each.sums) for each in segments or ())
    return _ROW_BYTES + 4 * texts + held
