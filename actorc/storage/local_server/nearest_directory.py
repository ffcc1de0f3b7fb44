"""The search for a user's data directory, ``.lucas-storage``: in the working directory, then in those above it."""

from __future__ import annotations

import os
import stat
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Final

from actorc.storage.errors import InvalidParameterError
from actorc.storage.files.private_files import open_directory

from .shared_files import DIRECTORY


class UntrustedDirectoryWarning(UserWarning):
    """A data directory above the working directory was skipped, since another user could have put it there."""


def find_directory() -> Path | None:
    """Return the nearest ``.lucas-storage`` of this user, in the working directory or above it.

    A directory above it that is not this user's alone is skipped with a warning, once. The search ends below a
    directory that every user can write to, such as ``/tmp``, since a data directory there belongs to no project of this
    user.

    Raises:
        InvalidParameterError: It is in the working directory and not this user's alone.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError:  # the working directory was removed
        return None
    for directory in map(Path, candidates(str(here))):
        try:
            os.close(open_directory(directory))
        except OSError:
            continue
        except InvalidParameterError as error:
            if directory.parent == here:
                raise
            warn_skipped(error.message)
        else:
            return directory if directory.parent == here or not _is_world_writable(directory.parent) else None
    return None


@lru_cache(maxsize=4)
def candidates(folder: str) -> tuple[str, ...]:
    """Return the paths where a data directory may be, the nearest first."""
    folder = folder.rstrip("/")
    found = [f"{folder}/{DIRECTORY}"]
    while folder:
        folder = folder.rpartition("/")[0]
        found.append(f"{folder}/{DIRECTORY}")
    return tuple(found)


def _is_world_writable(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IWOTH)


_skipped: Final[set[str]] = set()


def warn_skipped(reason: str) -> None:
    """Warn once that a directory is not used, for that reason."""
    if reason not in _skipped:
        _skipped.add(reason)
        warnings.warn(f"{reason}; it is not used", UntrustedDirectoryWarning, stacklevel=2)
