"""The journal of one load process: intents and outcomes, written before the next call, so that it may be killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ABSENT = "absent"


@dataclass(slots=True)
class Expectation:
    """The states that one key may have: the acknowledged one, and every later one whose outcome is unknown."""

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
    """Yield the entries; stops at a line that a kill cut short."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


def expectations(path: Path) -> dict[str, Expectation]:
    """Return the possible states of each key, according to the journal."""
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
