"""Paths of the file system: ``bucket/key``, a bucket alone, or a reference to an artifact.

A path is taken as it is written: nothing in it is decoded, so that ``%``, ``#``, ``?`` and spaces are those of the key.
"""

from __future__ import annotations

import errno
import os
import re
from typing import Final

from actorc.storage.rules import check_bucket, check_key
from lucas_storage.refs import ArtifactRef

PROTOCOL: Final = "lucas"

_INLINE: Final = f"{PROTOCOL}:inline?"
_QUERY: Final = re.compile(r"\?(?:d=sha256:|n=[0-9]+&f=)")
"""How the query of a reference to stored bytes begins; see `lucas_storage.refs`."""


def is_reference(path: str) -> bool:
    """Return whether a path, without its protocol, is a reference to an artifact, rather than a bucket and a key."""
    return path.startswith(_INLINE) or _QUERY.search(path) is not None


def reference(path: str) -> ArtifactRef:
    """Return the reference that a path spells.

    Raises:
        InvalidRefError: It is a wrong one.
    """
    return ArtifactRef.parse(path if path.startswith(_INLINE) else f"{PROTOCOL}://{path}")


def split(path: str) -> tuple[str, str]:
    """Return the bucket and the key of a path; the key is empty if the path is a bucket.

    Raises:
        InvalidParameterError: No bucket or no object can have this name.
        PermissionError: It is a reference, and those are read only.
    """
    if is_reference(path):
        raise PermissionError(errno.EPERM, "an artifact is read by its reference, and never changed by it", path)
    bucket, _, key = path.partition("/")
    check_bucket(bucket)
    return bucket, check_key(key, bucket) if key else ""


def split_object(path: str) -> tuple[str, str]:
    """Return the bucket and the key of the path of an object.

    Raises:
        IsADirectoryError: It is a bucket, or all of them.
        InvalidParameterError: No bucket or no object can have this name.
        PermissionError: It is a reference.
    """
    if not path:
        raise is_a_directory(path)
    bucket, key = split(path)
    if not key:
        raise is_a_directory(path)
    return bucket, key


def is_a_directory(path: str) -> IsADirectoryError:
    """Return the error for a directory in the place of an object."""
    return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)


def not_found(path: str) -> FileNotFoundError:
    """Return the error for a path where nothing is."""
    return FileNotFoundError(errno.ENOENT, "there is no object and no directory", path)
