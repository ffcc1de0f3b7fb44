"""`tree`: draws the objects below a name as a tree."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import click

from actorc.storage.errors import ObjectNotFoundError
from actorc.storage.units import shown_size
from lucas_storage.cli import globbing
from lucas_storage.cli.completion.parameters import OBJECTS
from lucas_storage.cli.printing import printable
from lucas_storage.cli.session import Session, reading
from lucas_storage.cli.uris import Target, prefix

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient
    from actorc.storage.models import ObjectHead

_Entry: TypeAlias = "ObjectHead | str"


@click.command()
@click.argument("target", metavar="BUCKET[/PREFIX]", type=prefix, shell_complete=OBJECTS)
@click.option("-L", "--level", "depth", type=click.IntRange(min=1), help="Go down so many slashes only.")
@click.option("-d", "--directories", is_flag=True, help="Leave out objects.")
@click.option("-s", "--sizes", is_flag=True, help="Also the size of each object.")
@reading
def tree(session: Session, target: Target, *, depth: int | None, directories: bool, sizes: bool) -> None:
    """Draw the objects below a name as a tree, with a branch at each slash of their keys.

    With --json, a line has what 'ls' has: the head of an object, or a prefix.
    """
    root = target if not target.key or target.key.endswith("/") else target.at(f"{target.key}/")
    drawing = _Drawing(session, root, directories=directories, sizes=sizes)
    session.emit({"bucket": root.bucket, "prefix": root.key, "uri": str(root)}, str(root))
    drawing.draw(depth)
    found = drawing.counts
    if root.key and not found:
        raise ObjectNotFoundError("nothing is beneath this name", target.bucket, target.key)
    if not session.as_json:
        folders = f"{found['folder']} director{'y' if found['folder'] == 1 else 'ies'}"
        objects = f"{found['object']} object{'' if found['object'] == 1 else 's'}, {shown_size(found['size'])}"
        click.echo("\n" + (folders if directories else f"{folders}, {objects}"))


class _Drawing:
    """Prints a line for each entry as it is found: a tree may have millions, and none of them is held."""

    def __init__(self, session: Session, root: Target, *, directories: bool, sizes: bool) -> None:
        self._session = session
        self._client: StorageClient = session.client(root.store)
        self._root = root
        self._directories = directories
        self._sizes = sizes
        self._more, self._last, self._beside = _strokes()
        self.counts: Counter[str] = Counter()
        """Number of each kind, and bytes of the objects."""

    def draw(self, depth: int | None) -> None:
        """Draw what is below the root, `depth` levels of it."""
        # Not by recursion: a key may have more slashes than Python makes calls.
        levels = [(self._root.key, "", self._level(self._root.key))]
        while levels:
            above, margin, entries = levels[-1]
            for entry, following in entries:
                is_last = following is None
                self._line(entry, above, margin + (self._last if is_last else self._more))
                if isinstance(entry, str) and len(levels) != depth:
                    beside = " " * len(self._beside) if is_last else self._beside
                    levels.append((entry, margin + beside, self._level(entry)))
                    break
            else:
                levels.pop()

    def _level(self, above: str) -> Iterator[tuple[_Entry, _Entry | None]]:
        """Yield the entries below a prefix, each with the next one."""
        for entry, following in pairwise(chain(self._entries(above), [None])):
            assert entry is not None
            yield entry, following

    def _entries(self, above: str) -> Iterator[_Entry]:
        for entry in globbing.level(self._client, self._root.bucket, above, details=self._session.as_json):
            # An object named like the prefix itself marks a folder, whose line is drawn already.
            if isinstance(entry, str) or (not self._directories and entry["key"] != above):
                yield entry

    def _line(self, entry: _Entry, above: str, margin: str) -> None:
        key = entry if isinstance(entry, str) else entry["key"]
        name, size = printable(key[len(above) :]), ""
        if isinstance(entry, str):
            self.counts["folder"] += 1
            record = {"bucket": self._root.bucket, "prefix": entry}
        else:
            self.counts["object"] += 1
            self.counts["size"] += entry["size"]
            record = cast("dict[str, Any]", entry)
            size = f"  ({shown_size(entry['size'])})" if self._sizes else ""
        self._session.emit({**record, "uri": str(self._root.at(key))}, f"{margin}{name}{size}")


def _strokes() -> tuple[str, str, str]:
    """Return the strokes before an entry, before the last one, and beside what is below an entry."""
    try:
        "├└│─".encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return "|-- ", "`-- ", "|   "
    return "├── ", "└── ", "│   "
