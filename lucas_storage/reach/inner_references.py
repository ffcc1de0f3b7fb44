"""The references within an artifact: in its JSON data, in the lines of its stream, or in the header of its pickle.

No pickle is opened for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

from actorc.storage.errors import StorageError
from actorc.storage.rules import MAX_BATCH_OBJECT
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.formats import format_by_id, holds_references
from lucas_storage.formats.base import MemorySource
from lucas_storage.formats.composite import STREAM
from lucas_storage.formats.pickle_header import refs_of
from lucas_storage.formats.pickles import PickleWithReferencesFormat
from lucas_storage.records import record_text
from lucas_storage.refs import TAG, ArtifactRef

_LINES: Final = "json@1"
"""Format of the lines of a stream of records."""
_TAG: Final = TAG.encode()
_Found: TypeAlias = list[ArtifactRef] | StorageError


def within(storage: ArtifactStore, ref: ArtifactRef) -> list[ArtifactRef]:
    """Return the references in an artifact, as they stand in it; those in the artifacts that they name are not.

    Args:
        storage: The store that the reference names.
        ref: The artifact.

    Raises:
        NotFoundError: The store does not hold it any more.
        StorageError: It cannot be read.
    """
    if ref.format == PickleWithReferencesFormat.id:
        with storage.open(ref) as file:
            return refs_of(file)
    return [
        inner
        for text in _texts(storage, ref)
        if _TAG in text
        for inner in record_text.refs_in(_decoded(text, ref.format))
    ]


def within_small(storage: ArtifactStore, refs: Iterable[ArtifactRef]) -> dict[ArtifactRef, _Found]:
    """Return for each of some artifacts what `within` returns or raises, read in few calls.

    Args:
        storage: The store that the references name, whose default bucket holds them.
        refs: Artifacts that are small, by `is_small`.

    Raises:
        StorageError: The store failed.
    """
    given = list(refs)
    answer = storage.get_objects(storage.bucket, list({ref.key: None for ref in given}))
    texts = {each["key"]: each["data"] for each in answer["objects"]}
    return {ref: _found(texts[ref.key], ref.format) if ref.key in texts else answer["errors"][ref.key] for ref in given}


def is_small(ref: ArtifactRef) -> bool:
    """Return whether an artifact is JSON data in an object that is read together with others."""
    return ref.inline is None and ref.kind == "blob" and holds_references(ref.format) and ref.size <= MAX_BATCH_OBJECT


def _found(text: bytes, format_id: str) -> _Found:
    try:
        return list(record_text.refs_in(_decoded(text, format_id))) if _TAG in text else []
    except StorageError as error:
        return error


def may_be_within(format_id: str) -> bool:
    """Return whether artifacts of a format can hold references."""
    return format_id in (PickleWithReferencesFormat.id, STREAM) or holds_references(format_id)


def _texts(storage: ArtifactStore, ref: ArtifactRef) -> Iterator[bytes]:
    """Yield the JSON texts of an artifact; a pickle is never opened here, and its references are in its header."""
    if ref.inline is not None:
        yield ref.inline if holds_references(ref.format) else b""
    elif holds_references(ref.format):
        yield storage.get_object(ref.bucket, ref.key) if ref.kind == "blob" else b"".join(storage.chunks(ref))
    elif ref.format == STREAM:
        items, are_bytes = storage.records(ref)
        if not are_bytes:
            yield from items


def _decoded(text: bytes, format_id: str) -> Any:
    return format_by_id(_LINES if format_id == STREAM else format_id).decode(MemorySource(text), None)
