"""Artifacts that are about to be referred to, stored anew where they are, so that no collection removes them meanwhile.

A collection decides by what it has listed, and removes an object only if nobody has stored it since. A process that
refers to an old artifact without having its bytes therefore stores it again first, inside the server: a collection
under way spares it then, and a later one finds it young.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from actorc.storage.errors import NotFoundError, StorageError
from lucas_storage import current, parallel
from lucas_storage.artifacts.store import ArtifactStore, store_for
from lucas_storage.records.ulid import is_ulid, moment_of
from lucas_storage.refs import ArtifactRef

from .held_references import Held, closure, location, may_hold

logger = logging.getLogger(__name__)

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


def renew_taken(mentions: Iterable[object]) -> None:
    """Renew artifacts that a run or a step is given, so that no collection removes them before the record is written.

    Of a step outside of any run, which has no record, they stay for a quarter of the grace period at least. Those that
    this run stored, or this process looked at lately, as nearly all are, cost nothing; another one costs a
    call, and what it reaches is renewed only if it is old itself. What cannot be renewed, since it is gone or the key
    may only read, is left to the step, which finds out when it loads it.

    Args:
        mentions: References of any store, as `lucas_storage.records.step_note.mentioned` returns them. Only those to
            the default bucket of their store count, which is all that collections look at.
    """
    # Of a step that is given no reference this is all.
    if refs := [each for each in mentions if type(each) is ArtifactRef]:
        parallel.each(_renew_one_taken, dict.fromkeys(refs))


def _renew_one_taken(ref: ArtifactRef) -> None:
    try:
        storage = store_for(ref.store)
        if ref.bucket != storage.bucket or storage.is_young(ref) or _was_stored_lately(storage, ref):
            return
        if storage.is_old(storage.head_object(ref.bucket, ref.key)["last_modified"]):
            renew(storage, ref)
    except StorageError as error:
        logger.debug("the artifact %s was not renewed because of %s", ref.key, type(error).__name__)
        return
    storage.found_young(ref)


def _was_stored_lately(storage: ArtifactStore, ref: ArtifactRef) -> bool:
    """Return whether the current run stored an artifact, on any machine, and began lately, so that it is young.

    Outside of a run, the one that the reference names counts: engines do not tell all workers which run they work for.
    """
    if ref.run is None or ref.run != (current.run_id() or ref.run) or not is_ulid(ref.run):
        return False
    # twice its age, since what was stored may have been nearly old, and was left as it was
    return not storage.is_old(datetime.fromtimestamp(2 * moment_of(ref.run) - time.time(), UTC))


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
