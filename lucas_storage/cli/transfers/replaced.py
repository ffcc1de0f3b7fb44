"""Replaced content: what is at the destination of a transfer, and would be lost."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from actorc.storage.errors import NotFoundError, PermissionError
from actorc.storage.units import shown_size
from lucas_storage.cli.printing import shown_time
from lucas_storage.cli.uris import Target

from .local_files import LocalFile

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient
    from actorc.storage.models import ObjectHead


class Replaced(NamedTuple):
    """A file or an object that a transfer takes the place of; as text, a few words about it."""

    size: int
    """Bytes."""
    last_modified: datetime
    """UTC."""

    def __str__(self) -> str:
        return f"{shown_size(self.size)}, changed {shown_time(self.last_modified)} UTC"


def object_at(client: StorageClient, target: Target) -> Replaced | None:
    """Return what is known of an object; None if there is none, or the key does not allow to look."""
    try:
        return of_item(client.head_object(target.bucket, target.key))
    except (NotFoundError, PermissionError):
        return None


def file_at(path: Path) -> Replaced | None:
    """Return what is known of a file; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        # A link that leads nowhere is replaced, too, but nothing is lost that anybody could read.
        return None
    return Replaced(status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


def of_item(item: LocalFile | ObjectHead) -> Replaced:
    """Return what is known of an entry of a listing."""
    if isinstance(item, LocalFile):
        return Replaced(item.size, datetime.fromtimestamp(item.mtime_ns / 1e9, UTC))
    return Replaced(item["size"], item["last_modified"])
