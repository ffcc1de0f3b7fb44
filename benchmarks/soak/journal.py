"""What one load process intended and what it was told, written before it goes on, so that it may be killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ABSENT = "absent"


@dataclass(slots=True)
class Expectation:
    """What may be found under one key: the acknowledged state, and every later one of which nothing is known."""

    states: set[str] = field(default_factory=lambda: {ABSENT})
    certain: bool = True


class Journal:
    """Appends lines of JSON; a line that a kill cut short is the last one and counts as not written."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def append(self, **entry: Any) -> None:
        """Write one line; the kernel has it when this returns, so that a killed process loses none."""
        self._file.write(json.dumps(entry) + "\n")


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what was appended."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


def expectations(path: Path) -> dict[str, Expectation]:
    """Return what may be found under each key, after what the journal tells."""
    keys: dict[str, Expectation] = {}
    for entry in entries(path):
        if "key" not in entry:
            continue
        expected = keys.setdefault(entry["key"], Expectation())
        if "intent" in entry:
            expected.states.add(entry["intent"])
            expected.certain = False
        elif "told" in entry:
            expected.states = {entry["told"]}
            expected.certain = True
    return keys
