"""One copy in the cache: the signatures of its files, and the check of their bytes against its address.

Nothing here follows a link, or opens a file of another user: what is read here is decoded later, and a copy of a signed
pickle is unpickled.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from actorc.storage.files.private_files import is_ours
from actorc.storage.rules import MiB
from lucas_storage.artifacts.manifest import WHOLE_MAX, Manifest, Part
from lucas_storage.errors import StorageError
from lucas_storage.refs import digest_of

from .stamps import Signature, Signatures, signature

CONTENT: Final = "content"
MANIFEST: Final = ".manifest"
READ_ONLY: Final = 0o444
"""Mode of a file, unless it can be executed."""
READ_ONLY_FOLDER: Final = 0o555
"""Mode of a directory, and of a file that can be executed."""
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""Non-blocking, since a pipe in the place of a copy would otherwise block the opening until a writer comes."""
EXECUTES: Final = 0o100
"""The bit of a mode by which a file of a directory counts as one that can be executed."""


def signatures(folder: Path, top: str = CONTENT) -> dict[str, Signature] | None:
    """Return the signatures of the content in the directory of a copy, by path within that directory.

    None if there is no content, or anything in it is neither a file nor a directory of this user's.

    Args:
        folder: The directory of the copy.
        top: Another file or directory in it to look at, in place of the content.
    """
    found: dict[str, Signature] = {}
    try:
        status = os.lstat(folder / top)
        if not _is_plain(status):
            return None
        found[top] = signature(status)
        if stat.S_ISDIR(status.st_mode):
            for path, inside in _inside(folder, top):
                if not _is_plain(inside):
                    return None
                found[path] = signature(inside)
    except (FileNotFoundError, NotADirectoryError):  # evicted, or changed while it was looked at
        return None
    return found


def bytes_in(files: Signatures) -> int:
    """Return the bytes of all files together."""
    return sum(size for _, _, size, _, _ in files.values())


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a directory."""
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(path) for name in names)  # noqa: PTH118 -- ten thousand files


def is_folder(files: Signatures) -> bool:
    """Return whether the content is a directory."""
    return stat.S_ISDIR(files[CONTENT][0])


def is_right(folder: Path, address: str, files: Signatures, top: str = CONTENT) -> bool:
    """Read a copy and return whether its bytes have the digest of its address.

    Args:
        folder: The directory of the copy.
        address: ``sha256:`` or ``manifest:`` and a digest.
        files: Its `signatures`.
        top: What to read, in place of the content.
    """
    algorithm, _, value = address.partition(":")
    is_tree = stat.S_ISDIR(files[top][0])
    try:
        if algorithm == "sha256":
            return not is_tree and _digest(folder / top) == address
        manifest = _manifest(folder, value)
        if manifest is None or manifest.is_tree != is_tree:
            return False
        if manifest.files is None:
            return _holds(folder / top, manifest.parts)
        # The tree first: a file too many would pass if only the files of the manifest were read.
        return _outline(manifest, top) == {path: found[0] for path, found in files.items()} and all(
            _holds(folder / top / file.path, file.parts, executable=file.executable) for file in manifest.files
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
    # Of the descriptor, not of the path: the file that is checked is the one that will be read.
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
    if digest_of((text,)) != f"sha256:{value}":
        return None
    with contextlib.suppress(StorageError):  # of a newer version, or against a rule that came later: fetched anew
        return Manifest.decode(text)
    return None


def _outline(manifest: Manifest, top: str) -> dict[str, int]:
    """Return the file type of every path that the manifest of a directory implies."""
    found = {top: stat.S_IFDIR}
    for path in (*(file.path for file in manifest.files or ()), *manifest.folders):
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            found.setdefault("/".join((top, *parts[:depth])), stat.S_IFDIR)
    found.update({f"{top}/{file.path}": stat.S_IFREG for file in manifest.files or ()})
    return found


def _digest(path: Path) -> str:
    with opened(path) as file:
        return digest_of(iter(lambda: file.read(MiB), b""))


def _holds(path: Path, parts: tuple[Part, ...], *, executable: bool | None = None) -> bool:
    with opened(path) as file:
        if executable is not None and bool(os.fstat(file.fileno()).st_mode & EXECUTES) != executable:
            return False
        for part in parts:
            if digest_of((file.read(part.size),)) != part.digest:
                return False
        return not file.read(1)  # the parts are right, but the file must end with them
