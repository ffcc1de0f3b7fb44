"""Removal of copies: renamed away as a whole first, then deleted under a name that nobody looks for.

A copy that is deleted file by file at its address could be found half there by another process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Final

NEW: Final = ".new-"
"""Prefix of the names of half-written and of half-deleted files and directories."""
ABANDONED: Final = 86_400.0
"""Seconds after which a half-written file is taken for abandoned by a process that was killed."""


def remove(folder: Path, root: Path) -> None:
    """Remove a copy. Open files and maps stay valid."""
    gone = set_aside(folder, root)
    if gone is not None:
        delete(gone)


def set_aside(folder: Path, root: Path) -> Path | None:
    """Rename a copy away from its address, as a whole; the caller deletes the path that is returned."""
    gone = root / f"{NEW}{os.urandom(8).hex()}"
    try:
        folder.replace(gone)
    except FileNotFoundError:
        return None
    return gone


def delete(path: Path) -> None:
    """Remove a copy that was set aside; files that cannot be removed now are swept later."""
    with contextlib.suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
            return
    # Directories of a copy are read-only, and nothing can be removed from such a one.
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o700)  # noqa: PTH101 -- beside os.walk, which gives names
    shutil.rmtree(path, ignore_errors=True)


def sweep(root: Path) -> None:
    """Remove half-written copies of processes that were killed."""
    limit = time.time() - ABANDONED
    for path in listed(root):
        # Another process may have removed or published it since it was listed.
        with contextlib.suppress(OSError):
            if path.name.startswith(NEW) and path.lstat().st_mtime < limit:
                delete(path)


def listed(folder: Path) -> list[Path]:
    """Return the entries of a directory; none if another process removed it."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # removed meanwhile
        return []
