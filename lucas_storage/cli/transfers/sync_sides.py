"""Source and destination of `sync`: a local folder or a bucket, its entries in the order of names, and transfers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from actorc.storage.errors import BucketNotFoundError, InvalidParameterError, ObjectNotFoundError
from lucas_storage.cli.uris import Target

from .attributes import Attributes
from .local_files import LocalFile, walk
from .queue import Transfer
from .safe_paths import ClaimedNames, SafeFolder
from .transfer import copy, download, upload

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient
    from actorc.storage.models import ObjectHead


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or an object of one side."""

    name: str
    """Path below the folder or prefix, with slashes."""
    item: LocalFile | ObjectHead

    @property
    def size(self) -> int:
        """Bytes."""
        return self.item.size if isinstance(self.item, LocalFile) else self.item["size"]


class Folder:
    """A local folder.

    Args:
        text: Its path.
    """

    def __init__(self, text: str) -> None:
        self.path = Path(text)
        self._safe_folder = SafeFolder(self.path)
        self._claims = ClaimedNames(folders=True)

    def __str__(self) -> str:
        return str(self.path)

    def check_source(self) -> None:
        """Check that the folder exists: a missing source would look empty, and `--delete` would remove everything.

        Raises:
            OSError: It does not exist, or is no folder.
        """
        os.scandir(self.path).close()

    def entries(self, *, source: bool) -> Iterator[Entry]:
        """Iterate over the files; links to folders are followed only in a source."""
        # In a destination files behind a link are outside of it, and `--delete` must not remove them.
        if source or self.path.is_dir():
            for file in walk(self.path, follow=source):
                yield Entry(file.rest or "", file)

    def receive(self, side: Bucket, entry: Entry) -> Transfer:
        """Return the transfer of an entry of the other side to this one."""
        assert not isinstance(entry.item, LocalFile)
        here = side.place(entry.name)
        try:
            path = self._safe_folder.path(entry.name)
            self._claims.claim(entry.name)
        except InvalidParameterError as error:
            return replace(download(side.client, entry.item, here, self.path), problem=error)
        return download(side.client, entry.item, here, path, inside=self._safe_folder, keep_time=True)

    def remove(self, name: str) -> None:
        """Remove a file, or a link itself, and the folders that are empty then."""
        path = self.path / name
        path.unlink(missing_ok=True)
        # A folder that is not empty stays; `rmdir` removes no other.
        with suppress(OSError):
            for folder in list(path.parents)[: name.count("/")]:
                folder.rmdir()


class Bucket:
    """A bucket, or the objects below a prefix.

    Args:
        client: Client of its store.
        target: The bucket and the prefix, to which a slash is added.
    """

    def __init__(self, client: StorageClient, target: Target) -> None:
        self.client = client
        key = f"{target.key.rstrip('/')}/" if target.key else ""
        self.target = replace(target, key=key, pattern="")

    def __str__(self) -> str:
        return str(self.target)

    def check_source(self) -> None:
        """Check that the prefix has objects: a missing source would look empty, and `--delete` would remove everything.

        Raises:
            NotFoundError: There is no such bucket, or no object below the prefix.
        """
        some = self.client.list_objects(self.target.bucket, self.target.key, 1)["objects"]
        if self.target.key and not some:
            raise ObjectNotFoundError("nothing is beneath this name", self.target.bucket, self.target.key)

    def entries(self, *, source: bool) -> Iterator[Entry]:
        """Iterate over the objects; a missing destination bucket is empty if the server makes buckets on writing."""
        try:
            for head in self.client.iter_objects(self.target.bucket, self.target.key):
                yield Entry(head["key"][len(self.target.key) :], head)
        except BucketNotFoundError:
            if source or not self.client.server_info()["auto_create_buckets"]:
                raise

    def place(self, name: str) -> Target:
        """Return the object of a name."""
        return replace(self.target, key=self.target.key + name)

    def receive(self, side: Folder | Bucket, entry: Entry, attributes: Attributes) -> Transfer:
        """Return the transfer of an entry of the other side to this one; a file gets the attributes."""
        if isinstance(side, Folder):
            assert isinstance(entry.item, LocalFile)
            return upload(self.client, entry.item, self.place(entry.name), attributes=attributes, keep_time=True)
        assert not isinstance(entry.item, LocalFile)
        return copy((side.client, self.client), entry.item, side.place(entry.name), self.place(entry.name))
