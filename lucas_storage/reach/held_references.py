"""What artifacts refer to: the parts of their manifests, and the references within them, each artifact read once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from actorc.storage.errors import NotFoundError, StorageError
from lucas_storage.artifacts.blobs import key_of, prefix_of
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.refs import ArtifactRef

from . import inner_references

_BATCH: Final = 100
"""Artifacts that are read together; of 128 KiB at most, unless their references lie."""


@dataclass(slots=True, kw_only=True)
class Held:
    """What an artifact refers to."""

    refs: list[ArtifactRef] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    """Keys of the parts of its manifest."""


def closure(
    storage: ArtifactStore, refs: set[ArtifactRef], pool: ThreadPoolExecutor, problems: list[str]
) -> dict[ArtifactRef, Held]:
    """Return what each artifact refers to, of these and of all that they reach.

    Args:
        storage: Its default bucket is read.
        refs: Artifacts of that bucket, by `location`.
        pool: Reads many at once.
        problems: Takes the keys of those that cannot be read.
    """
    held: dict[ArtifactRef, Held] = {}
    # Level by level, each artifact once: artifacts refer to each other, and a crafted bucket may hold a cycle.
    while refs:
        level = [ref for ref in refs if may_hold(ref)]
        held.update((ref, Held()) for ref in refs - set(level))
        for found in pool.map(partial(_held_by_all, storage, problems), _batches(level)):
            held.update(found)
        refs = {inner for ref in level for inner in held[ref].refs} - held.keys()
    return held


def is_here(storage: ArtifactStore, ref: ArtifactRef) -> bool:
    """Return whether a reference is one into the default bucket; one store may have several names."""
    # Inline references, whose bucket is empty, may hold JSON data with references to stored artifacts.
    return ref.bucket in (storage.bucket, "")


def location(ref: ArtifactRef) -> ArtifactRef:
    """Return a reference reduced to bucket, key and format, by which an artifact is visited once."""
    is_reduced = ref.store == "default" and ref.filename is None  # as most are, and a copy is checked anew
    return ref if is_reduced else replace(ref, store="default", filename=None)


def may_hold(ref: ArtifactRef) -> bool:
    """Return whether an artifact can refer to others, or have parts, by its reference alone."""
    return ref.kind == "manifest" or inner_references.may_be_within(ref.format)


def _batches(level: list[ArtifactRef]) -> Iterator[list[ArtifactRef]]:
    small = [ref for ref in level if inner_references.is_small(ref)]
    yield from (small[at : at + _BATCH] for at in range(0, len(small), _BATCH))
    yield from ([ref] for ref in level if not inner_references.is_small(ref))


def _held_by_all(storage: ArtifactStore, problems: list[str], refs: list[ArtifactRef]) -> dict[ArtifactRef, Held]:
    """Return what artifacts refer to: some small ones, or one of any kind."""
    if not inner_references.is_small(refs[0]):
        return {ref: _held_by(storage, ref, problems) for ref in refs}
    held = {ref: Held() for ref in refs}
    try:
        answers = inner_references.within_small(storage, refs)
    except StorageError:
        problems += [ref.key for ref in refs]
        return held
    for ref, found in answers.items():
        if not isinstance(found, StorageError):
            held[ref].refs = _inner(storage, found)
        elif not isinstance(found, NotFoundError):  # those that are gone refer to nothing
            problems.append(ref.key)
    return held


def _held_by(storage: ArtifactStore, ref: ArtifactRef, problems: list[str]) -> Held:
    here = ref if ref.inline is not None else replace(ref, store=storage.store_name)
    held = Held()
    try:
        if ref.kind == "manifest":
            prefix = prefix_of(ref.key, ref.digest)
            held.parts = [key_of(prefix, part.digest) for part in storage.manifest(here).reached()]
        held.refs = _inner(storage, inner_references.within(storage, here))
    except NotFoundError:  # gone already, so nothing can be read through it
        pass
    except StorageError:
        problems.append(ref.key)
    return held


def _inner(storage: ArtifactStore, found: list[ArtifactRef]) -> list[ArtifactRef]:
    return [location(inner) for inner in found if is_here(storage, inner)]
