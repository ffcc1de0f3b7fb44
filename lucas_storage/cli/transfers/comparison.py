"""Comparison of source and destination of `sync`, file by file: by size and time, or by content."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from fastcrc import crc32

from actorc.storage.rules import MiB

from .attributes import MTIME
from .local_files import LocalFile
from .transfer import mtime_ns

if TYPE_CHECKING:
    from actorc.storage.models import ObjectHead

Item: TypeAlias = "LocalFile | ObjectHead"


def differs(source: Item, there: Item, *, checksum: bool) -> bool | None:
    """Return whether `there` must be replaced; None if only the content of the local file can decide.

    Two objects are compared by checksum, size, type and metadata. A file and an object are compared by size and, where
    the object has one in its metadata, by time.
    """
    if not isinstance(source, LocalFile) and not isinstance(there, LocalFile):
        return any(source[name] != there[name] for name in ("size", "crc32c", "content_type", "metadata"))
    file, head = _file_and_head(source, there)
    # The cheapest first: most changed files have another size.
    if file.size != head["size"]:
        return True
    if checksum:
        return None
    if file.mtime_ns == mtime_ns(head):
        return False
    return True if MTIME in head["metadata"] else None


def content_differs(source: Item, there: Item) -> bool:
    """Return whether a file and an object of the same size hold different bytes; reads the file."""
    file, head = _file_and_head(source, there)
    running = 0
    with file.path.open("rb") as content:
        while piece := content.read(MiB):
            running = crc32.iscsi(piece, running)
    return f"{running:08x}" != head["crc32c"]


def _file_and_head(source: Item, there: Item) -> tuple[LocalFile, ObjectHead]:
    file, head = (source, there) if isinstance(source, LocalFile) else (there, source)
    assert isinstance(file, LocalFile)
    assert not isinstance(head, LocalFile)
    return file, head
