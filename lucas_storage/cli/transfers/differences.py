"""Differences between two files or objects, or between what is in two places."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from actorc.storage.errors import ObjectNotFoundError
from actorc.storage.units import shown_size
from lucas_storage.cli.session import Session
from lucas_storage.cli.uris import SCHEME, is_target, prefix

from .attributes import Attributes
from .comparison import Item, content_differs
from .local_files import LocalFile
from .name_filter import NameFilter
from .sync_plan import Side, side, side_by_side
from .sync_sides import Bucket, Entry
from .transfer import is_folder_marker

if TYPE_CHECKING:
    from actorc.storage.models import ObjectHead

_LONGEST: Final = 1 << 20
"""Bytes of a text up to which its lines are compared."""
_MOST_LINES: Final = 10_000
"""Lines up to which that is done: `difflib` takes time with their square, which is ten seconds here."""

_UNENDED: Final = "\\ No newline at end of file"
"""What `diff` says of a last line that does not end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A name that one place lacks, or that has something else there."""

    result: str
    """``only in source``, ``only in destination`` or ``differs``."""
    source: str | None
    destination: str | None
    sizes: tuple[int | None, int | None]
    """Bytes of both."""
    changed_lines: Callable[[], Sequence[str]] = tuple
    """Reads both, and returns the lines that differ if they are short texts."""

    @property
    def record(self) -> dict[str, Any]:
        """The fields for programs."""
        names = {"result": self.result, "source": self.source, "destination": self.destination}
        return {**names, "source_size": self.sizes[0], "destination_size": self.sizes[1]}

    def __str__(self) -> str:
        if lines := self.changed_lines():
            return "\n".join(lines)
        names = " ".join(filter(None, (self.source, self.destination)))
        sizes = ", ".join(shown_size(size) for size in self.sizes if size is not None)
        return f"{self.result}: {names} ({sizes})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _One:
    """A file or an object."""

    name: str
    item: Item
    read: Any
    """Returns the whole content."""


def differences(session: Session, source: str, destination: str, by: str, chosen: NameFilter) -> Iterator[Difference]:
    """Iterate over the differences.

    Args:
        session: Has the connections.
        source: A path, or a ``lucas://`` target.
        destination: Another one; one of the two at least is a target.
        by: ``content``, ``size``, ``etag`` or ``metadata``.
        chosen: Chooses among the names in both places.

    Raises:
        UsageError: The two cannot be compared.
        NotFoundError: One does not exist.
        OSError: A file cannot be read.
    """
    if not is_target(source) and not is_target(destination):
        raise click.UsageError(f"at least one of the two is in a bucket, such as {SCHEME}default/my-bucket/data")
    ours, theirs = _one(session, source), _one(session, destination)
    if ours and theirs:
        _check_by(by, ours.item, theirs.item)
        return _of_two(ours, theirs, by)
    if ours or theirs:
        single, several = (source, destination) if ours else (destination, source)
        raise click.UsageError(f"{single} is one object or file, and {several} is none; name two alike")
    here, there = side(session, source), side(session, destination)
    for each in (here, there):
        each.check_source()
    if by in {"etag", "metadata"} and not (isinstance(here, Bucket) and isinstance(there, Bucket)):
        raise click.UsageError(f"--by {by} is for two places in buckets; files have none")
    return _of_places(here, there, by, chosen)


def _one(session: Session, text: str) -> _One | None:
    """Return the object or file that an argument names; None for a place that has several."""
    if not is_target(text):
        path = Path(text)
        if path.is_dir():
            return None
        status = path.stat()
        file = LocalFile(path=path, size=status.st_size, mtime_ns=status.st_mtime_ns)
        return _One(name=text, item=file, read=path.read_bytes)
    target = prefix(text)
    client = session.client(target.store)
    if not target.key:
        return None
    try:
        head = client.head_object(target.bucket, target.key)
    except ObjectNotFoundError:
        return None
    read = lambda: bytes(client.get_object(target.bucket, target.key, generation=head["generation"]))  # noqa: E731
    return _One(name=str(target), item=head, read=read)


def _check_by(by: str, ours: Item, theirs: Item) -> None:
    if by in {"etag", "metadata"} and (isinstance(ours, LocalFile) or isinstance(theirs, LocalFile)):
        raise click.UsageError(f"--by {by} is for two objects; a file has none")


def _of_two(ours: _One, theirs: _One, by: str) -> Iterator[Difference]:
    if not _differ(ours.item, theirs.item, by):
        return
    sizes = (_size(ours.item), _size(theirs.item))
    found = Difference(result="differs", source=ours.name, destination=theirs.name, sizes=sizes)
    if by == "content" and max(sizes) <= _LONGEST:
        found = replace(found, changed_lines=partial(_changed_lines, ours, theirs))
    yield found


def _of_places(here: Side, there: Side, by: str, chosen: NameFilter) -> Iterator[Difference]:
    ours, theirs = (_entries(each, chosen) for each in (here, there))
    for left, right in side_by_side(ours, theirs):
        if left and right:
            if _differ(left.item, right.item, by):
                names = (_name(here, left), _name(there, right))
                yield Difference(result="differs", source=names[0], destination=names[1], sizes=(left.size, right.size))
        elif left:
            yield Difference(
                result="only in source", source=_name(here, left), destination=None, sizes=(left.size, None)
            )
        elif right:
            yield Difference(
                result="only in destination", source=None, destination=_name(there, right), sizes=(None, right.size)
            )


def _entries(place: Side, chosen: NameFilter) -> Iterator[Entry]:
    for entry in place.entries(source=True):
        if isinstance(entry.item, LocalFile):
            if entry.item.problem is not None:
                raise entry.item.problem
        elif is_folder_marker(entry.item):
            continue  # a directory has none
        if chosen(entry.name):
            yield entry


def _name(place: Side, entry: Entry) -> str:
    return str(place.place(entry.name)) if isinstance(place, Bucket) else str(place.path / entry.name)


def _differ(ours: Item, theirs: Item, by: str) -> bool:
    if _size(ours) != _size(theirs):
        return True
    if by == "size":
        return False
    if isinstance(ours, LocalFile) or isinstance(theirs, LocalFile):
        return content_differs(ours, theirs)
    return _heads_differ(ours, theirs, by)


def _heads_differ(ours: ObjectHead, theirs: ObjectHead, by: str) -> bool:
    if by == "etag":
        return ours["etag"] != theirs["etag"]
    # The time that `sync` keeps in the metadata is no metadata of the user's.
    metadata = by == "metadata" and Attributes.of(ours) != Attributes.of(theirs)
    return metadata or ours["crc32c"] != theirs["crc32c"]


def _size(item: Item) -> int:
    return item.size if isinstance(item, LocalFile) else item["size"]


def _changed_lines(ours: _One, theirs: _One) -> tuple[str, ...]:
    """Return the lines that differ, as `diff -u` writes them; none if one of the two is no text, or too long."""
    texts = [_text(each.read()) for each in (ours, theirs)]
    if texts[0] is None or texts[1] is None:
        return ()
    lines = difflib.unified_diff(texts[0], texts[1], ours.name, theirs.name)
    return tuple(line.removesuffix("\n") if line.endswith("\n") else f"{line}\n{_UNENDED}" for line in lines)


def _text(data: bytes) -> list[str] | None:
    if b"\0" in data:
        return None
    try:
        # Not `splitlines`, which also splits at characters that are no line ends for other programs.
        lines = re.findall(r"[^\n]*\n|[^\n]+", data.decode())
    except UnicodeDecodeError:
        return None
    return lines if len(lines) <= _MOST_LINES else None
