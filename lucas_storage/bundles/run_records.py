"""The records of a run as they are stored, for a bundle of all of it or of one step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from actorc.storage.models import ObjectHead
from lucas_storage import parallel
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import BundleError
from lucas_storage.records import record_store, record_text
from lucas_storage.records.past_run import PastStep
from lucas_storage.records.run_history import steps_of_record
from lucas_storage.refs import digest_of

from .contents import TEXT_MAX, Entry, is_record, record_name, run_key


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """A record as it is stored."""

    entry: Entry
    text: bytes
    content: dict[str, Any]


def records_of(storage: ArtifactStore, run: str, only: PastStep | None) -> list[ReadRecord]:
    """Return the records of a run, that of the run last, or this one and that of one step.

    A step that is told by the record of the run alone gets one of its own, so that a bundle says which steps it has.
    """
    heads = [head for head in record_store.heads(storage, f"{record_store.RUNS}{run}/") if is_record(run, head["key"])]
    if only is not None:
        wanted = (run_key(run), f"{record_store.RUNS}{run}/steps/{only.key}.json")
        heads = [head for head in heads if head["key"] in wanted]
    found = parallel.each(partial(_record, storage, run), sorted(heads, key=lambda head: head["key"] == run_key(run)))
    own = record_name(run, run_key(run))
    return sorted([*_told_by_run(run, found, only), *found], key=lambda each: (each.entry.name == own, each.entry.name))


def _told_by_run(run: str, records: list[ReadRecord], only: PastStep | None) -> list[ReadRecord]:
    names = {record.entry.name for record in records}
    steps = steps_of_record(records[-1].content) if record_name(run, run_key(run)) in names else []
    made: list[ReadRecord] = []
    for step in steps:
        key = record_store.step_key(run, str(step.get("key")))
        is_whole = not step.get("told") and not step.get("brief")
        is_wanted = only is None or step.get("key") == only.key
        if is_whole and is_wanted and is_record(run, key) and record_name(run, key) not in names:
            content = {name: value for name, value in step.items() if name != "code"}
            made.append(_read(run, key, record_text.encode(content), content))
    return made


def _record(storage: ArtifactStore, run: str, head: ObjectHead) -> ReadRecord:
    key = head["key"]
    if head["size"] > TEXT_MAX:
        raise BundleError(f"the record {key} has {head['size']} bytes, and a bundle takes {TEXT_MAX}")
    text = storage.get_object(storage.bucket, key)
    content = record_text.decode(text)
    if content is None:
        raise BundleError(f"the record {key} cannot be read, so nobody knows which artifacts it names")
    return _read(run, key, text, content)


def _read(run: str, key: str, text: bytes, content: dict[str, Any]) -> ReadRecord:
    return ReadRecord(Entry(name=record_name(run, key), digest=digest_of((text,)), size=len(text)), text, content)


def of_step(records: list[ReadRecord], step: PastStep) -> list[Any]:
    """Return what records say of one step: its own record, and its place in that of the run."""
    found: list[Any] = []
    for record in records:
        if record.entry.name.endswith("/run.json"):
            found += [each for each in steps_of_record(record.content) if each.get("key") == step.key]
        else:
            found.append(record.content)
    return found
