"""The report of a soak, as Markdown."""

from __future__ import annotations

import os
import platform
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from .verdict import Verdict, percentile


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts about one soak."""

    minutes: float
    seed: int
    events: Counter[str]
    faults: Counter[str]
    siege: float
    fsck: str
    stored: tuple[int, int]
    errors: list[str]


def written(facts: Facts, verdict: Verdict) -> str:
    """Return the report."""
    run = f"{facts.minutes:.0f} minutes, seed {facts.seed}, Python {platform.python_version()}, {os.cpu_count()} cores"
    lines = [
        "# Soak",
        "",
        f"Written by `make soak` on {datetime.now(UTC).date()}: {run}",
        "for the server, its clients and everything that disturbs them. [What it does](reliability.md#the-soak).",
        "",
        "| | |",
        "| --- | --- |",
        f"| calls | {verdict.calls.total()}: {_counted(verdict.calls)} |",
        f"| calls that ended in an error | {verdict.failures.total()}: {_counted(verdict.failures)} |",
        f"| events | {facts.events.total()}: {_counted(facts.events)} |",
        f"| faults of the network | {facts.faults.total()}: {_counted(facts.faults)} |",
        f"| keys read back whose last change was acknowledged | {verdict.checked} |",
        f"| keys read back whose last change ended in an error or a kill | {verdict.uncertain} |",
        f"| lost, wrong or half | {len(verdict.wrong)} |",
        f"| calls on one key by all processes, in one order | {verdict.register_calls}: {verdict.register or 'yes'} |",
        f"| `lucas-storage fsck` afterwards | {_one_line(facts.fsck)} |",
        f"| stored in the end | {facts.stored[0]} files, {facts.stored[1] / 2**20:.0f} MiB |",
        f"| errors in the log of the server | {len(facts.errors)} |",
        "",
        "Seconds that a call took, of clients that reach the server directly; while 500 calls of strangers were held",
        f"open, {facts.siege:g} s at a time, nothing else happened; at other times the server was killed and stopped:",
        "",
        "| | calls | median | p99 | longest | errors |",
        "| --- | --- | --- | --- | --- | --- |",
        f"| besieged | {_times(verdict.besieged)} | {verdict.besieged_failures} |",
        f"| otherwise | {_times(verdict.quiet)} | |",
        "",
    ]
    lines += [f"* {found}" for found in [*verdict.wrong, *verdict.refused, *facts.errors][:50]]
    return "\n".join(lines).rstrip("\n") + "\n"


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items())) or "none"


def _times(samples: list[float]) -> str:
    parts = (percentile(samples, 0.5), percentile(samples, 0.99), max(samples, default=0.0))
    return " | ".join((str(len(samples)), *(f"{seconds:.3f}" for seconds in parts)))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300] or "nothing"
