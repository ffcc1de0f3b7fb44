"""Live objects: all artifacts and parts that unexpired records refer to, directly or through other artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

from actorc.storage.errors import NotFoundError, StorageError
from actorc.storage.models import ObjectHead
from lucas_storage.artifacts.blobs import key_of, prefix_of
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.records import inner_references, record_store
from lucas_storage.refs import ArtifactRef

_AT_ONCE: Final = 8


@dataclass(slots=True, kw_only=True)
class LiveObjects:
    """The live objects of a bucket, and its expired and unreadable records."""

    keys: set[str] = field(default_factory=set)
    """Keys of all objects to which something refers, directly or not."""
    expired: list[tuple[str, str]] = field(default_factory=list)
    """Keys and etags of expired records."""
    problems: list[str] = field(default_factory=list)
    """Keys of records and artifacts that could not be read, whose references are therefore unknown."""


def live_objects(storage: ArtifactStore, *, ttl: float, now: float) -> LiveObjects:
    """Return the objects that records of the default bucket refer to, also through JSON data, streams and manifests.

    Names count for ever. A cached result counts for its own age limit, or for `ttl` if it has none; records of runs and
    checkpoints count for `ttl`. A reference into this bucket counts whatever store it names, since one store may have
    several names.

    Args:
        storage: Its default bucket is read.
        ttl: Seconds.
        now: Seconds since 1970.
    """
    found = LiveObjects()
    refs: list[ArtifactRef] = []
    with ThreadPoolExecutor(_AT_ONCE, "lucas-storage-gc") as pool:
        for record, expired in pool.map(lambda head: _with_expiry(storage, head, ttl, now), _heads(storage)):
            if expired:
                found.expired.append((record.key, record.etag))
            elif record.content is None:
                found.problems.append(record.key)
            else:
                refs.extend(record_store.refs_in(record.content))
        # Level by level, each artifact once: artifacts refer to each other, and a crafted bucket may hold a cycle.
        seen: set[ArtifactRef] = set()
        while refs:
            # Inline references, whose bucket is empty, may hold JSON data with references to stored artifacts.
            new = {_location(ref) for ref in refs if ref.bucket in (storage.bucket, "")} - seen
            seen |= new
            found.keys.update(ref.key for ref in new)
            refs = [inner for more in pool.map(lambda ref: _references_in(storage, ref, found), new) for inner in more]
    return found


def _heads(storage: ArtifactStore) -> Iterator[ObjectHead]:
    for prefix in (record_store.NAMES, record_store.MEMO, record_store.CHECKPOINTS, record_store.RUNS):
        yield from record_store.heads(storage, prefix)


def _with_expiry(storage: ArtifactStore, head: ObjectHead, ttl: float, now: float) -> tuple[record_store.Record, bool]:
    """Return a record, and whether it has expired; one that its age alone decides is not read."""
    old = now - head["last_modified"].timestamp() > ttl
    if old and not head["key"].startswith((record_store.NAMES, record_store.MEMO)):
        return record_store.Record(
            key=head["key"], content=None, etag=head["etag"], modified=head["last_modified"]
        ), True
    record = record_store.read_listed(storage, head)
    if record is None:  # removed meanwhile
        return record_store.Record(key=head["key"], content={}, etag="", modified=head["last_modified"]), False
    return record, head["key"].startswith(record_store.MEMO) and _is_expired(record.content or {}, now, old=old)


def _is_expired(memo: dict[str, Any], now: float, *, old: bool) -> bool:
    at, age = memo.get("at"), memo.get("age")
    return now - at > age if isinstance(at, (int, float)) and isinstance(age, (int, float)) else old


def _location(ref: ArtifactRef) -> ArtifactRef:
    """Return a reference reduced to bucket, key and format, by which an artifact is visited once."""
    return replace(ref, store="default", filename=None)


def _references_in(storage: ArtifactStore, ref: ArtifactRef, found: LiveObjects) -> list[ArtifactRef]:
    """Return the references in an artifact, and add its parts to `found`."""
    here = ref if ref.inline is not None else replace(ref, store=storage.store_name)
    try:
        if ref.kind == "manifest":
            prefix = prefix_of(ref.key, ref.digest)
            found.keys.update(key_of(prefix, part.digest) for part in storage.manifest(here).reached())
        return inner_references.within(storage, here)
    except NotFoundError:  # gone already, so nothing can be read through it
        return []
    except StorageError:
        found.problems.append(ref.key)
        return []
