"""Local directories, stored part by part in one pass."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lucas_storage.errors import NoFormatError
from lucas_storage.references.fields import is_filename

from .body import check_steady, fingerprint
from .manifest import Manifest, Part, TreeFile, check_paths
from .part_transfer import PartSender, stored

_OWNER_EXECUTES: Final = 0o100


def send_directory(root: Path, parts: PartSender) -> Manifest:
    """Store a local directory: regular files, which of them the owner may execute, and empty directories.

    Args:
        root: The directory, or a link to it.
        parts: Stores the parts.

    Raises:
        NoFormatError: It holds a link, or something that is neither file nor directory, or a name that is no
            Unicode; nothing was stored.
        IntegrityError: A file was written to meanwhile.
    """
    # By bytes, which no locale changes: equal directories have equal manifests, and so one digest.
    entries = sorted(_scan(root, ""), key=lambda entry: entry.path.encode())
    _check_readable(entries)  # before a byte is sent
    sent = [(entry, _sent(root / entry.path, parts)) for entry in entries if not entry.is_folder]
    return Manifest(
        files=tuple(
            TreeFile(path=entry.path, executable=entry.executable, parts=stored(futures)) for entry, futures in sent
        ),
        folders=tuple(entry.path for entry in entries if entry.is_folder),
    )


@dataclass(frozen=True, slots=True)
class _TreeEntry:
    path: str
    executable: bool
    is_folder: bool
    """Whether it is a directory that holds nothing."""


def _scan(root: Path, above: str) -> Iterator[_TreeEntry]:
    # Links are refused rather than followed: one could lead out of the directory, or to itself.
    with os.scandir(root / above) as entries:
        for entry in entries:
            path = f"{above}/{entry.name}" if above else entry.name
            _check(entry, path)
            if entry.is_file(follow_symlinks=False):
                mode = entry.stat(follow_symlinks=False).st_mode
                yield _TreeEntry(path, bool(mode & _OWNER_EXECUTES), is_folder=False)
                continue
            inside = list(_scan(root, path))
            yield from inside or [_TreeEntry(path, executable=False, is_folder=True)]


def _check_readable(entries: list[_TreeEntry]) -> None:
    """Raise `NoFormatError` for paths that every reader would refuse."""
    files = [entry.path for entry in entries if not entry.is_folder]
    folders = [entry.path for entry in entries if entry.is_folder]
    try:
        check_paths(files, folders)
    except ValueError as error:
        raise NoFormatError(f"the directory cannot be stored; {error}") from error


def _check(entry: os.DirEntry[str], path: str) -> None:
    if entry.is_symlink():
        raise NoFormatError(
            f"the directory holds the symbolic link {path!r}, and links are not stored; replace it by what it points to"
        )
    if not is_filename(entry.name):
        raise NoFormatError(f"the directory holds the name {path!r}, which is no Unicode text; rename it")
    if not entry.is_dir(follow_symlinks=False) and not entry.is_file(follow_symlinks=False):
        raise NoFormatError(f"the directory holds {path!r}, which is neither a file nor a directory; remove it")


def _sent(path: Path, parts: PartSender) -> list[Future[Part]]:
    # No digest of the whole is computed beforehand: each part is hashed from the memory that is sent. What changes
    # while it is read would be a mixture of two states, hence the comparison.
    before = fingerprint(path)
    with path.open("rb") as file:
        sent = list(parts.submit_file(file))
    check_steady(path, before)
    return sent
