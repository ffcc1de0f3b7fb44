"""Local files: those that a path or pattern on the command line stands for, and all files in a folder."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actorc.storage.errors import InvalidParameterError
from actorc.storage.local_server.shared_files import DIRECTORY
from lucas_storage.cli.uris import as_text, has_wildcards

_UNFINISHED: Final = re.compile(r"\.download-[0-9a-f]+\.(?:part|journal)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A file, and the name under which it is copied into a folder."""

    path: Path
    own: str = ""
    """Name of the requested file or folder; of a match, all segments from the first wildcard on."""
    rest: str | None = None
    """Path below that folder, with slashes; None for a file that was requested itself."""
    size: int = 0
    """Bytes."""
    mtime_ns: int = 0
    """Time of the last change, nanoseconds since 1970."""
    problem: Exception | None = None
    """Why it cannot be read."""


def is_unfinished(name: str) -> bool:
    """Return whether a file of this name is an unfinished download, which is continued when it is requested again."""
    return _UNFINISHED.fullmatch(name) is not None


def is_pattern(text: str) -> bool:
    """Return whether `text` has wildcards, and no file has exactly this name."""
    return has_wildcards(text) and not os.path.lexists(text)


def files(text: str, *, pattern: bool, recursive: bool) -> Iterator[LocalFile]:
    """Iterate over the files that a path stands for.

    Args:
        text: The path.
        pattern: Whether to expand its wildcards.
        recursive: Whether to include all files in folders; else each folder is a problem.

    Raises:
        FileNotFoundError: There is none.
    """
    if not pattern:
        yield from _itself(Path(text), own_name(text), recursive=recursive)
        return
    fixed = _fixed_part(text)
    names = sorted(glob.glob(text, recursive=True))  # noqa: PTH207  # takes absolute patterns too
    if not names:
        raise FileNotFoundError(f"{text} matches no file")
    for name in names:
        path, own = Path(name), name[len(fixed) :].rstrip("/")
        if "**" not in text.split("/"):
            yield from _itself(path, own, recursive=recursive)
        elif not path.is_dir():
            yield _file(path, own)


def walk(folder: Path, own: str = "", *, follow: bool = True) -> Iterator[LocalFile]:
    """Iterate over all files in a folder, in the byte order of their names as keys.

    Unfinished downloads, and the data directories of servers, are left out.

    Args:
        folder: The folder.
        own: `LocalFile.own` of the files.
        follow: Whether links to folders are followed; one to a folder above it is a problem.
    """
    return _walk(folder, own, "", frozenset(), follow=follow)


def _walk(folder: Path, own: str, name: str, above: frozenset[tuple[int, int]], *, follow: bool) -> Iterator[LocalFile]:
    try:
        status = folder.stat()
        inside = above | {(status.st_dev, status.st_ino)}
        if inside == above:  # a link upwards, which would never end
            raise InvalidParameterError(f"{folder} is a link to a folder that it is in; it is left out")  # noqa: TRY301
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=_order)
    except (OSError, InvalidParameterError) as error:
        yield LocalFile(path=folder, own=own, rest=name.rstrip("/"), problem=error)
        return
    for entry in entries:
        path = folder / entry.name
        if entry.is_dir():
            # The data directory of a server changes while it is read, and holds its keys.
            if entry.name != DIRECTORY and (follow or not entry.is_symlink()):
                yield from _walk(path, own, f"{name}{entry.name}/", inside, follow=follow)
        elif not is_unfinished(entry.name):
            yield _file(path, own, name + entry.name)


def _itself(path: Path, own: str, *, recursive: bool) -> Iterator[LocalFile]:
    if not path.is_dir():
        yield _file(path, own)
    elif recursive:
        yield from walk(path, own)
    else:
        problem = InvalidParameterError(f"{path} is a directory; add -r to mean everything in it")
        yield LocalFile(path=path, own=own, problem=problem)


def _file(path: Path, own: str, rest: str | None = None) -> LocalFile:
    try:
        status = path.stat()
        own, rest = as_text(own), None if rest is None else as_text(rest)
    except (OSError, InvalidParameterError) as error:
        return LocalFile(path=path, own=own, rest=rest, size=-1, problem=error)
    return LocalFile(path=path, own=own, rest=rest, size=status.st_size, mtime_ns=status.st_mtime_ns)


def _order(entry: os.DirEntry[str]) -> bytes:
    # In the order of keys, which `sync` walks side by side with a listing. In the C locale Python decodes bytes beyond
    # ASCII to surrogates; their own bytes count.
    return (f"{entry.name}/" if entry.is_dir() else entry.name).encode("utf-8", "surrogateescape")


def own_name(text: str) -> str:
    """Return the last name of a path; empty for paths such as ``..``, which have no name of their own."""
    name = text.rstrip("/").rpartition("/")[2]
    return "" if name in {".", ".."} else name


def _fixed_part(text: str) -> str:
    """Return the path before the first segment with a wildcard."""
    segments = text.split("/")
    wild = next(index for index, segment in enumerate(segments) if has_wildcards(segment))
    return "".join(f"{segment}/" for segment in segments[:wild])
