"""The verdict of a soak, from the journals, the store and the clocks."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from actorc.storage import NotFoundError, StorageClient

from .content import state
from .journal import ABSENT, entries, expectations
from .linearizability import Operation, violation
from .load import BUCKET, REGISTER

Window = tuple[float, float]


@dataclass(slots=True)
class Verdict:
    """The findings."""

    calls: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    """Keys read back whose last change was acknowledged."""
    uncertain: int = 0
    """Keys read back whose last change ended in an error or a kill."""
    wrong: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    """Messages of calls that ended with an `IntegrityError`."""
    register: str | None = None
    register_calls: int = 0
    quiet: list[float] = field(default_factory=list)
    besieged: list[float] = field(default_factory=list)
    besieged_failures: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing was lost and nothing was wrong."""
        return not self.wrong and self.register is None


def judge(journals: Iterable[Path], client: StorageClient, initial: str, sieges: Sequence[Window]) -> Verdict:
    """Return the verdict on the journals, after reading back every key that they name.

    Args:
        journals: Of all load processes there were.
        client: Of the server, which runs quietly.
        initial: What the register held before the first call.
        sieges: When strangers held calls open; only processes named ``direct`` count for the times in and outside.
    """
    verdict = Verdict()
    history = [Operation(value=initial, is_write=True, start=-math.inf, finish=-math.inf)]
    for journal in journals:
        _read_calls(journal, verdict, sieges)
        history += _register(journal)
        _read_back(journal, client, verdict)
    final = state(client.get_object(BUCKET, REGISTER))
    history.append(Operation(value=final, is_write=False, start=math.inf, finish=math.inf))
    verdict.register, verdict.register_calls = violation(history), len(history)
    return verdict


def percentile(samples: Sequence[float], part: float) -> float:
    """Return the value that `part` of the samples do not exceed, in seconds."""
    return statistics.quantiles(samples, n=1000, method="inclusive")[round(part * 1000) - 1] if samples else math.nan


def _read_calls(journal: Path, verdict: Verdict, sieges: Sequence[Window]) -> None:
    for entry in entries(journal):
        if "wrong" in entry:
            verdict.wrong.append(entry["wrong"])
        if "refused" in entry:
            verdict.refused[entry["refused"]] += 1
        if "op" not in entry:
            continue
        verdict.calls[entry["op"]] += 1
        if entry["failure"]:
            verdict.failures[entry["failure"]] += 1
        if journal.name.startswith("direct"):
            _time(entry, verdict, sieges)


def _time(entry: dict[str, float], verdict: Verdict, sieges: Sequence[Window]) -> None:
    inside = any(begin <= entry["began"] and entry["began"] + entry["seconds"] <= end for begin, end in sieges)
    (verdict.besieged if inside else verdict.quiet).append(entry["seconds"])
    verdict.besieged_failures += bool(inside and entry["failure"])


def _register(journal: Path) -> list[Operation]:
    calls: dict[tuple[str, float], Operation] = {}
    for entry in entries(journal):
        if "register" in entry:
            calls[entry["register"], entry["start"]] = Operation(
                value=entry["register"],
                is_write=entry["is_write"],
                start=entry["start"],
                finish=entry.get("finish", math.inf),
            )
    return list(calls.values())


def _read_back(journal: Path, client: StorageClient, verdict: Verdict) -> None:
    expected = expectations(journal)
    prefix = f"{journal.stem}/"
    for key in {found["key"] for found in client.iter_objects(BUCKET, prefix)} - expected.keys():
        verdict.wrong.append(f"{key} is there and was never written whole")
    for key, known in expected.items():
        try:
            found = state(client.get_object(BUCKET, key))
        except NotFoundError:
            found = ABSENT
        if found not in known.states:
            verdict.wrong.append(f"{key} is {found} in the end, not one of {sorted(known.states)}")
        verdict.checked += known.certain
        verdict.uncertain += not known.certain
