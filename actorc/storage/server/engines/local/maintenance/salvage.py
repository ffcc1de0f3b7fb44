"""Copies intact rows of a damaged index into a new one."""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import StorageError
from actorc.storage.server.engines.blocks import block_length, joined_checksum
from actorc.storage.server.engines.local.disk.blobs import Blobs
from actorc.storage.server.engines.local.disk.trailer import DamagedTrailerError
from actorc.storage.server.engines.local.index import content_refs, objects, schema, tally
from actorc.storage.server.engines.local.index.index import Index
from actorc.storage.server.engines.local.index.row_checksums import intact, register
from actorc.storage.server.engines.local.index.verification import DAMAGES, damages
from actorc.storage.server.engines.local.rows import FIELDS, Segment, unpack_metadata, unpack_sums

from . import page_rows
from .fsck_index import Finding

_BATCH = 200
_Row = tuple[Any, ...]


class Salvage:
    """Copies objects whose rows are readable and intact.

    A row is intact if it matches its own checksum, where its version has one, if the checksum of the object is that of
    its segments, and if its blob's trailer does not name another object. Rows are read by the tables of the old index,
    and, if that is damaged, from each of its pages.

    Args:
        index: The new index.
        blobs: The blobs.

    Attributes:
        readable: Whether any row was readable.
        garbage: Names of the blobs that the old index was about to remove.
    """

    def __init__(self, index: Index, blobs: Blobs) -> None:
        self._index = index
        self._blobs = blobs
        self._ids: dict[int, int] = {}
        self._is_whole = False
        self._taken = 0
        self._counted = 0
        self._lost: dict[str, Finding] = {}
        self.readable = False
        self.garbage: set[str] = set()

    def take(self, old: Path, store_id: str) -> Iterator[Finding]:
        """Copy the objects of an old database; yield those that could not be copied, and the number of the others.

        Its log is written into it, and another file is made beside it, if it is damaged.

        Raises:
            StorageError: It belongs to another store, whose objects must not appear in this one.
        """
        if not old.exists():
            return
        self._take_all(old, store_id)
        if self.readable:
            yield Finding("salvaged", "meta.db", f"{self._taken} objects of which the old index still had all")
        if _is_damaged(old):
            yield from self._take_pages(old, store_id)
        yield from self._lost.values()
        nameless = self._counted - self._taken - len(self._lost)
        if nameless > 0:
            more = f"the rows of {nameless} more objects that were counted; those that have a file come back by that"
            yield Finding("lost", "meta.db", more)

    def _take_pages(self, old: Path, store_id: str) -> Iterator[Finding]:
        before, pages = self._taken, old.with_name(f"{old.name}-pages")
        is_current = page_rows.collect(old, pages)
        nameless = page_rows.name_buckets(pages, self._blobs)
        self._take_all(pages, store_id)
        if self._taken > before:
            older = "" if is_current else "; some of them may have been deleted or replaced before"
            more = f"{self._taken - before} objects of pages that nothing leads to any more{older}"
            yield Finding("salvaged", "meta.db", more)
            for name in nameless:
                yield Finding(
                    "salvaged", name, "the name of this bucket is lost; move its objects to where they belong"
                )

    def _take_all(self, old: Path, store_id: str) -> None:
        with closing(sqlite3.connect(old)) as connection:
            register(connection)
            # as bytes, since damaged text may be no UTF-8, and one such row must not end the query
            connection.text_factory = bytes
            # nothing is written: of a file that was cut short SQLite reads what is left with this alone
            connection.execute("PRAGMA writable_schema = ON")
            try:
                intact_in = _RowChecks(connection)
            except sqlite3.DatabaseError:
                # no table can be read, so there is nothing to salvage by them
                return
            self._check_store(connection, intact_in, store_id)
            for is_intact, created_us, name in self._rows(
                connection, f"SELECT {intact_in('bucket')}, created_us, name FROM bucket"
            ):
                self._bucket(created_us, name if is_intact else None)
            self.garbage |= {
                _text(file)
                for is_intact, file in self._rows(connection, f"SELECT {intact_in('garbage')}, file FROM garbage")
                if is_intact
            }
            self._objects(connection, intact_in)
            with suppress(sqlite3.DatabaseError):
                # nothing proves it, so it is told and not relied on
                self._counted = max(self._counted, tally.of_table(connection, "object")[0] or 0)

    def _check_store(self, connection: sqlite3.Connection, intact_in: _RowChecks, store_id: str) -> None:
        query = f"SELECT {intact_in('meta')}, value FROM meta WHERE name = 'store'"
        # not by `_rows`, which sets `readable`: this row is in every index, even an empty one
        with suppress(sqlite3.DatabaseError):
            is_intact, value = connection.execute(query).fetchone() or (False, None)
            if is_intact and value != store_id.encode():
                raise StorageError(
                    "meta.db belongs to another data directory than FORMAT; put back the one of the two that is wrong, "
                    "or move the directory meta away to rebuild the index from the blobs alone"
                )

    def _objects(self, connection: sqlite3.Connection, intact_in: _RowChecks) -> None:
        query = (
            f"SELECT {intact_in('object')} AND {intact_in('bucket')}, bucket.name, key, {FIELDS}, content_id"
            " FROM object JOIN bucket ON bucket.id = bucket_id ORDER BY bucket_id {0}, key {0}"
        )
        # the ids of another file may be of other content
        self._ids.clear()
        for direction in ("ASC", "DESC"):  # from both ends, up to a damaged page in between
            rows = self._rows(connection, query.format(direction))
            while batch := list(islice(rows, _BATCH)):
                self._take(connection, intact_in, batch)
            if self._is_whole:
                break

    def _rows(self, connection: sqlite3.Connection, query: str) -> Iterator[_Row]:
        """Yield rows up to the first that cannot be read."""
        self._is_whole = False
        try:
            for row in connection.execute(query):
                self.readable = True
                yield row
            self._is_whole = True
        except sqlite3.DatabaseError:
            # the rows before the damage were yielded, and count
            return

    def _bucket(self, created_us: Any, name: Any) -> None:
        if isinstance(created_us, int) and isinstance(name, bytes):
            self._index.run(lambda connection: objects.ensure_bucket(connection, _text(name), created_us))

    def _take(self, old: sqlite3.Connection, intact_in: _RowChecks, rows: list[_Row]) -> None:
        loaded = [(row[1:], self._verified_segments(old, intact_in, row[1:]) if row[0] else None) for row in rows]

        def change(connection: sqlite3.Connection) -> list[bool]:
            return [segments is not None and self._put(connection, row, segments) for row, segments in loaded]

        for (row, segments), is_new in zip(loaded, self._index.run(change), strict=True):
            if is_new:
                self._taken += 1
            if segments is not None:
                self._lost.pop(_shown(row), None)
            elif not self._is_taken(row):
                self._lost[_shown(row)] = Finding("lost", _shown(row), "its row in the old index is damaged")

    def _is_taken(self, row: _Row) -> bool:
        with self._index.reading() as connection, suppress(ValueError, TypeError, StorageError):
            return self._index.objects.place(connection, _text(row[0]), _text(row[1])).current is not None
        return False

    def _put(self, connection: sqlite3.Connection, row: _Row, segments: tuple[Segment, ...]) -> bool:
        """Copy an object; return whether it is new, and was not read before, from the other end or by the tables."""
        bucket, key, *fields, old_id = row
        fields[3], fields[4] = _text(fields[3]), _text(fields[4])
        objects.ensure_bucket(connection, _text(bucket), self._index.now())
        place = self._index.objects.place(connection, _text(bucket), _text(key))
        if place.current is not None:
            return False
        content_id = self._ids.get(old_id)
        if content_id is None:
            ids = [content_refs.add(connection, segment) for segment in segments]
            content_id = self._ids[old_id] = content_refs.join(connection, ids, fields[1])
        else:
            content_refs.share(connection, content_id)
        self._index.objects.restore(connection, place, tuple(fields), content_id)
        return True

    def _verified_segments(
        self, old: sqlite3.Connection, intact_in: _RowChecks, row: _Row
    ) -> tuple[Segment, ...] | None:
        bucket, key, generation, size, crc, _, metadata, *_, content_id = row
        try:
            segments = tuple(_segment(row) for row in _content(old, intact_in, content_id))
            unpack_metadata(metadata)
            is_intact = _checksum(segments) == crc and sum(segment.size for segment in segments) == size
            name = (_text(bucket), _text(key))
        except (sqlite3.DatabaseError, ValueError, TypeError, AttributeError, struct.error):
            return None
        return segments if is_intact and self._is_named(segments, generation, name) else None

    def _is_named(self, segments: tuple[Segment, ...], generation: int, name: tuple[str, str]) -> bool:
        """Return whether every blob written for this generation has this name in its trailer."""
        file = segments[-1].file if segments else None
        if file is None:
            return True
        try:
            trailer = self._blobs.trailer(self._blobs.path(file))
        except (DamagedTrailerError, OSError):
            # a blob that cannot be read says nothing against the row
            return True
        is_original = trailer is not None and trailer.order == generation
        return not is_original or trailer is None or (trailer.bucket, trailer.key) == name


def _is_damaged(old: Path) -> bool:
    with suppress(*DAMAGES), closing(schema.connect_read_only(old)) as connection:
        return any(damages(connection))
    return True


class _RowChecks:
    """Checks rows of the old index by their checksums; accepts every row of a version without them."""

    def __init__(self, old: sqlite3.Connection) -> None:
        found = old.execute("SELECT 1 FROM pragma_table_xinfo('object') WHERE name = 'checksum'").fetchone()
        self._has_checksums = found is not None

    def __call__(self, table: str) -> str:
        return intact(table) if self._has_checksums else "1"


def _content(old: sqlite3.Connection, intact_in: _RowChecks, content_id: int) -> list[_Row]:
    fields = "content.size, sums, file, data"
    (row,) = old.execute(f"SELECT {intact_in('content')}, {fields} FROM content WHERE id = ?", (content_id,)).fetchall()
    if row[3] is not None or row[4] is not None:
        return [row]
    return old.execute(
        f"SELECT {intact_in('content')} AND {intact_in('segment')}, {fields}"
        " FROM segment JOIN content ON content.id = leaf_id WHERE content_id = ? ORDER BY position",
        (content_id,),
    ).fetchall()


def _segment(row: _Row) -> Segment:
    is_intact, size, packed, file, data = row
    sums = unpack_sums(packed)
    if not is_intact or (data is not None and _sums(data) != sums):
        raise ValueError("it does not match its checksum")
    return Segment(size=size, sums=sums, file=None if file is None else _text(file), data=data)


def _checksum(segments: tuple[Segment, ...]) -> int:
    return joined_checksum(
        (crc, block_length(segment.size, at)) for segment in segments for at, crc in enumerate(segment.sums)
    )


def _sums(data: bytes) -> tuple[int, ...]:
    return (crc32c(data),) if data else ()


def _text(value: Any) -> str:
    if not isinstance(value, bytes):
        raise TypeError("text is stored as something else")
    return value.decode()


def _shown(row: _Row) -> str:
    return "/".join(
        part.decode(errors="backslashreplace") if isinstance(part, bytes) else str(part) for part in row[:2]
    )
