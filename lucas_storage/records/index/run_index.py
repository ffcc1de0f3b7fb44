"""The index of runs by artifact: which runs made, used, took or returned the artifact of a digest.

::

    lineage/<digits>/made/<run>.json      an artifact in a run of which a step made it
    lineage/<digits>/reused/<run>.json    in one of which a step had it from an earlier run, and none made it
    lineage/<digits>/used/<run>.json      in one that only took it or returned it
    lineage/runs/<ulid>.json              a mark: all entries of this run are there
    lineage/indexed.json                  the id up to which every run is indexed; runs so old need no mark

Ids of runs are written in reversed order, the latest first: ten thousand runs may have to do with an artifact, and the
first page of each kind answers. A run writes its entries as it ends, in the calls that write its record; `run_indexing`
adds those of other runs. An entry repeats the names that an answer needs, so that no run is read for them. It holds no
reference, so it keeps nothing from removal, and entries of runs that are gone do no harm.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final, Literal, TypeAlias, get_args

from actorc.storage.errors import BucketNotFoundError
from actorc.storage.rules import KiB
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import InvalidRefError
from lucas_storage.records import record_store, record_text
from lucas_storage.records.past_run import Mention, PastRun, PastStep
from lucas_storage.records.record_store import Prepared
from lucas_storage.records.ulid import is_ulid, reversed_order
from lucas_storage.records.untrusted_fields import (
    dicts_in,
    memo_key_of,
    moment_of,
    number_of,
    strings_in,
    text_of,
    text_or_none,
)
from lucas_storage.refs import ArtifactRef

Role: TypeAlias = Literal["made", "reused", "used"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
MARKS: Final = f"{record_store.LINEAGE}runs/"
INDEXED: Final = f"{record_store.LINEAGE}indexed.json"
_LISTED: Final = 5
"""Steps of one entry that are listed; a larger number would not fit into the metadata of its object."""
_HOLDERS: Final = 2
_DIGITS: Final = re.compile(r"[0-9a-f]{64}")
_ENTRY_MAX: Final = 64 * KiB
_NAME: Final = 80
"""Characters of a name that are repeated."""
_ENTRY: Final = re.compile(rf"{record_store.LINEAGE}[0-9a-f]{{64}}/(?:{'|'.join(ROLES)})/(?P<run>[0-9A-Z]{{26}})\.json")
MOST: Final = 1000
"""Entries of one kind that are read of an artifact: those of the latest runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUse:
    """One step of a run that had to do with an artifact."""

    role: Role
    """``reused`` if the step returned it without being called, since an earlier step had made it."""
    step: str
    """Its key; empty in records of early versions."""
    function: str
    memo: str | None
    """The key of the cached result that holds the artifact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """An artifact in a run."""

    run: str
    workflow: str
    started: float
    """Seconds since 1970."""
    ref: ArtifactRef | None
    """The artifact, without signature; None if the entry is damaged."""
    steps: tuple[StepUse, ...]
    """At most five, those that made it first."""
    count: int
    """Steps, listed or not."""
    is_input: bool
    """Whether the run took it."""
    is_result: bool
    """Whether the run returned it."""
    within: tuple[str, ...] = ()
    """Digits of artifacts that hold it; at most two."""

    @property
    def role(self) -> Role:
        """The role under which it is found."""
        return next((role for role in ROLES if self.has(role)), "used")

    def has(self, role: Role) -> bool:
        """Return whether a listed step had this role."""
        return any(use.role == role for use in self.steps)


def digits_of(ref: ArtifactRef) -> str:
    """Return the 64 hexadecimal digits under which an artifact is indexed: of its digest, or else of its place."""
    if ref.digest is not None:
        return ref.digest.removeprefix("sha256:")
    return hashlib.sha256(f"{ref.bucket}/{ref.key}".encode()).hexdigest()


def made_by(step: PastStep) -> Iterator[ArtifactRef]:
    """Yield the artifacts that a step returned, or stored within others, and did not take.

    A step that passes an artifact on has not made it.
    """
    taken = set(map(digits_of, _refs(chain.from_iterable(step.inputs.values()))))
    inner = (ref for holding in step.inner for ref in holding.refs if ref.inline is None)
    return (ref for ref in chain(_refs(step.outputs), inner) if digits_of(ref) not in taken)


def entries_of(run: PastRun) -> list[IndexEntry]:
    """Return the entries of a run, one for each stored artifact that its record names."""
    found: dict[str, tuple[ArtifactRef, list[StepUse]]] = {}
    for step in run.steps:
        for ref, role in _roles(step):
            memo = None if role == "used" else step.memo
            use = StepUse(role=role, step=step.key, function=step.function, memo=memo)
            found.setdefault(digits_of(ref), (ref, []))[1].append(use)
    inputs = {digits_of(ref): ref for ref in _refs(chain.from_iterable(run.inputs.values()))}
    results = {digits_of(ref): ref for ref in _refs(run.outputs)}
    outer = _holders(run)
    for digits, ref in {**inputs, **results}.items():
        found.setdefault(digits, (ref, []))
    return [
        IndexEntry(
            run=run.key,
            workflow=run.workflow,
            started=run.started,
            ref=replace(ref, signature=None, run=None),
            steps=tuple(sorted(uses, key=lambda use: ROLES.index(use.role))),
            count=len(uses),
            is_input=digits in inputs,
            is_result=digits in results,
            within=tuple(outer.get(digits, ())),
        )
        for digits, (ref, uses) in found.items()
    ]


def _holders(run: PastRun) -> dict[str, dict[str, None]]:
    """Return the digits of those that hold an artifact, by its own."""
    found: dict[str, dict[str, None]] = {}
    for holding in (each for step in run.steps for each in step.inner if each.of is not None):
        for ref in holding.refs:
            found.setdefault(digits_of(ref), {})[str(holding.of).removeprefix("sha256:")] = None
    return found


def _roles(step: PastStep) -> Iterator[tuple[ArtifactRef, Role]]:
    role: Role = "reused" if step.reused else "made"
    made = {digits_of(ref): ref for ref in made_by(step)}
    used = {digits_of(ref): ref for ref in _refs(chain.from_iterable(step.inputs.values()))}
    yield from ((ref, role) for ref in made.values())
    yield from ((ref, "used") for ref in used.values())


def prepared(storage: ArtifactStore, entries: Iterable[IndexEntry]) -> list[Prepared]:
    """Return entries as records to be written."""
    return [record_store.prepare(storage, _key(each), _content(each)) for each in entries if each.ref is not None]


def prepared_mark(storage: ArtifactStore, run: str) -> Prepared:
    """Return the mark that all entries of a run are there, to be written after them."""
    return Prepared(storage, f"{MARKS}{run}.json", record_text.encode_facts({"lineage": 1}, {}))


def entries(storage: ArtifactStore, digits: str, role: Role, most: int = MOST) -> list[IndexEntry]:
    """Return the entries of an artifact under one role, those of the latest runs and the latest first.

    Args:
        storage: Its default bucket is read, by one call for as many entries as a page has.
        digits: Of the artifact, by `digits_of`.
        role: The first of the roles that a step of the run had.
        most: Entries at most.
    """
    try:
        page = storage.list_objects(storage.bucket, f"{record_store.LINEAGE}{digits}/{role}/", most)
    except BucketNotFoundError:
        return []
    # No entry is so large; an object of a stranger, which may have any size, is not read into memory.
    heads = [head for head in page["objects"] if run_of_entry(head["key"]) and head["size"] <= _ENTRY_MAX]
    records = record_store.read_all(storage, heads)
    found = ((run_of_entry(record.key), record.content) for record in records)
    return [_entry(digits, run, content) for run, content in found if run is not None and content is not None]


def run_of_entry(key: str) -> str | None:
    """Return the id of the run of an entry, by its key; None if that is the key of no entry."""
    match = _ENTRY.fullmatch(key)
    run = reversed_order(match["run"]) if match and is_ulid(match["run"]) else None
    return run if run is not None and is_ulid(run) else None


def _key(entry: IndexEntry) -> str:
    assert entry.ref is not None
    return f"{record_store.LINEAGE}{digits_of(entry.ref)}/{entry.role}/{reversed_order(entry.run)}.json"


def _content(entry: IndexEntry) -> dict[str, Any]:
    assert entry.ref is not None
    return {
        "lineage": 1,
        "workflow": entry.workflow[:_NAME],
        "started": entry.started,
        "uri": entry.ref.uri,
        "steps": [_use_content(use) for use in _listed(entry.steps)],
        "count": entry.count,
        "input": entry.is_input,
        "result": entry.is_result,
        **({"within": list(entry.within[:_HOLDERS])} if entry.within else {}),
    }


def _listed(steps: tuple[StepUse, ...]) -> list[StepUse]:
    """Return the steps that are listed: one of each role that there is, and as many others as there is room for."""
    firsts = {use.role: use for use in reversed(steps)}
    kept = [*firsts.values(), *(use for use in steps if use is not firsts[use.role])][:_LISTED]
    return sorted(kept, key=lambda use: ROLES.index(use.role))


def _use_content(use: StepUse) -> dict[str, Any]:
    content = {"role": use.role, "step": use.step, "function": use.function[:_NAME]}
    return content if use.memo is None else {**content, "memo": use.memo}


def _entry(digits: str, run: str, content: dict[str, Any]) -> IndexEntry:
    # Field by field, as of any record: a stranger, or a newer version, may have written it.
    ref = _ref(content.get("uri"))
    steps = [_use(fields) for fields in dicts_in(content.get("steps"))[:_LISTED]]
    return IndexEntry(
        run=run,
        workflow=text_of(content.get("workflow"))[:_NAME],
        started=moment_of(content.get("started")),
        ref=ref if ref is not None and digits_of(ref) == digits else None,
        steps=tuple(use for use in steps if use is not None),
        count=int(number_of(content.get("count"))),
        is_input=content.get("input") is True,
        is_result=content.get("result") is True,
        within=tuple(filter(_DIGITS.fullmatch, strings_in(content.get("within"))))[:_HOLDERS],
    )


def _use(fields: dict[str, Any]) -> StepUse | None:
    step = text_or_none(fields.get("step")) or ""
    role: Role | None = next((each for each in ROLES if each == fields.get("role")), None)
    if role is None:
        return None
    name = text_of(fields.get("function"))[:_NAME]
    return StepUse(role=role, step=step[:_NAME], function=name, memo=memo_key_of(fields.get("memo")))


def _ref(found: Any) -> ArtifactRef | None:
    try:
        ref = ArtifactRef.parse(found)
    except InvalidRefError:
        return None
    return None if ref.inline is not None else ref


def _refs(mentions: Iterable[Mention]) -> Iterator[ArtifactRef]:
    # Those within a call have no bytes in the store; the step that made one is found by the graph of its run.
    return (mention.ref for mention in mentions if mention.ref is not None and mention.ref.inline is None)
