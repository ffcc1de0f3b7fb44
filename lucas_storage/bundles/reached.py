"""All artifacts that the records of a run reach, and the objects that they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from actorc.storage.errors import NotFoundError
from lucas_storage import parallel
from lucas_storage.artifacts.blobs import key_of, prefix_of
from lucas_storage.artifacts.manifest import Manifest, Part
from lucas_storage.artifacts.store import ArtifactStore, store_for
from lucas_storage.errors import BundleError, DigestMismatchError
from lucas_storage.reach import inner_references
from lucas_storage.refs import ArtifactRef

from .contents import ObjectEntry, ObjectKind, Place
from .entry_names import artifact_name, file_name, folded, part_name

_MANIFEST = ".manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An object that is to be read from a store."""

    entry: ObjectEntry
    place: Place
    ref: ArtifactRef
    """The artifact that it belongs to."""


@dataclass(slots=True)
class Reached:
    """The objects of all artifacts that were reached, each digest once, in the order in which they were met."""

    sources: dict[str, Source] = field(default_factory=dict)
    """By digest."""
    missing: dict[str, ArtifactRef] = field(default_factory=dict)
    """Artifacts that a store does not hold any more, by digest."""
    _places: dict[str, dict[Place, None]] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def objects(self) -> tuple[ObjectEntry, ...]:
        """Return the entries of all objects."""
        return tuple(self._entry(source.entry) for source in self.sources.values())

    def add(self, source: Source, *, is_within: bool) -> None:
        """Add an object; `is_within`: another artifact names its place."""
        digest = source.entry.digest
        if is_within:
            self._places.setdefault(digest, {})[source.place] = None
        if digest not in self.sources:
            self.sources[digest] = source

    def _entry(self, entry: ObjectEntry) -> ObjectEntry:
        digits = entry.digest.removeprefix("sha256:")
        name = entry.name if folded(entry.name) not in self._names else f"objects/{digits}"
        self._names.add(folded(name))
        return ObjectEntry(
            name=name,
            digest=entry.digest,
            size=entry.size,
            kind=entry.kind,
            format=entry.format,
            places=tuple(sorted(self._places.get(entry.digest, ()))),
        )


def reached(storage: ArtifactStore, refs: Iterable[ArtifactRef], labels: Mapping[str, str]) -> Reached:
    """Return the objects of artifacts, of those that these refer to, and so on.

    Every artifact is asked for, and JSON data, manifests and headers of pickles are read; no pickle is opened.

    Args:
        storage: Its store is asked for artifacts of its own name, and others of this process for the rest.
        refs: Those of the records, in the order in which their artifacts are to come.
        labels: What an artifact is, by digest, for its name.

    Raises:
        BundleError: A reference pins no digest.
        UnknownStoreError: An artifact lies in a store for which this process has no endpoint.
        StorageError: An artifact cannot be read.
    """
    found, seen = Reached(), set[tuple[ArtifactRef, bool]]()
    # Level by level, each artifact once: artifacts refer to each other.
    level = [(ref, False) for ref in refs]
    while level:
        new = [item for item in dict.fromkeys(level) if item not in seen]
        seen.update(new)
        level = []
        for (ref, is_within), looked in zip(new, parallel.each(partial(_look, storage, labels), new), strict=True):
            if looked is None:
                found.missing[ref.digest or ""] = ref
                continue
            sources, inner = looked
            for source in sources:
                found.add(source, is_within=is_within)
            level += [(each, True) for each in inner]
    return found


def _look(
    storage: ArtifactStore, labels: Mapping[str, str], item: tuple[ArtifactRef, bool]
) -> tuple[list[Source], list[ArtifactRef]] | None:
    """Return the objects of an artifact, and the references in it; None if it is gone."""
    ref, _ = item
    if ref.inline is not None:
        return [], inner_references.within(storage, ref)
    if ref.digest is None:
        raise BundleError(
            f"{ref.uri:.300} pins no digest, so nothing would prove that its copy is the same; store it again"
        )
    holder = storage if ref.store == storage.store_name else store_for(ref.store)
    name = artifact_name(ref, labels.get(ref.digest, "artifact"))
    try:
        size = holder.head_object(ref.bucket, ref.key)["size"]
        if ref.kind == "manifest":
            own = _source(ref, f"{name}{_MANIFEST}", ref.digest, size, "manifest", ref.key)
            sources = [own, *_parts(ref, holder.manifest(ref), name)]
        else:
            _check_size(ref, size)
            sources = [_source(ref, name, ref.digest, size, "blob", ref.key)]
        return sources, inner_references.within(holder, ref)
    except NotFoundError:
        return None


def _parts(ref: ArtifactRef, manifest: Manifest, name: str) -> Iterator[Source]:
    prefix = prefix_of(ref.key, ref.digest)
    for path, part in _named(manifest, name):
        yield _source(ref, path, part.digest, part.size, "part", key_of(prefix, part.digest))


def _named(manifest: Manifest, name: str) -> Iterator[tuple[str, Part]]:
    """Yield each part with the name of its entry."""
    yield from _numbered(name, manifest.parts)
    yield from _numbered(f"{name}.items", manifest.items or ())
    for file in manifest.files or ():
        above = file_name(name, file.path)
        if above is None:
            yield from ((f"objects/{part.digest.removeprefix('sha256:')}", part) for part in file.parts)
        elif len(file.parts) == 1:
            yield above, file.parts[0]
        else:
            yield from _numbered(f"{above}.parts", file.parts)


def _numbered(above: str, parts: tuple[Part, ...]) -> Iterator[tuple[str, Part]]:
    return ((part_name(above, number, len(parts)), part) for number, part in enumerate(parts))


def _source(ref: ArtifactRef, name: str, digest: str, size: int, kind: ObjectKind, key: str) -> Source:
    entry = ObjectEntry(name=name, digest=digest, size=size, kind=kind, format=ref.format)
    return Source(entry=entry, place=Place(ref.store, ref.bucket, key), ref=ref)


def _check_size(ref: ArtifactRef, size: int) -> None:
    if size != ref.size:
        raise DigestMismatchError(
            f"the store gives {size} bytes where the reference promises {ref.size}; store the value again", ref=ref
        )
