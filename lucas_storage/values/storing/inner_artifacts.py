"""Which artifacts were stored within others, for the record of the step that stored them.

A reference that travels is seen by everybody; one that went into stored data, a pickle or a stream is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

from actorc.storage.context_variables import bound
from lucas_storage.containers import walked
from lucas_storage.formats.base import Encoded
from lucas_storage.refs import TAG, ArtifactRef

Inner: TypeAlias = tuple[ArtifactRef, list[ArtifactRef]]
"""The reference of an artifact, and those within it."""

_TAG: Final = TAG.encode()
MOST: Final = 1000
"""References of one step that are noted."""

# The list is shared with the threads that store leaves, which have a copy of the context.
_collected: ContextVar[list[Inner] | None] = ContextVar("lucas_storage_inner_artifacts", default=None)


def collected(into: list[Inner]) -> AbstractContextManager[None]:
    """Collect in the body, on its threads, what is stored within other artifacts."""
    return bound(_collected, into)


def is_collected() -> bool:
    """Return whether anything collects here, so that references need be looked for."""
    return _collected.get() is not None


def note(outer: ArtifactRef, inner: Iterable[ArtifactRef]) -> ArtifactRef:
    """Note the references within an artifact that was stored, and return its own."""
    found = _collected.get()
    if found is not None:
        room = MOST - sum(len(refs) for _, refs in found)
        stored = list(dict.fromkeys(ref for ref in inner if ref.inline is None))[: max(room, 0)]
        if stored:
            found.append((outer, stored))
    return outer


def references_in(data: Any, text: Encoded) -> list[ArtifactRef]:
    """Return the references in data, if anything collects here.

    Args:
        data: Any number of items, of which most hold no reference.
        text: The same, encoded; searched first, which takes much less time than to walk through it.
    """
    if not is_collected() or _TAG not in bytes(text):
        return []
    return [item for item in walked(data) if type(item) is ArtifactRef]
