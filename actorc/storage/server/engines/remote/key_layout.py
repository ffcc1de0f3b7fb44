"""KeyLayout of objects within one bucket of the store, and the keys that it can hold."""

from __future__ import annotations

import re
from typing import Final

from actorc.storage.errors import InvalidParameterError

BUCKETS: Final = ".buckets"
"""Prefix of the markers by which buckets exist; no bucket can have this name."""
UPLOADS: Final = ".uploads"
"""Prefix of multipart uploads and their parts."""

_MAX_NAME: Final = 1024
"""Bytes; S3 and Google refuse longer names, and Azure longer ones in characters."""
_LAST: Final = "\U0010ffff"
_FORBIDDEN: Final = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")
"""Control characters and characters that XML cannot hold: the store would accept such a name and never delete it."""


class KeyLayout:
    """KeyLayout in the store. Immutable.

    Args:
        root: Prefix of all names; empty, or segments with a slash at the end.
    """

    def __init__(self, root: str = "") -> None:
        self._root = root

    def object(self, bucket: str, key: str) -> str:
        """Return the name of an object.

        Raises:
            InvalidParameterError: The store cannot hold this key; the message names the rule.
        """
        name = f"{self._root}{bucket}/{key}"
        problem = _problem(key)
        if len(name.encode()) > _MAX_NAME:
            problem = f"has at most {_MAX_NAME - len(name.encode()) + len(key.encode())} bytes in this bucket"
        if problem:
            raise InvalidParameterError(
                f"a key of this server's storage engine {problem}; use another key", bucket, key
            )
        return name

    def key(self, bucket: str, name: str) -> str:
        """Return the key of the object with this name."""
        return name[len(self._root) + len(bucket) + 1 :]

    def bucket(self, bucket: str) -> str:
        """Return the folder of a bucket's objects."""
        return f"{self._root}{bucket}"

    def marker(self, bucket: str) -> str:
        """Return the name of a bucket's marker."""
        return f"{self._root}{BUCKETS}/{bucket}"

    @property
    def markers(self) -> str:
        """Folder of all markers."""
        return f"{self._root}{BUCKETS}"

    def upload(self, bucket: str, upload_id: str) -> str:
        """Return the folder of a multipart upload and its parts."""
        return f"{self.uploads(bucket)}/{upload_id}"

    def uploads(self, bucket: str = "") -> str:
        """Return the folder of the multipart uploads of a bucket, or of all buckets."""
        return f"{self._root}{UPLOADS}/{bucket}" if bucket else f"{self._root}{UPLOADS}"

    def folder(self, bucket: str, prefix: str) -> str | None:
        """Return a folder of all keys that begin with `prefix`, perhaps among others; None if there can be none."""
        if _FORBIDDEN.search(prefix):
            return None
        folder = prefix.rpartition("/")[0]
        if not folder:
            return None if prefix.startswith("/") else f"{self._root}{bucket}"
        return None if _problem(folder) else f"{self._root}{bucket}/{folder}"

    def behind(self, bucket: str, text: str, *, everything: bool = False) -> str | None:
        """Return the greatest name that is not behind `text` and that the store accepts as the start of a listing.

        Args:
            bucket: Bucket of the keys.
            text: A key, or a prefix of keys.
            everything: Start behind all keys that begin with `text`.
        """
        legal = _legal(text + _LAST if everything else text)
        return f"{self._root}{bucket}/{legal}" if legal else None


def before(prefix: str) -> str:
    """Return a text that is less than `prefix`, and greater than nearly all other such texts."""
    if not prefix:
        return ""
    last = ord(prefix[-1]) - 1
    while last in {0x2F, 0xFFFE, 0xFFFF} or 0xD800 <= last <= 0xDFFF:
        last -= 1
    return prefix[:-1] + chr(last) + _LAST if last >= 0x20 else prefix[:-1]


def _problem(key: str) -> str:
    if _FORBIDDEN.search(key):
        return "holds no control characters, and neither U+FFFE nor U+FFFF"
    segments = key.split("/")
    if "" in segments:
        return "neither ends with a slash nor has two in a row"
    return "has no segments that are '.' or '..'" if {".", ".."} & set(segments) else ""


def _legal(text: str) -> str:
    """Return the longest prefix of `text` that is a key the store can hold."""
    found = _FORBIDDEN.search(text)
    segments = (text[: found.start()] if found else text).split("/")
    bad = next((at for at, segment in enumerate(segments) if segment in {"", ".", ".."}), len(segments))
    return "/".join(segments[:bad])
