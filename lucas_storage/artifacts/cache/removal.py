"""How copies leave a cache: out of their place at once and as a whole, and deleted where nobody finds them."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Final

NEW: Final = ".new-"
"""What the names of half-written and of half-deleted files and directories begin with."""
ABANDONED: Final = 86_400.0
"""Seconds after which a half-written file has no writer any more."""


def remove(folder: Path, root: Path) -> None:
    """Remove a copy. Open files and maps stay valid."""
    gone = set_aside(folder, root)
    if gone is not None:
        delete(gone)


def set_aside(folder: Path, root: Path) -> Path | None:
    """Take a copy out of its place, at once and as a whole; what is returned is to be deleted."""
    gone = root / f"{NEW}{os.urandom(8).hex()}"
    try:
        folder.replace(gone)
    except FileNotFoundError:
        return None
    return gone


def delete(path: Path) -> None:
    """Remove what nobody can find any more; what cannot be removed is swept another time."""
    with contextlib.suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
            return
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o700)  # noqa: PTH101 -- beside os.walk, which gives names
    shutil.rmtree(path, ignore_errors=True)


def sweep(root: Path) -> None:
    """Remove what processes that were killed left half-written."""
    limit = time.time() - ABANDONED
    for path in listed(root):
        with contextlib.suppress(OSError):
            if path.name.startswith(NEW) and path.lstat().st_mtime < limit:
                delete(path)


def listed(folder: Path) -> list[Path]:
    """Return what is in a directory; nothing if another process removed it."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # removed meanwhile
        return []
