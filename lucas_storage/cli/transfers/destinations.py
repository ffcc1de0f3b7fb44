"""Destinations of `cp`: a bucket or prefix, or a local file or folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from actorc.storage.errors import InvalidParameterError, NotFoundError, PermissionError
from lucas_storage.cli import globbing
from lucas_storage.cli.globbing import FoundObject
from lucas_storage.cli.session import Session
from lucas_storage.cli.uris import Target, prefix

from . import replaced
from .attributes import Attributes
from .local_files import LocalFile
from .name_filter import NameFilter
from .queue import Transfer
from .safe_paths import ClaimedNames, SafeFolder
from .transfer import FOLDER_MARKER, copy, download, is_folder_marker, upload

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a copy."""

    recursive: bool
    no_clobber: bool
    content_type: str | None = None
    chosen: NameFilter = field(default_factory=NameFilter)
    """Chooses among the names below a folder or prefix, or those that match a pattern."""
    removing: bool = False
    """Whether each source is removed when its copy is complete."""


class BucketDestination:
    """A bucket, a prefix in it, or an object.

    Args:
        session: Has the connection.
        text: The argument on the command line.
        options: Options of the copy.
        into: Whether sources go into it under their own names, even if the text does not end with a slash.

    Raises:
        UsageError: Nothing can be written there.
    """

    def __init__(self, session: Session, text: str, options: Options, *, into: bool) -> None:
        # A destination has no wildcards: a star in it is part of the key.
        self._target = replace(prefix(text), pattern="")
        if self._target.digest:
            raise click.UsageError("what a whole reference names is not written twice; drop it from its '?' on")
        self._client = session.client(self._target.store)
        self._options = options
        self._into = into or not self._target.key or self._target.key.endswith("/")
        self._claims = ClaimedNames(folders=False)

    def check_outside(self, client: StorageClient, source: Target) -> None:
        """Check that the destination does not lie below the source.

        Raises:
            UsageError: It does: the copies would be found as sources, and copied for ever.
        """
        same = (client.endpoint, source.bucket) == (self._client.endpoint, self._target.bucket)
        beneath = globbing.fixed_part(source) if source.pattern else _under(source.key, "")
        if same and _under(self._target.key, "").startswith(beneath):
            raise click.UsageError(f"{self._target} lies inside {source}; copy to somewhere else")

    def from_object(self, client: StorageClient, source: Target, found: FoundObject) -> Transfer:
        """Return the copy of an object."""
        target = self._place(found.own, found.rest)
        clients = (client, self._client)
        options = self._options
        transfer = copy(clients, found.head, source, target, no_clobber=options.no_clobber, pinned=options.removing)
        same = (client.endpoint, source.bucket, source.key) == (self._client.endpoint, target.bucket, target.key)
        # A copy onto itself would change nothing but the generation; it is probably a mistyped destination.
        if same:
            problem = InvalidParameterError("source and destination are the same object", target.bucket, target.key)
            return replace(transfer, problem=problem)
        return self._ready(transfer, target)

    def from_file(self, file: LocalFile) -> Transfer:
        """Return the upload of a file."""
        target = self._place(file.own, file.rest)
        attributes = Attributes(content_type=self._options.content_type)
        transfer = upload(self._client, file, target, attributes=attributes, no_clobber=self._options.no_clobber)
        return self._ready(transfer, target)

    def present(self, own: str) -> str | None:
        """Return the place of a source with this name if there is any object that its copies may replace."""
        place = replace(self._target, key=_under(self._target.key, own if self._into else ""))
        try:
            found = self._client.list_objects(place.bucket, place.key, 1)["objects"]
        except (NotFoundError, PermissionError):
            return None  # nothing is there, or this cannot be known
        return str(place) if found else None

    def _ready(self, transfer: Transfer, target: Target) -> Transfer:
        if not self._options.no_clobber:
            transfer = replace(transfer, replaces=partial(replaced.object_at, self._client, target))
        return _claimed(transfer, self._claims, target.key)

    def _place(self, own: str, rest: str | None) -> Target:
        folder = self._target.key
        if self._into:
            return replace(self._target, key=_under(folder, _name(own, rest)))
        return self._target if rest is None else replace(self._target, key=_under(folder, rest))


class FileDestination:
    """A local file or folder.

    Args:
        text: The argument on the command line.
        options: Options of the copy.
        into: Whether sources go into it under their own names, even if the text does not end with a slash.
    """

    def __init__(self, text: str, options: Options, *, into: bool) -> None:
        self._path = Path(text)
        self._options = options
        self._into = into or text.endswith("/") or text in {".", ".."}
        self._safe_folder = SafeFolder(self._path)
        self._claims = ClaimedNames(folders=True)

    def from_object(self, client: StorageClient, source: Target, found: FoundObject) -> Transfer:
        """Return the download of an object."""
        make = partial(download, client, found.head, source, no_clobber=self._options.no_clobber)
        if found.rest is not None and is_folder_marker(found.head):
            return replace(make(self._path), skipped=FOLDER_MARKER)
        if self._into or (found.rest is None and self._path.is_dir()):
            return self._inside(make, _name(found.own, found.rest))
        return make(self._path) if found.rest is None else self._inside(make, found.rest)

    def _inside(self, make: Callable[..., Transfer], name: str) -> Transfer:
        try:
            path = self._safe_folder.path(name)
        except InvalidParameterError as error:
            return replace(make(self._path), problem=error)
        return _claimed(make(path, inside=self._safe_folder), self._claims, name)


def _claimed(transfer: Transfer, claims: ClaimedNames, name: str) -> Transfer:
    """Return the transfer, with a problem instead if another transfer has its name."""
    if transfer.problem is not None:
        return transfer
    try:
        # On the planning thread, in the order of the sources, so that the first of two wins, whichever is quicker.
        claims.claim(name)
    except InvalidParameterError as error:
        return replace(transfer, problem=error)
    return transfer


def _name(own: str, rest: str | None) -> str:
    """Return the name under which a source is copied into a folder."""
    if rest is None:
        return own
    return f"{own}/{rest}" if own else rest


def _under(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and not folder.endswith("/") else f"{folder}{name}"
