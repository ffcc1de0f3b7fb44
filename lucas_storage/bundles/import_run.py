"""Imports a bundle: all of it is verified before anything is stored, and its run is seen when all of it is there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from actorc.storage.client import StorageClient
from actorc.storage.errors import AlreadyExistsError, PermissionError, PreconditionFailedError
from actorc.storage.models import PutResult
from actorc.storage.rules import MAX_INLINE_SIZE
from lucas_storage import parallel, settings
from lucas_storage.artifacts.blobs import key_of
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.artifacts.writer import MANIFEST_TYPE, PART_TYPE
from lucas_storage.errors import BundleError, UnknownFormatError
from lucas_storage.formats import format_by_id
from lucas_storage.records import record_store, record_text, run_history
from lucas_storage.records.index import run_index
from lucas_storage.records.untrusted_fields import moment_of

from .archive import Archive
from .contents import Contents, ObjectEntry, Place, record_key, run_key
from .export import OnProgress
from .relocation import Relocation

Conditions: TypeAlias = dict[str, Any]
"""Options of `put_object`."""
_CHANGING: Final = frozenset({"status", "beat"})
"""Fields of a record of a run that goes on, which are others in each that is written."""
_TIMEOUT: Final = 60.0
"""Seconds for one call that writes records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A run that was imported."""

    contents: Contents
    is_new: bool
    """False if the run was there, with the same content, or further on."""
    unsigned: int
    """Pickles that stay unread here, since no signature of this process's keys proves who made them."""
    elsewhere: tuple[str, ...]
    """Buckets beside the default one, in which artifacts were stored since others refer to them there."""
    refused: tuple[str, ...]
    """Such buckets in which the access key may not store, so that these references may not be readable here."""
    unreachable: tuple[str, ...]
    """Stores that artifacts name and that are not the one of the import, so that these references cannot be read."""


@dataclass(frozen=True, slots=True)
class _Body:
    """The bytes of an entry, as an object to be stored."""

    archive: Archive
    entry: ObjectEntry
    checksum: int
    moved: Callable[[int], None]
    """Called with the bytes of each piece that is sent."""

    @property
    def size(self) -> int:
        return self.entry.size

    @property
    def digest(self) -> str:
        return self.entry.digest

    def crc32c(self) -> int:
        return self.checksum

    def send(self, client: StorageClient, bucket: str, key: str, content_type: str, **options: Any) -> PutResult:
        if self.size <= MAX_INLINE_SIZE:
            return client.put_object(bucket, key, b"".join(self._pieces()), content_type, **options)
        return client.upload_from_stream(bucket, key, self._pieces(), content_type, **options)

    def _pieces(self) -> Iterator[bytes]:
        for piece in self.archive.pieces(self.entry):
            yield piece
            self.moved(len(piece))


def import_bundle(storage: ArtifactStore, path: Path, *, progress: OnProgress | None = None) -> Imported:
    """Store the artifacts and the records of a bundle in the default bucket.

    Every digest is verified before anything is stored, and the record of the run is stored last, so that it never
    names an artifact that is missing. It takes the place of an earlier one of the same run, which had not ended, if
    that was heard of last more than a minute ago. Artifacts that are there are not sent again. Pickles stay unread
    unless a key of this process signed them; a bundle brings no key. What an artifact itself says stays as it is, to
    the byte.

    Args:
        storage: Its default bucket takes the run.
        path: The file.
        progress: Called as bytes are verified, and as they are sent.

    Raises:
        BundleError: The file is no bundle, or is damaged, incomplete or forged; nothing was stored.
        AlreadyExistsError: There is a run of this id with other content, or it goes on here; nothing was stored.
    """
    with Archive.opened(path) as archive:
        objects = archive.contents.objects
        moved = _Progress(progress, archive.contents.size + sum(entry.size for entry in objects))
        checksums = archive.verify(moved.advance)
        relocation = Relocation(storage, settings.resolve().signing_keys)
        records = _records(archive, relocation)
        _check_complete(archive.contents, records.values())
        conditions = _conditions(storage, archive.contents, records)
        send = partial(_send, storage, archive, checksums, moved)
        refused = set().union(*parallel.each(send, objects))
        is_new = conditions is not None and _write(storage, archive.contents, records, conditions)
        _index(storage, archive.contents.run)
        return Imported(
            contents=archive.contents,
            is_new=is_new,
            unsigned=relocation.unsigned,
            elsewhere=tuple(sorted(_buckets(storage, archive.contents) - {storage.bucket} - refused)),
            refused=tuple(sorted(refused)),
            unreachable=tuple(sorted(_stores(archive.contents) - {storage.store_name})),
        )


class _Progress:
    """Adds up bytes. Safe to share between threads."""

    def __init__(self, progress: OnProgress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0
        self._lock = threading.Lock()  # guards the sum, to which the threads of all objects add

    def advance(self, size: int) -> None:
        with self._lock:
            self._done += size
            if self._progress is not None:
                self._progress(self._done, self._total)


def _records(archive: Archive, relocation: Relocation) -> dict[str, dict[str, Any]]:
    """Return the records by key, that of the run last, with their references moved."""
    run = archive.contents.run
    records: dict[str, dict[str, Any]] = {}
    for entry in archive.contents.records:
        content = record_text.decode(archive.text(entry))
        if content is None:
            raise BundleError(f"{entry.name} is no record; nothing was imported")
        records[record_key(run, entry.name)] = relocation.content(content)
    own = records.pop(run_key(run), None)
    if own is None:
        raise BundleError("the bundle has no record of the run; nothing was imported")
    return {**records, run_key(run): own}


def _check_complete(contents: Contents, records: Iterable[dict[str, Any]]) -> None:
    """Check that the artifacts that records name are in the bundle, or known to be missing.

    Raises:
        BundleError: One is not.
    """
    known = {entry.digest for entry in contents.objects} | set(contents.missing)
    for ref in record_text.refs_in(list(records)):
        if ref.inline is None and ref.digest not in known:
            raise BundleError(f"a record names {ref!r}, which the bundle does not hold; nothing was imported")


def _conditions(storage: ArtifactStore, contents: Contents, records: dict[str, dict[str, Any]]) -> Conditions | None:
    """Return the conditions under which the record of the run is to be written; None if what is there is as good.

    Raises:
        AlreadyExistsError: There is a run of this id with other content, or it goes on here.
    """
    key = run_key(contents.run)
    present = record_store.read(storage, key)
    if present is None:
        return {"if_absent": True}
    found, new = present.content or {}, records[key]
    if found == new or _continues(new, found):
        return None
    if not _continues(found, new):
        raise AlreadyExistsError(
            f"the run {contents.run} is here with other content; import it into another bucket with "
            "LUCAS_STORAGE_BUCKET, or remove the record that is here",
            bucket=storage.bucket,
            key=key,
        )
    if not run_history.is_lost(present):
        raise AlreadyExistsError(
            f"the run {contents.run} goes on here, or was imported within the last minute; import this bundle a minute "
            "later",
            bucket=storage.bucket,
            key=key,
        )
    return {"if_match": present.etag}


def _continues(earlier: dict[str, Any], later: dict[str, Any]) -> bool:
    """Return whether a record of a run that had not ended is an earlier one of the same run."""
    if earlier.get("status") != run_history.UNENDED:
        return False
    has_ended = later.get("status") != run_history.UNENDED
    is_later = has_ended or moment_of(later.get("beat")) > moment_of(earlier.get("beat"))
    return is_later and all(later.get(name) == earlier[name] for name in earlier.keys() - _CHANGING)


def _send(
    storage: ArtifactStore, archive: Archive, checksums: dict[str, int], moved: _Progress, entry: ObjectEntry
) -> set[str]:
    """Store an object, and return the buckets that name it and refuse it."""
    # No more than there is, though it is sent twice; and all, though it is there and is not sent.
    left = entry.size

    def sent(size: int) -> None:
        nonlocal left
        size = min(size, left)
        left -= size
        moved.advance(size)

    body = _Body(archive, entry, checksums[entry.name], sent)
    home = Place(storage.store_name, storage.bucket, key_of(storage.prefix, entry.digest))
    storage.restore(home.bucket, home.key, body, _content_type(entry))
    refused: set[str] = set()
    # What artifacts say of each other cannot be changed, so that those lie where it is said as well.
    for place in entry.places:
        if place.store != storage.store_name or place == home:
            continue
        try:
            storage.restore(place.bucket, place.key, body, _content_type(entry))
        except PermissionError:
            # A key of one bucket is enough to import a run whose artifacts name another bucket.
            refused.add(place.bucket)
    sent(left)
    return refused


def _content_type(entry: ObjectEntry) -> str:
    # By the kind and the format, as they are stored elsewhere: a bundle does not choose what a browser makes of it.
    if entry.kind != "blob":
        return MANIFEST_TYPE if entry.kind == "manifest" else PART_TYPE
    try:
        return format_by_id(entry.format).content_type
    except UnknownFormatError:
        return PART_TYPE


def _write(
    storage: ArtifactStore, contents: Contents, records: dict[str, dict[str, Any]], conditions: Conditions
) -> bool:
    """Write the records, and return whether the run is new; another process may import the same one meanwhile."""
    own = run_key(contents.run)
    steps = [record_store.prepare(storage, key, content) for key, content in records.items() if key != own]
    record_store.write_all(steps, _TIMEOUT)
    try:
        # The last one, which makes the run visible.
        record_store.write(storage, own, records[own], **conditions)
    except (AlreadyExistsError, PreconditionFailedError):
        again = _conditions(storage, contents, records)
        return again is not None and _write(storage, contents, records, again)
    return True


def _index(storage: ArtifactStore, run: str) -> None:
    """Enter the run into the index of runs by artifact, which passes over runs that are older than its last look."""
    past = run_history.find(storage, run)
    record_store.write_all(run_index.prepared(storage, run_index.entries_of(past)), _TIMEOUT)
    record_store.write_all([run_index.prepared_mark(storage, past.key)], _TIMEOUT)


def _buckets(storage: ArtifactStore, contents: Contents) -> set[str]:
    places = (place for entry in contents.objects for place in entry.places)
    return {place.bucket for place in places if place.store == storage.store_name}


def _stores(contents: Contents) -> set[str]:
    return {place.store for entry in contents.objects for place in entry.places}
