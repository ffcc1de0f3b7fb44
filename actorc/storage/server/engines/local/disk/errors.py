"""Errors of the disk and of SQLite: their classes and their translation for callers."""

from __future__ import annotations

import errno
import logging
import sqlite3

from actorc.storage.errors import (
    IdempotencyKeyReusedError,
    IntegrityError,
    ResourceExhaustedError,
    StorageError,
)
from actorc.storage.server.engines.descriptor_shortage import is_out_of_descriptors, out_of_descriptors

_log = logging.getLogger(__name__)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def is_full(error: Exception) -> bool:
    """Return whether the disk, or the quota on it, has no room left."""
    if isinstance(error, sqlite3.Error):
        return "is full" in str(error)  # SQLITE_FULL; error codes are attributes from Python 3.11 on only
    return isinstance(error, OSError) and error.errno in _FULL


def is_busy(error: Exception) -> bool:
    """Return whether another process holds the database."""
    return isinstance(error, sqlite3.OperationalError) and "is locked" in str(error)


def may_pass(error: Exception) -> bool:
    """Return whether `error` is a shortage; then nothing was written, and the state on disk is known."""
    return is_full(error) or is_busy(error) or is_out_of_descriptors(error)


def cause(error: Exception) -> str:
    """Return the description of `error` without paths of the server, which callers must not see."""
    if isinstance(error, OSError) and error.strerror:
        return f"[Errno {error.errno}] {error.strerror}"
    return str(error) or type(error).__name__


def explain(error: Exception) -> StorageError:
    """Return the `StorageError` for an error of the disk or of the database."""
    if is_full(error):
        return ResourceExhaustedError("the disk of the server is full; free space there or delete objects, then retry")
    if is_busy(error):
        return ResourceExhaustedError("the index is held by another process; close whatever opened meta.db, then retry")
    if is_damage(error):
        return IntegrityError(
            f"the index of the server is damaged ({error}); nothing was changed, so stop the server and run "
            "'lucas-storage fsck' on its data directory"
        )
    if is_out_of_descriptors(error):
        return out_of_descriptors()
    return StorageError(f"the disk of the server failed ({cause(error)}); look at its log and its disk, then try again")


def is_damage(error: Exception) -> bool:
    """Return whether the database contradicts itself."""
    if isinstance(error, UnicodeDecodeError):  # a message of SQLite may quote damaged text
        return True
    return isinstance(error, sqlite3.DatabaseError) and any(
        phrase in str(error) for phrase in ("is malformed", "is not a database")
    )


# classes, since every call has several such blocks, and one made of a generator takes four times as long


class named:  # noqa: N801 - used as a function
    """A block that adds the object's name to errors about its row that are raised within it."""

    __slots__ = ("_bucket", "_key")

    def __init__(self, bucket: str, key: str) -> None:
        self._bucket = bucket
        self._key = key

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        # the innermost block knows best: a copy has two objects
        if isinstance(error, (IntegrityError, IdempotencyKeyReusedError)) and not error.bucket:
            error.bucket, error.key = self._bucket, self._key


class explained:  # noqa: N801 - used as a function
    """A block that turns errors of the disk and of the database into `StorageError`, the original one kept as cause."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, (OSError, sqlite3.Error, UnicodeDecodeError)) and not isinstance(error, StorageError):
            raise explain(error) from error
