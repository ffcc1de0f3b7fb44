"""Whether a step returned the same as before, bit for bit, and what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from actorc.storage.errors import StorageError
from actorc.storage.units import shown_size
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.containers import walked
from lucas_storage.formats import format_by_id, holds_references
from lucas_storage.formats.base import MemorySource
from lucas_storage.formats.pickles import PickleFormat, PickleWithReferencesFormat
from lucas_storage.records.past_run import Mention, PastStep
from lucas_storage.records.result_fingerprint import fingerprint
from lucas_storage.refs import ArtifactRef
from lucas_storage.values import wire_form

from .pickle_identity import is_same_but_for_class_names

Explained: TypeAlias = Callable[[ArtifactStore, ArtifactRef, ArtifactRef], Iterable[str]]
"""Returns how the latter artifact differs from the former, in lines."""

PICKLES: Final = (PickleFormat.id, PickleWithReferencesFormat.id)
_DECODED: Final = 16 << 20
"""Bytes of data that are decoded to look for references, and of pickles that are compared."""
_LONGEST: Final = 80
"""Characters of a value that are shown."""


def differences(step: PastStep, out: Any, storage: ArtifactStore, explained: Explained) -> list[str]:
    """Return in words where a result as it travels differs from the recorded one; nothing if both are the same.

    Artifacts are the same by format, size and digest, wherever they lie and whatever their files are called; pickles
    also if they differ in nothing but the random names of classes that travel with them.

    Args:
        step: The step as it was recorded.
        out: The result.
        storage: Reads both.
        explained: Tells how two artifacts differ.
    """
    now = mentions_of(out)
    if len(now) != len(step.outputs):
        return [f"{_count(now)} instead of {_count(step.outputs)}"]
    found: list[str] = []
    same: dict[str | None, str | None] = {}
    for before, after in zip(step.outputs, now, strict=True):
        if _identity(before) == _identity(after) or _differ_in_places(storage, before, after):
            continue
        if before.ref is not None and after.ref is not None and _are_same_pickles(storage, before.ref, after.ref):
            same[after.ref.digest] = before.ref.digest
            continue
        found.append(f"{_shown(after)} instead of {_shown(before)}")
        if before.ref is not None and after.ref is not None:
            found += (f"  {line}" for line in explained(storage, before.ref, after.ref))
    if found:
        return found
    now_as_before = fingerprint(out, same)
    if step.returned is not None and fingerprint(step.returned) != now_as_before:
        return [_value_text(step.returned, out)]
    if step.fingerprint is not None and step.fingerprint != now_as_before:
        return ["other data, in which the same artifacts stand" if now else "another value"]
    return []


def is_known(step: PastStep, out: Any) -> bool:
    """Return whether the record has all of a result to which `out` is compared."""
    (only, *more) = (*mentions_of(out), None)
    return (step.returned, step.fingerprint) != (None, None) or (
        only is not None and only.ref is not None and more == [None] and type(wire_form.with_refs(out)) is ArtifactRef
    )


def mentions_of(out: Any) -> tuple[Mention, ...]:
    """Return the references in a result as it travels, as a record mentions them."""
    refs = (item for item in walked(wire_form.with_refs(out)) if type(item) is ArtifactRef)
    return tuple(Mention(ref.format, ref.size, ref if ref.inline is None else None) for ref in refs)


def _differ_in_places(storage: ArtifactStore, before: Mention, after: Mention) -> bool:
    """Return whether two artifacts are the same data, in which the same artifacts stand, at other places.

    So it is with the results of a run that was imported into another bucket: what they say of others stays as it was.
    """
    refs = before.ref, after.ref
    if before.format != after.format or not holds_references(before.format) or None in refs:
        return False
    if max(before.size, after.size) > _DECODED:
        return False
    try:
        ours, theirs = (fingerprint(_data(storage, ref)) for ref in refs if ref is not None)
    except StorageError:
        return False
    return ours is not None and ours == theirs


def _are_same_pickles(storage: ArtifactStore, before: ArtifactRef, after: ArtifactRef) -> bool:
    if before.format not in PICKLES or (before.format, before.size) != (after.format, after.size):
        return False
    if before.size > _DECODED:
        return False
    try:
        ours, theirs = (b"".join(storage.chunks(ref)) for ref in (before, after))
    except StorageError:
        return False
    return is_same_but_for_class_names(ours, theirs)


def _data(storage: ArtifactStore, ref: ArtifactRef) -> Any:
    return format_by_id(ref.format).decode(MemorySource(b"".join(storage.chunks(ref))), None)


def _identity(mention: Mention) -> tuple[Any, ...]:
    ref = mention.ref
    return mention.format, mention.size, None if ref is None else (ref.kind, ref.digest)


def _shown(mention: Mention) -> str:
    digest = mention.ref.digest if mention.ref is not None else None
    name = digest.removeprefix("sha256:")[:12] if digest else "inline"
    return f"{mention.format} {shown_size(mention.size)} {name}"


def _count(mentions: tuple[Mention, ...]) -> str:
    return f"{len(mentions)} artifact{'' if len(mentions) == 1 else 's'}"


def _value_text(before: Any, after: Any) -> str:
    return f"{after!r:.{_LONGEST}} instead of {before!r:.{_LONGEST}}"
