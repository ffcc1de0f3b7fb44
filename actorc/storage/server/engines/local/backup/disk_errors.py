"""Errors of the disk of a backup or of a restored directory, said of that disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actorc.storage.errors import ResourceExhaustedError, StorageError
from actorc.storage.server.engines.local.disk.errors import is_full


@contextmanager
def of_disk(root: Path, remedy: str) -> Iterator[None]:
    """Raise errors of the disk within the block as those of the disk that has `root`.

    Args:
        root: The directory that is written to.
        remedy: What to do when the disk is full.

    Raises:
        ResourceExhaustedError: It is full.
        StorageError: SQLite failed there.
        OSError: Another call failed; it names a file.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if isinstance(error, StorageError):
            raise
        if is_full(error):
            raise ResourceExhaustedError(f"the disk of {root} is full; {remedy}") from error
        if isinstance(error, sqlite3.Error):
            raise StorageError(f"{root} cannot be written or read ({error}); look at its disk") from error
        if error.filename is None:
            error.filename = str(root)
        raise
