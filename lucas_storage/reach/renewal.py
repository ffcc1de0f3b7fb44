"""Artifacts that are about to be referred to, stored anew where they are, so that no collection removes them meanwhile.

A collection decides by what it has listed, and removes an object only if nobody has stored it since. Whoever refers to
an old artifact without having its bytes therefore stores it again first, inside the server: a collection under way
spares it then, and a later one finds it young.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from actorc.storage.errors import NotFoundError
from lucas_storage import parallel
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.refs import ArtifactRef

from .held_references import Held, closure, location, may_hold

_AT_ONCE: Final = 4


def renew(storage: ArtifactStore, ref: ArtifactRef) -> None:
    """Keep an artifact, and all that it reaches, from being removed by any collection for half the grace period.

    What is young, as most is that is referred to, is left as it is.

    Args:
        storage: Its default bucket has the artifact, unless that is inline.
        ref: The artifact.

    Raises:
        ArtifactNotFoundError: The store does not hold it, or a part of it, any more.
    """
    stored_at = storage.stat(ref).stored_at
    is_old = stored_at is not None and storage.is_old(stored_at)
    if not is_old and not may_hold(ref):
        return
    root = location(ref)
    held = _held(storage, root)
    if is_old:
        with storage.explained(ref):
            parallel.each(storage.renew, dict.fromkeys((root.key, *held[root].parts)))
    others = {inner: found for inner, found in held.items() if inner != root}
    parallel.each(lambda key: _renew_if_there(storage, key), dict.fromkeys(_keys(others)))


def _held(storage: ArtifactStore, root: ArtifactRef) -> dict[ArtifactRef, Held]:
    with ThreadPoolExecutor(_AT_ONCE, "lucas-storage-renewal") as pool:
        # What cannot be read is none of this call's business: no collection removes anything meanwhile.
        return closure(storage, {root}, pool, problems=[])


def _keys(held: dict[ArtifactRef, Held]) -> Iterator[str]:
    for ref, found in held.items():
        if ref.inline is None:
            yield ref.key
        yield from found.parts


def _renew_if_there(storage: ArtifactStore, key: str) -> None:
    # Data may refer to what is gone, and is published all the same.
    with suppress(NotFoundError):
        storage.renew(key)
