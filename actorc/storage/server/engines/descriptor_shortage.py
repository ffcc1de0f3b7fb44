"""Detection of a shortage of file descriptors, and the error for callers."""

from __future__ import annotations

import errno
import os
import sqlite3
from typing import Final

from actorc.storage.errors import ResourceExhaustedError

_NO_DESCRIPTOR: Final = {errno.EMFILE, errno.ENFILE}
_RETRY_AFTER: Final = 1.0
"""Seconds after which the process may have closed some."""


def is_out_of_descriptors(error: BaseException) -> bool:
    """Return whether `error` was raised because the process, or the machine, may open no more files."""
    if isinstance(error, sqlite3.OperationalError):
        # SQLite does not say why it could not open a file
        return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CANTOPEN and not can_open()
    return isinstance(error, OSError) and error.errno in _NO_DESCRIPTOR


def out_of_descriptors() -> ResourceExhaustedError:
    """Return the error for callers."""
    return ResourceExhaustedError(
        "the server is out of file descriptors; raise its limit (LimitNOFILE of systemd, or 'ulimit -n'), or retry",
        retry_after=_RETRY_AFTER,
    )


def can_open() -> bool:
    """Return whether the process may open one more file now."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno not in _NO_DESCRIPTOR
    return True
