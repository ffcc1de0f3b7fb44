"""Keepers: the records that keep artifacts from being collected, and how long each counts. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from lucas_storage.records import record_store
from lucas_storage.records.record_store import Record
from lucas_storage.records.untrusted_fields import YEAR_10000

KeeperKind: TypeAlias = Literal["name", "memo", "checkpoint", "run"]

_KINDS: Final[dict[str, KeeperKind]] = {
    record_store.NAMES: "name",
    record_store.MEMO: "memo",
    record_store.CHECKPOINTS: "checkpoint",
    record_store.RUNS: "run",
}
_LABEL: Final = 200
"""Characters of a name that are kept of a record, which a stranger may have written."""
_WORDS: Final = {"name": "the name", "memo": "a cached result of", "checkpoint": "a checkpoint of"}
PREFIXES: Final = tuple(_KINDS)
"""Prefixes of the records that keep artifacts, those that count longest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """A record that refers to an artifact, directly or through another artifact."""

    kind: KeeperKind
    """``memo`` is a cached result."""
    record: str
    """Object key."""
    label: str
    """The published name, or that of the function or workflow; any text."""
    until: float | None
    """Seconds since 1970 up to which it counts; None for ever."""
    through: str | None = None
    """Key of the artifact that refers to this one, if the record itself does not."""
    last: int | None = None
    """How many publications of its name a policy keeps, if it limits them."""

    @property
    def words(self) -> str:
        """The kind and the name in words; any text."""
        if self.kind == "run":
            return f"run {self.record.split('/')[1]} of {self.label}"
        limit = "" if self.last is None else f", of whose publications the last {self.last} stay"
        return f"{_WORDS[self.kind]} {self.label}{limit}"

    @property
    def strength(self) -> float:
        """Tells which of two counts longer."""
        return math.inf if self.until is None else self.until


def keeper_of(record: Record, ttl: float) -> Keeper:
    """Return the keeper that a record is by itself, whatever it holds.

    Names count for ever. A cached result counts for its own age limit, or for `ttl` if it has none; records of runs
    and checkpoints count for `ttl`. What other records and a policy have to do with it is told by
    `lucas_storage.gc.judged_records`.

    Args:
        record: The record, whose content is not needed unless it is that of a cached result.
        ttl: Seconds.
    """
    kind = kind_of(record.key)
    content = record.content or {}
    until: float | None = record.modified.timestamp() + ttl
    if kind == "name":
        until = None
    elif kind == "memo":
        until = _end_of_memo(content, until)
    return Keeper(kind=kind, record=record.key, label=_label(kind, record.key, content), until=until)


def kind_of(key: str) -> KeeperKind:
    """Return the kind of the record under a key that begins with one of `PREFIXES`."""
    return _KINDS[f"{key.partition('/')[0]}/"]


def _end_of_memo(content: dict[str, Any], otherwise: float | None) -> float | None:
    at: Any = content.get("at")
    age: Any = content.get("age")
    if type(at) not in (int, float) or type(age) not in (int, float):
        return otherwise
    # A stranger may have written them. What lies beyond every date counts for ever.
    if not (abs(at) < YEAR_10000 and age < YEAR_10000 - abs(at)):
        return None
    return max(0.0, float(at + age))


def _label(kind: KeeperKind, key: str, content: dict[str, Any]) -> str:
    if kind == "name":
        name, _, rest = key.removeprefix(record_store.NAMES).removesuffix(".json").partition("/")
        _, _, which = rest.partition("/")
        return f"{name}@{which}" if which else name
    named = content.get("workflow") or content.get("function")
    return named[:_LABEL] if isinstance(named, str) else "?"
