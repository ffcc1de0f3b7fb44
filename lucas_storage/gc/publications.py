"""Publications that a policy lets go: those of a name beyond its latest, unless an alias has to do with them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lucas_storage.records import record_store
from lucas_storage.records.record_store import Record
from lucas_storage.records.ulid import is_ulid

from .policy import Policy


@dataclass(slots=True)
class _Name:
    """The records of a name, by the publication that they are of."""

    records: dict[str, list[Record]] = field(default_factory=dict)
    """Publications and versions by the id of the publication."""
    held: set[str] = field(default_factory=set)
    """Ids that an alias has."""


def ends_of_publications(records: Iterable[Record], policy: Policy, *, grace: float) -> dict[str, float]:
    """Return until when those records count that the policy lets go, in seconds since 1970, by their keys.

    Of a name the latest publications count, by the order in which lookups find the latest. So do those that an alias
    names now or named before it was moved last, with their versions, and records that were written within the grace
    period: the clock of a publisher may be behind, and an alias may be about to be moved. Aliases always count.

    Args:
        records: All records of these names, whose content may be None.
        policy: Says how many.
        grace: Seconds for which each record counts since it was written.
    """
    ends: dict[str, float] = {}
    for name, found in _by_name(records).items():
        last = policy.last_of(name)
        if last is not None:
            latest = set(sorted(found.records)[-last:])
            gone = found.records.keys() - latest - found.held
            ends.update((each.key, each.modified.timestamp() + grace) for id_ in gone for each in found.records[id_])
    return ends


def _by_name(records: Iterable[Record]) -> dict[str, _Name]:
    names: dict[str, _Name] = {}
    for record in records:
        name, _, rest = record.key.removeprefix(record_store.NAMES).removesuffix(".json").partition("/")
        found = names.setdefault(name, _Name())
        kind, _, which = rest.partition("/")
        if kind == "aliases" and which:
            found.held.update(_ids(record, "id", "before"))
        elif is_ulid(rest):
            found.records.setdefault(rest, []).append(record)
        elif kind == "versions" and which:
            # A record of no publication is not known to be an old one, and stays.
            for id_ in _ids(record, "id"):
                found.records.setdefault(id_, []).append(record)
    return names


def _ids(record: Record, *fields: str) -> Iterator[str]:
    content = record.content or {}
    found = (content.get(each) for each in fields)
    yield from (id_ for id_ in found if isinstance(id_, str) and is_ulid(id_))
