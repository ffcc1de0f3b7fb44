"""Descriptions of objects and directories as `fsspec` has them: dicts with ``name``, ``size``, ``type`` and more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from actorc.storage.models import ObjectHead
from lucas_storage.formats.composite import TREE
from lucas_storage.references.handles import ArtifactStat
from lucas_storage.refs import ArtifactRef

Entry: TypeAlias = dict[str, Any]


def object_entry(head: ObjectHead) -> Entry:
    """Return the entry of an object; `created` and `mtime` are the same, since a write makes a new object."""
    described: Mapping[str, Any] = head
    attributes = ("size", "etag", "generation", "content_type", "metadata", "crc32c", "expires_at")
    return {
        "name": f"{head['bucket']}/{head['key']}",
        "type": "file",
        **{name: described[name] for name in attributes},
        "created": head["last_modified"],
        "mtime": head["last_modified"],
    }


def directory_entry(path: str) -> Entry:
    """Return the entry of a bucket, or of a directory in one."""
    return {"name": path, "type": "directory", "size": 0}


def artifact_entry(path: str, ref: ArtifactRef, stat: ArtifactStat) -> Entry:
    """Return the entry of an artifact, which is a file under the path that is its reference, or a directory."""
    return {
        "name": path,
        "type": "directory" if ref.format == TREE else "file",
        "size": ref.size,
        "etag": ref.digest,
        "format": ref.format,
        "created": stat.stored_at,
        "mtime": stat.stored_at,
    }


def directories_of(name: str) -> Iterator[str]:
    """Yield the directories that a name is in, the outermost first; a name that ends with a slash is one itself.

    One whose own name is empty, as in ``a//b``, has no path and is left out.
    """
    at = name.find("/")
    while at >= 0:
        if at > 0 and name[at - 1] != "/":
            yield name[:at]
        at = name.find("/", at + 1)
