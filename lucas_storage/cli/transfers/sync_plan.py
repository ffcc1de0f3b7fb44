"""The plan of `sync`: two sides walked side by side, and the transfers that make one like the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import click

from actorc.storage.errors import InvalidParameterError
from lucas_storage.cli.session import Session
from lucas_storage.cli.uris import SCHEME, is_target, prefix

from . import replaced
from .attributes import Attributes
from .attributes_file import AttributesReader, AttributesWriter, is_attributes_file
from .comparison import content_differs, differs
from .local_files import LocalFile
from .name_filter import NameFilter
from .queue import Transfer
from .sync_sides import Bucket, Entry, Folder
from .transfer import FOLDER_MARKER, is_folder_marker

Side: TypeAlias = "Folder | Bucket"


def side(session: Session, text: str) -> Side:
    """Return the side that an argument names.

    Raises:
        UsageError: It names one object.
    """
    if not is_target(text):
        return Folder(text)
    target = prefix(text)
    if target.digest:
        raise click.UsageError("a whole reference names one object; drop it from its '?' on")
    return Bucket(session.client(target.store), target)


def side_by_side(here: Iterator[Entry], there: Iterator[Entry]) -> Iterator[tuple[Entry | None, Entry | None]]:
    """Yield the entries of each name on both sides, None where one lacks it; both are in the order of names."""
    # Merged as they come, in the byte order that both have, so that neither listing is held in memory.
    ours, theirs = next(here, None), next(there, None)
    while ours or theirs:
        if theirs is None or (ours and ours.name < theirs.name):
            yield ours, None
            ours = next(here, None)
        elif ours is None or theirs.name < ours.name:
            yield None, theirs
            theirs = next(there, None)
        else:
            yield ours, theirs
            ours, theirs = next(here, None), next(there, None)


class SyncPlan:
    """The transfers of one `sync`, found while they are iterated over.

    Args:
        here: The source.
        there: The destination.
        checksum: Whether files are compared by content.
        chosen: Chooses among the names on both sides.
        attributes: The file that keeps attributes of objects, if one is given.
        dry_run: Whether that file is left as it is.

    Raises:
        UsageError: The two do not go together.
        OSError: The file of attributes cannot be read.
        InvalidParameterError: It is none.
    """

    def __init__(
        self,
        here: Side,
        there: Side,
        *,
        checksum: bool,
        chosen: NameFilter,
        attributes: Path | None,
        dry_run: bool,
    ) -> None:
        _check(here, there, attributes)
        self._here = here
        self._there = there
        self._checksum = checksum
        self._chosen = chosen
        self._attributes = attributes
        self._given = AttributesReader(attributes) if attributes and isinstance(here, Folder) else None
        # On the way to a directory, too: what it says of names that are left out stays, and no other file is replaced.
        self._kept = AttributesReader(attributes) if attributes and not self._given and attributes.exists() else ()
        self._writing = not dry_run
        self.surplus: list[Entry] = []
        """What the destination alone has; complete after the iteration."""
        self.losing: list[str] = []
        """Objects whose attributes the copies do not keep; complete after the iteration."""

    def transfers(self) -> Iterator[Transfer]:
        """Iterate over a transfer for each entry that may have to be copied."""
        with ExitStack() as stack:
            writer = None
            if self._attributes and self._given is None and self._writing:
                writer = stack.enter_context(AttributesWriter(self._attributes))
                for name, kept in self._kept:
                    if not self._chosen(name):
                        writer.add(name, kept)
            pairs = side_by_side(self._entries(self._here, source=True), self._entries(self._there, source=False))
            for entry, present in pairs:
                if entry is None:
                    self.surplus.extend([present] if present else [])
                    continue
                self._keep_attributes(entry, writer)
                yield self._transfer(entry, present)

    def _entries(self, side: Side, *, source: bool) -> Iterator[Entry]:
        for entry in side.entries(source=source):
            # An entry without a name is the folder itself, which cannot be read.
            if entry.name and not self._chosen(entry.name):
                continue
            # An object of the name of that file is neither replaced by it nor surplus because it is not copied.
            if (isinstance(entry.item, LocalFile) or not source) and self._is_own(entry):
                continue
            # A marker that the files have no name for is no surplus: its folder may well be there.
            if not source and isinstance(self._here, Folder) and _is_marker(entry):
                continue
            yield entry

    def _is_own(self, entry: Entry) -> bool:
        """Return whether an entry is the file of attributes, or an object that would be copied there."""
        if self._attributes is None:
            return False
        folder = self._here if isinstance(self._here, Folder) else self._there
        assert isinstance(folder, Folder)
        path = entry.item.path if isinstance(entry.item, LocalFile) else folder.path / entry.name
        return is_attributes_file(path, self._attributes)

    def _keep_attributes(self, entry: Entry, writer: AttributesWriter | None) -> None:
        if isinstance(entry.item, LocalFile) or isinstance(self._there, Bucket) or _is_marker(entry):
            return
        attributes = Attributes.of(entry.item)
        if not attributes.kept_by_file(entry.name):
            if writer is not None:
                writer.add(entry.name, attributes)
            elif self._attributes is None:
                assert isinstance(self._here, Bucket)
                self.losing.append(str(self._here.place(entry.name)))

    def _transfer(self, entry: Entry, present: Entry | None) -> Transfer:
        transfer = self._received(entry)
        if isinstance(self._there, Folder) and _is_marker(entry):
            return replace(transfer, problem=None, skipped=FOLDER_MARKER)
        if present is None or transfer.problem is not None:
            return transfer
        transfer = replace(transfer, replaces=partial(replaced.of_item, present.item))
        if self._given and not isinstance(present.item, LocalFile) and self._given.differ(entry.name, present.item):
            return transfer
        # Files whose content must be compared are read on the threads of the queue, not here, where the listing waits.
        verdict = differs(entry.item, present.item, checksum=self._checksum)
        needed = partial(content_differs, entry.item, present.item) if verdict is None else partial(bool, verdict)
        return replace(transfer, is_needed=needed)

    def _received(self, entry: Entry) -> Transfer:
        if isinstance(self._there, Bucket):
            return self._there.receive(self._here, entry, self._given[entry.name] if self._given else Attributes())
        assert isinstance(self._here, Bucket)
        transfer = self._there.receive(self._here, entry)
        if transfer.problem is None and self._is_own(entry):
            problem = InvalidParameterError(f"{self._attributes} is the file of --metadata; name another file for that")
            return replace(transfer, problem=problem)
        return transfer


def _is_marker(entry: Entry) -> bool:
    return not isinstance(entry.item, LocalFile) and is_folder_marker(entry.item)


def _check(here: Side, there: Side, attributes: Path | None) -> None:
    if isinstance(here, Folder) and isinstance(there, Folder):
        raise click.UsageError(
            f"at least one of the two is in a bucket, such as {SCHEME}default/my-bucket/data; if {str(there)!r} is, "
            "write it like that"
        )
    if not isinstance(here, Bucket) or not isinstance(there, Bucket):
        return
    if attributes:
        raise click.UsageError("--metadata is for copies between a directory and a bucket; objects keep what they have")
    source, destination = here.target.key, there.target.key
    same = (here.client.endpoint, here.target.bucket) == (there.client.endpoint, there.target.bucket)
    if same and (source.startswith(destination) or destination.startswith(source)):
        raise click.UsageError(f"one of {here} and {there} lies inside the other; choose places apart")
