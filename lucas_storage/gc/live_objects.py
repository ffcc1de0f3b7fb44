"""Live objects: all artifacts and parts that unexpired records refer to, directly or through other artifacts."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final, TypeVar

from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.reach.held_references import Held, closure, is_here, location
from lucas_storage.records import record_store
from lucas_storage.refs import ArtifactRef

from .judged_records import Judging, judged_records
from .keepers import Keeper, KeeperKind

T = TypeVar("T")
_AT_ONCE: Final = 8
_REASONS: Final[dict[KeeperKind, str]] = {
    "run": "nothing has been heard of its run for longer than runs count",
    "memo": "it is older than cached results count, and no run that counts needs it",
    "checkpoint": "it is older than checkpoints count, and no run that counts needs it",
}
_OF_RUN: Final = "/run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredRecord:
    """A record whose time is over."""

    keeper: Keeper
    etag: str
    size: int
    """Bytes."""

    @property
    def reason(self) -> str:
        """Why it counts no longer, in words; any text."""
        if self.keeper.kind == "name":
            name, last = self.keeper.label, self.keeper.last
            return f"{name}: not among the last {last} publications of its name, and no alias has to do with it"
        return _REASONS[self.keeper.kind]


@dataclass(slots=True, kw_only=True)
class LiveObjects:
    """The live objects of a bucket, and its expired and unreadable records."""

    keepers: dict[str, Keeper] = field(default_factory=dict)
    """For the key of each object to which something refers, directly or not, the record that counts longest."""
    runs: set[str] = field(default_factory=set)
    """Ids of the runs whose records have not expired."""
    expired: list[ExpiredRecord] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Keys of records and artifacts that could not be read, whose references are therefore unknown."""


def live_objects(storage: ArtifactStore, judging: Judging) -> LiveObjects:
    """Return the objects that records of the default bucket refer to, also through JSON data, streams and manifests.

    `judged_records` states how long each record counts. A reference into this bucket counts whatever store it names,
    since one store may have several names.

    Args:
        storage: Its default bucket is read.
        judging: Decides which records count.
    """
    found = LiveObjects()
    direct: dict[str, Keeper] = {}
    roots: dict[ArtifactRef, Keeper] = {}
    with ThreadPoolExecutor(_AT_ONCE, "lucas-storage-gc") as pool:
        for record, keeper, size in judged_records(storage, pool, judging):
            if keeper.strength < judging.now:
                found.expired.append(ExpiredRecord(keeper=keeper, etag=record.etag, size=size))
            elif record.content is None:
                found.problems.append(record.key)
            else:
                found.runs.update(_run_of(record.key))
                _note(direct, keeper, (key for bucket, key in record.places if bucket == storage.bucket))
                _note(roots, keeper, (location(ref) for ref in record.refs if is_here(storage, ref)))
        held = closure(storage, set(roots), pool, found.problems)
    _keep_all(found.keepers, roots, held)
    for key, keeper in direct.items():
        through = found.keepers.get(key)
        # A record that refers to the artifact itself rather than one that reaches it through others.
        if through is None or through.strength <= keeper.strength:
            found.keepers[key] = keeper
    return found


def _note(keepers: dict[T, Keeper], keeper: Keeper, found: Iterable[T]) -> None:
    """Note the keeper of what a record refers to: of several the one that counts longest, of equal ones the first."""
    strength = keeper.strength
    for each in found:
        before = keepers.get(each)
        if before is None or before.strength < strength:
            keepers.pop(each, None)  # so that it is in its place among those that count as long
            keepers[each] = keeper


def _run_of(key: str) -> Iterable[str]:
    is_run = key.startswith(record_store.RUNS) and key.endswith(_OF_RUN)
    return (key.removeprefix(record_store.RUNS).removesuffix(_OF_RUN),) if is_run else ()


def _keep_all(keepers: dict[str, Keeper], roots: dict[ArtifactRef, Keeper], held: dict[ArtifactRef, Held]) -> None:
    """Note the keeper of each artifact that is reached: of several the one that counts longest."""
    done: set[ArtifactRef] = set()
    reaching = {ref for ref, found in held.items() if found.parts or found.refs}
    # Those that count longest first, so that the first that reaches an artifact is its keeper.
    for _, group in groupby(sorted(roots.items(), key=_weakness), key=_weakness):
        equal = list(group)
        # A record that refers to the artifact itself rather than one that reaches it through others.
        for ref, keeper in equal:
            if ref.inline is None:
                keepers.setdefault(ref.key, keeper)
        for ref, keeper in equal if reaching else ():
            if ref in reaching:
                _keep_reached(keepers, keeper, ref, held, done)


def _weakness(root: tuple[ArtifactRef, Keeper]) -> float:
    return -root[1].strength


def _keep_reached(
    keepers: dict[str, Keeper],
    keeper: Keeper,
    root: ArtifactRef,
    held: dict[ArtifactRef, Held],
    done: set[ArtifactRef],
) -> None:
    """Note the keeper of all that an artifact reaches by way of those that are not `done` yet."""
    waiting = [root]
    while waiting:
        ref = waiting.pop()
        # By the whole location: read in another format, the same object may refer to something else.
        if ref in done:
            continue
        done.add(ref)
        if not (held[ref].parts or held[ref].refs):
            continue
        # Nothing is stored for an inline reference; its record itself refers to what stands in it.
        through = keeper if ref.inline is not None else replace(keeper, through=ref.key)
        for key in (*held[ref].parts, *(inner.key for inner in held[ref].refs if inner.inline is None)):
            keepers.setdefault(key, through)
        waiting += held[ref].refs
