"""The files of a snapshot beside its blobs: the index, the label, and what the owner of the data has secret."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from actorc.storage.local_server.shared_files import SIGNING_KEY
from actorc.storage.rules import MiB
from actorc.storage.server.config import KEYS_FILE
from actorc.storage.server.engines.local.disk.fsops import FsOps

from .manifest import FileDigest

INDEX: Final = "meta.db"
LABEL: Final = "FORMAT"
_PLACES: Final = {INDEX: f"meta/{INDEX}", LABEL: LABEL, KEYS_FILE: KEYS_FILE, SIGNING_KEY: SIGNING_KEY}
"""Where each file of a snapshot is in a data directory."""
_WHOLE: Final = (LABEL, KEYS_FILE, SIGNING_KEY)
"""Files that are small, and replaced as a whole when they change."""


def place(data: Path, name: str) -> Path:
    """Return the path of a file of a snapshot in a data directory; `KeyError` if none has this name."""
    return data / _PLACES[name]


def copy_small_files(data: Path, folder: Path, fsops: FsOps) -> None:
    """Copy those files of a data directory that are not the index and are there; only this user can read the copies."""
    for name in _WHOLE:
        if place(data, name).exists():
            copy_private(place(data, name), folder / name, fsops)


def copy_private(source: Path, target: Path, fsops: FsOps) -> None:
    """Copy a file durably; only this user can read the copy, whose name is not synced."""
    descriptor = fsops.create(target)
    try:
        # its owner may change it, as he may in any data directory
        os.fchmod(descriptor, 0o600)
        with source.open("rb") as file:
            offset = 0
            while piece := file.read(MiB):
                fsops.write(descriptor, piece, offset)
                offset += len(piece)
        fsops.sync(descriptor)
    finally:
        os.close(descriptor)


def digests(folder: Path) -> Mapping[str, FileDigest]:
    """Return the digests of the files of a snapshot."""
    return {path.name: FileDigest.of(path) for path in _present(folder)}


def sizes(folder: Path) -> Mapping[str, int]:
    """Return the sizes of the files of a snapshot, in bytes."""
    return {path.name: path.stat().st_size for path in _present(folder)}


def _present(folder: Path) -> Iterator[Path]:
    return (path for name in _PLACES if (path := folder / name).exists())
