"""Previews as data: what an artifact is and how it begins, bounded in size, for notebook, page, JSON and terminal.

The texts in them are a stranger's, and may hold any characters: who shows them escapes them, `display.markup` for HTML
and `cli.printing` for a terminal.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal[
    "array", "audio", "bytes", "directory", "image", "json", "other", "pickle", "table", "tensors", "text"
]

TEXT: Final = 1000
"""Characters of a cell, a fact or a name that are kept."""
LINE: Final = 10_000
"""Characters of a line."""
ITEMS: Final = 1000
"""Lines, rows, columns, facts or entries."""
IMAGE: Final = 1 << 20
"""Bytes of a picture."""
PNG: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Numbers of values in intervals of one width."""

    low: float
    """Where the first interval begins."""
    high: float
    """Where the last one ends."""
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Statistics of the values of an array."""

    count: int
    """Values that were looked at."""
    nans: int = 0
    """Those among them that are no number."""
    infinite: int = 0
    low: str | None = None
    """The smallest value that is a number, exactly; None if there is none."""
    high: str | None = None
    mean: float | None = None
    """Of those that are finite."""
    histogram: Histogram | None = None
    """Likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table, and statistics of it."""

    name: str
    type: str
    count: int = 0
    """Rows that were looked at."""
    nulls: int | None = None
    """None of a column whose values were not looked at, and so for the rest."""
    low: str | None = None
    """The smallest value."""
    high: str | None = None
    whole: bool = False
    """Whether nulls, low and high are those of all rows, since the file tells them."""
    mean: float | None = None
    distinct: int | None = None
    """Different values, nulls aside."""
    common: tuple[tuple[str, int], ...] = ()
    """The most frequent values with their numbers, where few values make up the column."""
    histogram: Histogram | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeNode:
    """A value within JSON data."""

    name: str
    """Its name in the object, or number in the array, that holds it; empty at the top."""
    kind: Literal["object", "array", "text", "number", "boolean", "null"]
    text: str = ""
    """The value as JSON, if it holds no others."""
    size: int = 0
    """Values that it holds, of which `children` has the first."""
    children: tuple[TreeNode, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file of a directory, or a part of another whole."""

    name: str
    size: int | None = None
    """Bytes; None of an empty directory."""
    note: str = ""
    """Such as the type and shape of a tensor, or ``executable``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The beginning of an artifact, and facts about all of it. Immutable; its size is bounded by `bounded`."""

    kind: Kind = "other"
    facts: dict[str, str] = field(default_factory=dict)
    """Facts about the whole artifact, by name."""
    lines: tuple[str, ...] = ()
    """The beginning of its content; it may hold any characters but line ends. Of a table one line for each row, with
    tabs between the cells, the names of the columns first."""
    complete: bool = False
    """Whether `lines` are all of the content."""
    table: tuple[tuple[str, ...], ...] = ()
    """Of a table the same as cells, which may hold any characters."""
    width: int = 0
    """Of a table the number of its columns, of which `table` has the first."""
    columns: tuple[Column, ...] = ()
    """Of a table the first columns with their statistics."""
    numbers: Numbers | None = None
    """Of an array the statistics of its values."""
    sample: str = ""
    """The part that statistics are of, such as ``the first 10000 rows``; empty if they are of everything."""
    image: bytes | None = None
    """Of an image, or an array of two dimensions, a small PNG file."""
    tree: TreeNode | None = None
    """Of JSON data its values, down to some depth."""
    entries: tuple[Entry, ...] = ()
    """Of a directory the first files, of tensors the tensors."""
    error: str = ""
    """Why there is no more to see, if that is so."""

    def to_json(self) -> dict[str, Any]:
        """Return the preview as JSON data of bounded size; the image in Base64, and no number that JSON lacks."""
        plain: dict[str, Any] = _plain(self.bounded())
        return plain

    def bounded(self) -> Preview:
        """Return the same with texts, lists and image cut to the bounds above."""
        return replace(
            self,
            facts={cut(name): cut(value) for name, value in list(self.facts.items())[:ITEMS]},
            lines=tuple(cut(line, LINE) for line in self.lines[:ITEMS]),
            table=tuple(tuple(map(cut, row[:ITEMS])) for row in self.table[:ITEMS]),
            columns=self.columns[:ITEMS],
            entries=self.entries[:ITEMS],
            image=self.image if self.image and self.image.startswith(PNG) and len(self.image) <= IMAGE else None,
            error=cut(self.error),
        )


def cut(text: str, limit: int = TEXT) -> str:
    """Return a text of at most so many characters, with an ellipsis behind what was cut.

    Halves of surrogate pairs, which JSON may hold and UTF-8 may not, become escapes.
    """
    found = text if len(text) <= limit else f"{text[:limit]}…"
    return found if found.isascii() else found.encode(errors="backslashreplace").decode()


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value
