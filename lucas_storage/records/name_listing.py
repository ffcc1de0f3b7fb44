"""All published names, with the aliases and versions of each, for people who look for one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from actorc.storage.models import ObjectHead
from lucas_storage import parallel
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.refs import ArtifactRef

from . import record_store
from .ulid import is_ulid
from .untrusted_fields import moment_of, text_or_none

NAMES_MAX: Final = 1000
"""Names that are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """An artifact as it was published. What a record does not have is None."""

    ref: ArtifactRef | None
    at: float
    """Seconds since 1970."""
    version: str | None
    run: str | None


@dataclass(slots=True, kw_only=True)
class PublishedName:
    """A name, and what it stands for."""

    name: str
    count: int = 0
    """Publications."""
    latest: Publication | None = None
    aliases: dict[str, Publication] = field(default_factory=dict)
    versions: dict[str, Publication] = field(default_factory=dict)


def published_names(storage: ArtifactStore) -> list[PublishedName]:
    """Return the first `NAMES_MAX` names in their order; of the publications of each, the latest and those with names.

    Raises:
        StorageError: The store cannot be read.
    """
    found: dict[str, PublishedName] = {}
    latest: dict[str, ObjectHead] = {}
    named = defaultdict[str, list[tuple[str, str, ObjectHead]]](list)
    for head in record_store.heads(storage, record_store.NAMES):
        name, _, rest = head["key"].removeprefix(record_store.NAMES).removesuffix(".json").partition("/")
        if name not in found and len(found) == NAMES_MAX:
            break
        entry = found.setdefault(name, PublishedName(name=name))
        kind, _, which = rest.partition("/")
        if is_ulid(rest):
            entry.count += 1
            latest[name] = head
        elif kind in ("aliases", "versions"):
            named[name].append((kind, which, head))
    _fill(storage, found, latest, named)
    return list(found.values())


def _fill(
    storage: ArtifactStore,
    found: dict[str, PublishedName],
    latest: dict[str, ObjectHead],
    named: dict[str, list[tuple[str, str, ObjectHead]]],
) -> None:
    wanted = [*_wanted(latest, named)]
    read = parallel.each(partial(_publication, storage), (head for _, _, _, head in wanted))
    for (name, kind, which, _), publication in zip(wanted, read, strict=True):
        entry = found[name]
        if publication is None:
            continue
        if kind == "latest":
            entry.latest = publication
        else:
            (entry.aliases if kind == "aliases" else entry.versions)[which] = publication


def _wanted(
    latest: dict[str, ObjectHead], named: dict[str, list[tuple[str, str, ObjectHead]]]
) -> Iterator[tuple[str, str, str, ObjectHead]]:
    yield from ((name, "latest", "", head) for name, head in latest.items())
    yield from ((name, kind, which, head) for name, members in named.items() for kind, which, head in members)


def _publication(storage: ArtifactStore, head: ObjectHead) -> Publication | None:
    record = record_store.read_listed(storage, head)
    content = record.content if record else None
    if content is None:
        return None
    ref = content.get("ref")
    return Publication(
        ref=ref if type(ref) is ArtifactRef else None,
        at=moment_of(content.get("at")),
        version=text_or_none(content.get("version")),
        run=text_or_none(content.get("run")),
    )
