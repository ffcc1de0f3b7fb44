"""Restores objects from blobs that the index does not know, by their trailers."""

from __future__ import annotations

import sqlite3
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from actorc.storage._wire.checksum import crc32c
from actorc.storage.rules import MAX_KEY_CHARACTERS
from actorc.storage.server.engines.local.disk.blobs import Blobs
from actorc.storage.server.engines.local.disk.trailer import MANIFEST, PART, DamagedTrailerError, Piece, Trailer
from actorc.storage.server.engines.local.index import content_refs, objects
from actorc.storage.server.engines.local.index.index import Index
from actorc.storage.server.engines.local.index.objects import WriteTarget
from actorc.storage.server.engines.local.rows import Segment, pack_metadata

from .fsck_index import Finding

T = TypeVar("T")

_BATCH = 200
"""Objects in one transaction, and so for one sync."""


class _Label(NamedTuple):
    """The fields of a trailer that are kept in memory for each blob, in the order of restoration."""

    bucket: str
    key: str
    age: int
    """Smaller for a blob that was written later."""
    name: str


class Restoration:
    """Restores of each key the object that was written last.

    An existing object is never replaced by an older one. A later one replaces it if the index was rebuilt or if its
    blob is lost; otherwise the later one, perhaps a write that was never acknowledged, is restored under another key.

    Args:
        index: The index.
        blobs: The blobs, in their place or in quarantine.
        rebuilding: Whether the index is new and has only rows salvaged from another one.
    """

    def __init__(self, index: Index, blobs: Blobs, *, rebuilding: bool) -> None:
        self._index = index
        self._blobs = blobs
        self._rebuilding = rebuilding
        self._parts: dict[str, str] = {}

    def restore_all(self, names: Iterable[str]) -> Iterator[Finding]:
        """Restore the objects of these blobs; yield the result for each that is not part of a restored object.

        Blobs are not moved, since a needed blob is found in quarantine, too.
        """
        labels: list[_Label] = []
        for name in names:
            found = self._label(name)
            if isinstance(found, Finding):
                yield found
            elif found is not None:
                labels.append(found)
        labels.sort()
        groups = (list(group) for _, group in groupby(labels, key=lambda label: label[:2]))
        for batch in _batches(groups, _BATCH):
            yield from self._restore_batch(batch)
        for name, place in sorted(self._parts.items(), key=lambda item: (item[1], item[0])):
            yield Finding("incomplete", place, f"blob {name} belongs to an upload that was not completed")

    def _label(self, name: str) -> _Label | Finding | None:
        try:
            trailer = self._blobs.trailer(self._path(name))
        except (DamagedTrailerError, OSError) as error:
            return Finding("unlabelled", name, str(error))
        if trailer is None:
            return Finding("unlabelled", name, "a blob without a trailer; an earlier version wrote it")
        if trailer.kind == PART:
            self._parts[name] = trailer.place
            return None
        return _Label(trailer.bucket, trailer.key, -trailer.order, name)

    def _restore_batch(self, groups: Sequence[Sequence[_Label]]) -> list[Finding]:
        # slow work and changes of the disk come first, so that the transaction is short
        prepared = [list(self._candidates(group)) for group in groups]

        def change(connection: sqlite3.Connection) -> list[Finding]:
            return [found for group in prepared for candidate in group if (found := self._put(connection, candidate))]

        findings = self._index.run(change)
        return findings + [
            Finding("superseded", f"{label.bucket}/{label.key}", f"blob {label.name} is an earlier generation")
            for group, tried in zip(groups, prepared, strict=True)
            for label in group[len(tried) :]
        ]

    def _candidates(self, group: Sequence[_Label]) -> Iterator[_Candidate]:
        """Yield the candidates of one key, the latest first, up to the first that is complete."""
        for label in group:
            candidate = self._candidate(label.name)
            for piece in candidate.trailer.pieces:
                self._parts.pop(piece.file, None)
            yield candidate
            if not candidate.lacks:
                return

    def _put(self, connection: sqlite3.Connection, candidate: _Candidate) -> Finding:
        trailer = candidate.trailer
        if candidate.lacks:
            return candidate.finding("incomplete", candidate.lacks)
        now = self._index.now()
        if trailer.expires_us is not None and trailer.expires_us <= now:
            return candidate.finding("expired", "its time is over")
        objects.ensure_bucket(connection, trailer.bucket, now)
        place = self._index.objects.place(connection, trailer.bucket, trailer.key)
        if place.current is None:
            return self._restore(connection, candidate, place)
        if place.current.generation >= trailer.order:
            return candidate.finding("superseded", f"blob {candidate.name} is not later than what is there")
        if self._rebuilding or self._is_lost(connection, place.current.content_id):
            return self._restore(connection, candidate, place)
        return self._restore_beside(connection, candidate)

    def _restore_beside(self, connection: sqlite3.Connection, candidate: _Candidate) -> Finding:
        trailer = candidate.trailer
        key = f"{trailer.key}.adopted-{trailer.order:x}"
        place = self._index.objects.place(connection, trailer.bucket, key)
        if place.current is not None or len(key) > MAX_KEY_CHARACTERS:
            return candidate.finding("superseded", "another object is there, and the key beside it cannot be used")
        return self._restore(connection, candidate, place, f" as {key}, since another object is there")

    def _restore(
        self, connection: sqlite3.Connection, candidate: _Candidate, place: WriteTarget, beside: str = ""
    ) -> Finding:
        trailer = candidate.trailer
        if place.current is not None:
            self._remove_current(connection, place, place.current.content_id)
        ids = [self._content(connection, segment) for segment in candidate.segments]
        fields = (
            trailer.order,
            trailer.size,
            trailer.crc32c,
            trailer.content_type,
            pack_metadata(trailer.metadata),
            trailer.written_us,
            trailer.expires_us,
        )
        self._index.objects.restore(connection, place, fields, content_refs.join(connection, ids, trailer.size))
        if candidate.damaged:
            return candidate.finding("damaged", f"restored{beside}, but its bytes do not match their checksums")
        return candidate.finding("restored", f"{trailer.size} bytes{beside}")

    def _remove_current(self, connection: sqlite3.Connection, place: WriteTarget, content_id: int) -> None:
        files = [(segment.file,) for segment in content_refs.load(connection, content_id) if segment.file is not None]
        objects.remove(connection, place.bucket_id, place.name, content_id)
        # the old index may have called them garbage without knowing all objects
        connection.executemany("DELETE FROM garbage WHERE file = ?", files)

    def _content(self, connection: sqlite3.Connection, segment: Segment) -> int:
        """Return content for a segment; take over that of a part whose upload the index still has."""
        row = connection.execute("SELECT id FROM content WHERE file = ?", (segment.file,)).fetchone()
        if row is None:
            return content_refs.add(connection, segment)
        connection.execute("DELETE FROM part WHERE content_id = ?", row)
        return int(row[0])

    def _candidate(self, name: str) -> _Candidate:
        trailer = self._blobs.trailer(self._path(name))
        assert trailer is not None
        if trailer.kind != MANIFEST:
            segment = Segment(size=trailer.size, sums=trailer.sums, file=name, order=trailer.order)
            return _Candidate(name, trailer, (segment,), damaged=self._is_damaged(segment))
        return self._joined(name, trailer)

    def _joined(self, name: str, trailer: Trailer) -> _Candidate:
        segments, damaged = [], False
        for number, piece in enumerate(trailer.pieces, 1):
            segment = self._segment(piece)
            if segment is None or (segment.file and self._is_held(segment.file)):
                return _Candidate(name, trailer, (), lacks=f"part {number} of {len(trailer.pieces)} is gone")
            damaged |= segment.file is not None and self._is_damaged(segment)
            segments.append(segment)
        return _Candidate(name, trailer, (*segments, Segment(size=0, sums=(), file=name)), damaged=damaged)

    def _segment(self, piece: Piece) -> Segment | None:
        if not piece.file:
            data = None if piece.data is None else b64decode(piece.data)
            return None if data is None else Segment(size=len(data), sums=_sums(data), data=data)
        try:
            trailer = self._blobs.trailer(self._path(piece.file))
        except (DamagedTrailerError, OSError):
            return None
        return None if trailer is None else Segment(size=trailer.size, sums=trailer.sums, file=piece.file)

    def _is_held(self, name: str) -> bool:
        """Return whether anything but an unfinished upload refers to a blob."""
        with self._index.reading() as connection:
            known = connection.execute(
                "SELECT 1 FROM content WHERE file = ? AND id NOT IN (SELECT content_id FROM part)", (name,)
            ).fetchone()
        return known is not None

    def _is_damaged(self, segment: Segment) -> bool:
        assert segment.file is not None
        return self._blobs.sums(self._path(segment.file), segment.size) != (segment.sums, segment.size)

    def _is_lost(self, connection: sqlite3.Connection, content_id: int) -> bool:
        files = [segment.file for segment in content_refs.load(connection, content_id) if segment.file is not None]
        return any(not self._path(file).exists() for file in files)

    def _path(self, name: str) -> Path:
        place = self._blobs.path(name)
        return place if place.exists() else self._blobs.quarantine.find(name) or place


class _Candidate(NamedTuple):
    """A blob that is a whole object, or the manifest of one."""

    name: str
    trailer: Trailer
    segments: tuple[Segment, ...]
    damaged: bool = False
    lacks: str = ""

    def finding(self, kind: str, detail: str) -> Finding:
        return Finding(kind, self.trailer.place, detail)


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(items, size)):
        yield batch


def _sums(data: bytes) -> tuple[int, ...]:
    return (crc32c(data),) if data else ()
