"""One copy in the cache: what its files look like, and whether their bytes are those of its address.

Nothing here follows a link, or opens what belongs to another user.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from actorc.storage.ownership import is_ours
from actorc.storage.rules import MiB
from lucas_storage.artifacts.manifest import WHOLE_MAX, Manifest, Part
from lucas_storage.errors import StorageError

from .stamps import Signature, signature

CONTENT: Final = "content"
MANIFEST: Final = ".manifest"
READ_ONLY: Final = 0o444
"""Mode of a content that is one file."""
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""Not to wait for whoever writes into a pipe that somebody put there."""
_EXECUTES: Final = 0o100


def signatures(folder: Path) -> dict[str, Signature] | None:
    """Return what the content in the directory of a copy looks like, by path within that directory.

    None if there is none, or it or something in it is neither a file nor a directory of this user's.
    """
    found: dict[str, Signature] = {}
    try:
        status = os.lstat(folder / CONTENT)
        if not _is_plain(status):
            return None
        found[CONTENT] = signature(status)
        if stat.S_ISDIR(status.st_mode):
            for path, inside in _inside(folder, CONTENT):
                if not _is_plain(inside):
                    return None
                found[path] = signature(inside)
    except (FileNotFoundError, NotADirectoryError):  # evicted, or changed while it was looked at
        return None
    return found


def bytes_in(files: Mapping[str, Signature]) -> int:
    """Return the bytes of all files together."""
    return sum(size for _, _, size, _, _ in files.values())


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a directory."""
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(path) for name in names)  # noqa: PTH118 -- ten thousand files


def is_folder(files: Mapping[str, Signature]) -> bool:
    """Say whether the content is a directory."""
    return stat.S_ISDIR(files[CONTENT][0])


def is_right(folder: Path, address: str, files: Mapping[str, Signature]) -> bool:
    """Read a copy and say whether it is what its address promises.

    Args:
        folder: The directory of the copy.
        address: ``sha256:`` or ``manifest:`` and a digest.
        files: What `signatures` returned for it.
    """
    algorithm, _, value = address.partition(":")
    try:
        if algorithm == "sha256":
            return not is_folder(files) and _digest(folder / CONTENT) == value
        manifest = _manifest(folder, value)
        if manifest is None or manifest.is_tree != is_folder(files):
            return False
        if manifest.files is None:
            return _holds(folder / CONTENT, manifest.parts)
        return _outline(manifest) == {path: one[0] for path, one in files.items()} and all(
            _holds(folder / CONTENT / file.path, file.parts, executable=file.executable) for file in manifest.files
        )
    except FileNotFoundError:
        return False


def opened(path: Path) -> BinaryIO:
    """Open a file of this user's, and nothing that a link leads to.

    Raises:
        FileNotFoundError: There is no such file.
    """
    try:
        file = os.fdopen(os.open(path, _FLAGS), "rb")
    except OSError:
        if os.path.islink(path):  # noqa: PTH114 -- beside os.open
            raise FileNotFoundError(path) from None
        raise
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode) or not is_ours(status):
        file.close()
        raise FileNotFoundError(path)
    return file


def _is_plain(status: os.stat_result) -> bool:
    return is_ours(status) and (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode))


def _inside(folder: Path, above: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder / above) as entries:
        for entry in entries:
            path = f"{above}/{entry.name}"
            status = entry.stat(follow_symlinks=False)
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                yield from _inside(folder, path)


def _manifest(folder: Path, value: str) -> Manifest | None:
    with opened(folder / MANIFEST) as file:
        text = file.read(WHOLE_MAX + 1)
    if hashlib.sha256(text).hexdigest() != value:
        return None
    with contextlib.suppress(StorageError):
        return Manifest.decode(text)
    return None


def _outline(manifest: Manifest) -> dict[str, int]:
    """Return the kind of every path that a directory has to have."""
    found = {CONTENT: stat.S_IFDIR}
    for path in (*(file.path for file in manifest.files or ()), *manifest.folders):
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            found.setdefault("/".join((CONTENT, *parts[:depth])), stat.S_IFDIR)
    found.update({f"{CONTENT}/{file.path}": stat.S_IFREG for file in manifest.files or ()})
    return found


def _digest(path: Path) -> str:
    running = hashlib.sha256()
    with opened(path) as file:
        while piece := file.read(MiB):
            running.update(piece)
    return running.hexdigest()


def _holds(path: Path, parts: tuple[Part, ...], *, executable: bool | None = None) -> bool:
    with opened(path) as file:
        if executable is not None and bool(os.fstat(file.fileno()).st_mode & _EXECUTES) != executable:
            return False
        for part in parts:
            if "sha256:" + hashlib.sha256(file.read(part.size)).hexdigest() != part.digest:
                return False
        return not file.read(1)
