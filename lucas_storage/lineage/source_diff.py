"""How the recorded source of a function differs in two runs: a unified diff with the names and lines of its files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Final

from lucas_storage.preview_data import cut

from .differences.texts import changed_lines

_HEAD: Final = re.compile(r"# (.+), line ([0-9]{1,9})")
"""The line above each function in a recorded source."""
_DEFINITION: Final = re.compile(r"\s*(?:async\s+def|def|class)\s+(\w+)")
_LINES: Final = 400


@dataclass(slots=True)
class _Block:
    """One function of a recorded source."""

    file: str = ""
    line: int = 1
    """The number of its first line in its file."""
    text: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the function; its first line if it has none."""
        found = next(filter(None, map(_DEFINITION.match, self.text)), None)
        return found[1] if found else "".join(self.text[:1])


def source_diff(before: str, after: str) -> tuple[str, ...]:
    """Return the lines of a unified diff of two recorded sources, of the functions that differ; empty if none does.

    Where functions stand is no difference: lines above them may have come or gone, and files may have moved.

    Args:
        before: The source of a function and those that it calls, as records have it.
        after: The other one.
    """
    return tuple(islice(_lines(_blocks(before), _blocks(after)), _LINES))


def _lines(before: list[_Block], after: list[_Block]) -> Iterator[str]:
    former = {block.name: block for block in reversed(before)}
    alike = {block.name for block in after} & former.keys()
    pairs = [(former[block.name], block) for block in after if block.name in alike]
    rest = ([block for block in blocks if block.name not in alike] for blocks in (before, after))
    for ours, theirs in (*pairs, *zip_longest(*rest, fillvalue=_Block())):
        lines = changed_lines("\n".join(ours.text), "\n".join(theirs.text), (ours.line, theirs.line))
        if lines:
            yield from (f"--- {cut(ours.file) or '/dev/null'}", f"+++ {cut(theirs.file) or '/dev/null'}", *lines)


def _blocks(source: str) -> list[_Block]:
    found: list[_Block] = []
    for line in source.splitlines():
        head = _HEAD.fullmatch(line)
        if head is not None:
            found.append(_Block(head[1], int(head[2])))
        else:
            if not found:
                found.append(_Block())
            found[-1].text.append(line)
    return found
