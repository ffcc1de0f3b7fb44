"""The names of a copy: what a step gets when it asks for a path.

::

    <copy>/content         the bytes, read-only, or the directory
    <copy>/weather.csv     a file: a hard link to the content
    <copy>/images/         a directory of its own; its files are hard links to those of the content
    <copy>/.names/.env     a name that begins with a dot, as the files of the cache itself do

Programs go by suffixes, and archive or walk the directory they are given, so a name is a regular file or a directory,
never a symbolic link. It may be any name that a file can have; the name ``content`` is the content itself. Files are
copied where the file system has no hard links.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from . import copies, stamps
from .copies import CONTENT, READ_ONLY_FOLDER
from .directory import MODE
from .removal import listed
from .stamps import Signatures, Stamp

NAMES: Final = ".names"
_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


def top_of(name: str | None) -> str:
    """Return the path, within the directory of a copy, of the copy under a name; None stands for the content."""
    if name is None:
        return CONTENT
    return f"{NAMES}/{name}" if name.startswith(".") else name


def tops_of(stamp: Stamp) -> set[str]:
    """Return the names, as `top_of` gives them, that have files of their own."""
    return {"/".join(path.split("/")[: 2 if path.startswith(f"{NAMES}/") else 1]) for path in stamp.names}


def located(path: Path) -> tuple[Path, str]:
    """Return the directory of the copy that a path would be, and the path within it."""
    whole = Path(os.path.abspath(path))  # noqa: PTH100 -- resolving would lose the name
    if whole.parent.name == NAMES:
        return whole.parent.parent, f"{NAMES}/{whole.name}"
    return whole.parent, whole.name


def is_unchanged(folder: Path, top: str, stamp: Stamp) -> bool:
    """Return whether a content or a name holds the files of a stamp, and nothing has changed one since."""
    return _is_like(folder, top, stamp, len(stamp.files[CONTENT]))


def is_linked(folder: Path, top: str, stamp: Stamp) -> bool:
    """Return whether a name holds the files of a content that was just verified."""
    # Kind and inode: the content was looked at, and links that other processes add meanwhile change times of both.
    return _is_like(folder, top, stamp, 2)


def link(folder: Path, name: str) -> None:
    """Give a copy that is not published yet a name."""
    path = folder / top_of(name)
    path.parent.mkdir(mode=MODE, exist_ok=True)
    if not path.exists():
        link_all(folder / CONTENT, path)
        close(path)


def names_in(folder: Path) -> list[str]:
    """Return the names of a copy."""
    hidden = folder / NAMES
    plain = [] if folder.is_symlink() else listed(folder)  # another process may be replacing it
    return [
        *(path.name for path in plain if path.name != CONTENT and not path.name.startswith(".")),
        *(path.name for path in ([] if hidden.is_symlink() else listed(hidden))),
    ]


def names_to_keep(folder: Path) -> list[str]:
    """Return the names of a copy that is to be replaced, which other processes may be using.

    Not the files that programs put beside their input, such as an index: they would get the bytes of the content.
    """
    stamp = stamps.read(folder)
    known = {} if stamp is None else {**stamp.names, CONTENT: stamp.files[CONTENT]}
    inodes = {seen[1] for seen in [*known.values(), *(copies.signatures(folder) or {}).values()]}
    kept = []
    for name in names_in(folder):
        with contextlib.suppress(FileNotFoundError):  # another process is replacing the copy, too
            status = (folder / top_of(name)).lstat()
            if not stat.S_ISREG(status.st_mode) or status.st_ino in inodes:
                kept.append(name)
    return kept


def own_files(folder: Path, names: Iterable[str], files: Signatures) -> Signatures:
    """Return the signatures of those files under names that are no links to the content.

    Args:
        folder: The directory of the copy.
        names: Some of its names.
        files: The signatures of its content.
    """
    inodes = {seen[1] for seen in files.values()}
    return {
        path: seen
        for name in names
        for path, seen in (copies.signatures(folder, top_of(name)) or {}).items()
        if not stat.S_ISDIR(seen[0]) and seen[1] not in inodes
    }


def link_all(content: Path, path: Path) -> None:
    """Make a file, or a directory with all that is in it, at `path` out of hard links; all but the top is read-only."""
    if not stat.S_ISDIR(content.lstat().st_mode):
        _link_or_copy(content, path)
        return
    path.mkdir(mode=MODE)
    with os.scandir(content) as entries:
        for entry in entries:
            target = os.path.join(path, entry.name)  # noqa: PTH118 -- ten thousand files
            if entry.is_dir(follow_symlinks=False):
                link_all(Path(entry.path), Path(target))
                close(Path(target))
            else:
                _link_or_copy(entry.path, target)


def close(path: Path) -> None:
    """Make a directory read-only; does nothing to a file."""
    if path.is_dir():
        path.chmod(READ_ONLY_FOLDER)


def _is_like(folder: Path, top: str, stamp: Stamp, fields: int) -> bool:
    found = copies.signatures(folder, top)
    if found is None or len(found) != len(stamp.files):
        return False
    for path, seen in found.items():
        wanted = stamp.files.get(CONTENT + path[len(top) :])
        if wanted is None or seen[0] != wanted[0]:
            return False
        # Of a directory its entries are compared, and they alone.
        if not stat.S_ISDIR(seen[0]) and seen[:fields] != wanted[:fields] and seen != stamp.names.get(path):
            return False
    return True


def _link_or_copy(source: str | Path, path: str | Path) -> None:
    try:
        os.link(source, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copy(source, path)  # a file system without links, or one that has given this file all it allows
