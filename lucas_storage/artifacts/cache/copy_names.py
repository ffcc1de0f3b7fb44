"""User-visible names of a copy: links to its content, in the directory of its digest.

A step that asks for a path gets a file of the name that the value had, since programs go by suffixes.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from pathlib import Path
from typing import Final

from . import copies, stamps, verification
from .copies import CONTENT, READ_ONLY
from .removal import NEW, delete, listed
from .stamps import Stamp

_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\]")


def named(content: Path, name: str) -> Path:
    """Return the copy `content`, just handed out, under the safe form of a name; `Cache.named` states the guarantee."""
    path = content.with_name(safe_name(name))
    stamp = stamps.read(content.parent)  # none if there was no room for one
    if not _is_name_of(path, content, stamp):
        before = stamps.signature(os.lstat(content))
        _name(content, path)
        if stamp is not None and before == stamp.files[CONTENT]:  # else it has to be read again
            _look_again(content, path, stamp)
    return path


def safe_name(name: str) -> str:
    """Return `name` as one path segment without control characters or leading dots, other than that of the content."""
    flat = _UNSAFE.sub("_", name).lstrip(".")
    return flat if flat and flat != CONTENT else f"_{flat}"


def take_names(folder: Path, content: Path) -> None:
    """Give a new content the names of the one that it replaces, since another process may be about to open one."""
    for path in () if folder.is_symlink() else listed(folder):  # another process may be replacing it, too
        if path.name != CONTENT and not path.name.startswith("."):
            _name(content, content.with_name(path.name))


def _is_name_of(path: Path, content: Path, stamp: Stamp | None) -> bool:
    """Return whether a name is the content's: the same file, the link to a directory, or an unchanged copy."""
    try:
        found, wanted = (stamps.signature(os.lstat(file)) for file in (path, content))
        if stat.S_ISLNK(found[0]):
            return stat.S_ISDIR(wanted[0]) and os.readlink(path) == CONTENT  # noqa: PTH115 -- beside lstat
    except FileNotFoundError:
        return False
    return found == wanted or (stamp is not None and found == stamp.names.get(path.name))


def _name(content: Path, path: Path) -> None:
    """Give a content one more name, in place of any file that has it."""
    # Made under another name and renamed: a reader of the present name finds the old file or the new one, never none.
    temporary = path.with_name(f"{NEW}{os.urandom(8).hex()}")
    try:
        if content.is_dir():
            temporary.symlink_to(CONTENT, target_is_directory=True)
        else:
            _link_or_copy(content, temporary)
        if path.is_dir() and not path.is_symlink():
            delete(path)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _link_or_copy(content: Path, path: Path) -> None:
    try:
        os.link(content, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(content, path)  # a file system without links, or one that has given this file all it allows
        path.chmod(READ_ONLY)


def _look_again(content: Path, path: Path, stamp: Stamp) -> None:
    """Stamp a content anew after it got a name, which changed its ctime, unless another change came in between."""
    now = stamps.signature(os.lstat(content))
    if now[:-1] != stamp.files[CONTENT][:-1]:  # all but the ctime
        return
    named = {} if copies.is_folder(stamp.files) else {path.name: stamps.signature(os.lstat(path))}
    verification.settle({CONTENT: now, **named}, stamp.size, stamp.address)
    # Only one that is a file of its own is remembered: the others look like the content.
    names = {name: found for name, found in named.items() if found[1] != now[1]}
    verification.keep(content.parent, stamp.seen_again({**stamp.files, CONTENT: now}, {**stamp.names, **names}))
