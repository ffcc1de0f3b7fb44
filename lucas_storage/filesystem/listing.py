"""Methods that look: what there is, and what it is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

from actorc.storage.errors import InvalidParameterError, NotFoundError, ObjectNotFoundError
from actorc.storage.models import ObjectHead
from actorc.storage.rules import MAX_KEY_CHARACTERS

from . import paths
from .entries import Entry, artifact_entry, directories_of, directory_entry, object_entry
from .session import Session

_ALL: Final = sys.maxsize


class ListingMethods(Session):
    """The methods of the file system that look. Each asks the server; nothing is kept of an answer.

    A directory is a prefix of keys that ends with a slash: it is there as long as there is an object beneath it, or one
    whose key is the prefix itself, by which other programs keep an empty one.
    """

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """Return what is in a directory, in order of name; in one listing.

        Args:
            path: A directory, a bucket, or nothing for all buckets; of an object, the object itself is returned.
            detail: Whether to return dicts as `info` does, rather than paths.

        Raises:
            FileNotFoundError: There is nothing.
        """
        path = self._strip_protocol(path)
        entries = sorted(self._entries_in(path), key=lambda entry: str(entry["name"]))
        return entries if detail else [entry["name"] for entry in entries]

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        prefix: str = "",
        **_: Any,
    ) -> Any:
        """Return all objects in a directory and in those within it, in order of name; in one listing.

        Args:
            path: A directory, a bucket, or nothing for all buckets; of an object, the object itself is returned.
            maxdepth: Levels to descend; None for all.
            withdirs: Whether to return the directories as well, `path` itself among them.
            detail: Whether to return a dict of what `info` returns by path, rather than a list of paths.
            prefix: Return only those whose path in this directory begins with it.
        """
        if maxdepth is not None and maxdepth < 1:
            raise ValueError(f"maxdepth is 1 or more, not {maxdepth}")
        path = self._strip_protocol(path)
        entries = self._entries_beneath(path, maxdepth, prefix)
        found = {entry["name"]: entry for entry in entries if withdirs or entry["type"] == "file"}
        names = sorted(found)
        return {name: found[name] for name in names} if detail else names

    def glob(self, path: str, maxdepth: int | None = None, **options: Any) -> Any:
        """Return the paths that match a pattern, as `fsspec` documents it; in one listing.

        No more is listed than what begins like the pattern, up to its first ``*``, ``?`` or ``[``.
        """
        stripped = self._strip_protocol(path)
        if paths.is_reference(stripped):
            return {stripped: self.info(stripped)} if options.get("detail") else [stripped]
        begin = min((at for at in map(stripped.find, "*?[") if at >= 0), default=0)
        literal = stripped[:begin]
        # A bucket must be named whole, before its objects can be listed.
        prefix = literal.rpartition("/")[2] if "/" in literal else ""
        return super().glob(path, maxdepth=maxdepth, prefix=prefix, **options)

    def expand_path(self, path: Any, recursive: bool = False, maxdepth: int | None = None, **options: Any) -> list[str]:
        """Return the paths that one or several paths and patterns stand for, in order; a reference for itself.

        Raises:
            FileNotFoundError: There are none.
        """
        given = [path] if isinstance(path, (str, os.PathLike)) else path
        names = [self._strip_protocol(each) for each in given]
        found = {name for name in names if paths.is_reference(name)}
        if len(found) < len(names):
            rest = [name for name in names if name not in found]
            found |= {*super().expand_path(rest, recursive, maxdepth, **options)}
        return sorted(found)

    def info(self, path: str, **_: Any) -> Entry:
        """Return a dict with the path as ``name``, and ``type``, ``size`` and what else is known.

        Of an object, all that `StorageClient.head_object` returns; in one call. A directory takes a second one.

        Raises:
            FileNotFoundError: There is no object and no directory.
        """
        path = self._strip_protocol(path)
        if not path:
            return directory_entry(path)
        if paths.is_reference(path):
            ref = paths.reference(path)
            return artifact_entry(path, ref, self._handle(ref).stat(ref))
        bucket, key = paths.split(path)
        if not key:
            return self._bucket_entry(bucket)
        try:
            return object_entry(self.client.head_object(bucket, key))
        except ObjectNotFoundError:
            if self._has_beneath(bucket, key):
                return directory_entry(path)
            raise

    def exists(self, path: str, **_: Any) -> bool:
        """Return whether there is an object or a directory; raises if that cannot be found out."""
        try:
            self.info(path)
        except (FileNotFoundError, InvalidParameterError):
            return False
        return True

    def isdir(self, path: str) -> bool:
        """Return whether there is a directory; raises if that cannot be found out. One call."""
        path = self._strip_protocol(path)
        if not path:
            return True
        try:
            if paths.is_reference(path):
                return bool(self.info(path)["type"] == "directory")
            bucket, key = paths.split(path)
            return self._has_beneath(bucket, key) if key else self.client.bucket_exists(bucket)
        except (FileNotFoundError, InvalidParameterError):
            return False

    def isfile(self, path: str) -> bool:
        """Return whether there is an object; raises if that cannot be found out. One call."""
        path = self._strip_protocol(path)
        try:
            if paths.is_reference(path):
                return bool(self.info(path)["type"] == "file")
            bucket, _, key = path.partition("/")
            return bool(key) and self.client.object_exists(bucket, key)
        except (FileNotFoundError, InvalidParameterError):
            return False

    def du(
        self, path: str, total: bool = True, maxdepth: int | None = None, withdirs: bool = False, **_: Any
    ) -> int | dict[str, int]:
        """Return the bytes of all objects in a directory, together or by path; in one listing."""
        found = self.find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True)
        sizes = {name: int(entry["size"]) for name, entry in found.items()}
        return sum(sizes.values()) if total else sizes

    def checksum(self, path: str) -> int:
        """Return a number that changes with every write of an object: its etag, as one.

        Raises:
            IsADirectoryError: It is a directory.
        """
        return int.from_bytes(self.ukey(path).encode(), "big")

    def ukey(self, path: str) -> str:
        """Return the etag of an object, which changes with every write; of an artifact, its digest.

        Raises:
            IsADirectoryError: It is a directory.
        """
        return str(self._file_entry(path)["etag"])

    def created(self, path: str) -> Any:
        """Return when an object was written, aware, UTC; the same as `modified`."""
        return self._file_entry(path)["created"]

    def modified(self, path: str) -> Any:
        """Return when an object was written, aware, UTC."""
        return self._file_entry(path)["mtime"]

    def _file_entry(self, path: str) -> Entry:
        entry = self.info(path)
        if entry["type"] == "directory":
            raise paths.is_a_directory(entry["name"])
        return entry

    def _bucket_entry(self, bucket: str) -> Entry:
        if not self.client.bucket_exists(bucket):
            raise paths.not_found(bucket)
        return directory_entry(bucket)

    def _has_beneath(self, bucket: str, key: str) -> bool:
        # A key of the full length has nothing beneath it, and its prefix would be too long to ask for.
        return len(key) < MAX_KEY_CHARACTERS and bool(self.client.list_objects(bucket, f"{key}/", 1)["objects"])

    def _buckets(self) -> list[Entry]:
        return [directory_entry(bucket["name"]) for bucket in self.client.list_buckets()]

    def _entries_in(self, path: str) -> Iterable[Entry]:
        """Return the entries of one directory, or that of an object."""
        if not path:
            return self._buckets()
        if paths.is_reference(path):
            return [self._file_entry(path)]
        bucket, key = paths.split(path)
        with self._explained(bucket):
            entries, is_there = self._level(bucket, f"{key}/" if key else "")
        return entries if is_there else [object_entry(self.client.head_object(bucket, key))]

    def _level(self, bucket: str, base: str, prefix: str = "") -> tuple[list[Entry], bool]:
        """Return the entries of one level, and whether there is such a directory; in one listing.

        Args:
            bucket: Bucket name.
            base: The prefix that is the directory.
            prefix: What the names in it begin with.
        """
        listed = self.client.list_objects(bucket, base + prefix, _ALL, delimiter="/")
        # A key that is the prefix itself marks the directory. One without a name of its own, as in "a//b", has no path.
        entries = [object_entry(head) for head in listed["objects"] if head["key"] != base]
        entries += [
            directory_entry(f"{bucket}/{name[:-1]}") for name in listed["common_prefixes"] if name != f"{base}/"
        ]
        return entries, not base or bool(listed["objects"] or listed["common_prefixes"])

    def _levels(self, bucket: str, base: str, prefix: str, depth: int | None) -> tuple[list[Entry], bool]:
        """Return the entries of several levels, or of all if `depth` is None, else as `_level` does."""
        if depth == 1:
            return self._level(bucket, base, prefix)
        entries: dict[str, Entry] = {}
        is_there = not base
        for head in self.client.iter_objects(bucket, base + prefix):
            is_there = True
            entries.update((entry["name"], entry) for entry in _within(head, base, depth))
        return list(entries.values()), is_there

    def _entries_beneath(self, path: str, depth: int | None, prefix: str) -> list[Entry]:
        """Return the entries of a directory and those within it, its own among them; or that of an object."""
        if not path:
            return self._beneath_all_buckets(depth)
        if paths.is_reference(path):
            return [self._file_entry(path)]
        bucket, key = paths.split(path)
        try:
            entries, is_there = self._levels(bucket, f"{key}/" if key else "", prefix, depth)
            if is_there:
                return [directory_entry(path), *entries]
            return [] if prefix else [object_entry(self.client.head_object(bucket, key))]
        except NotFoundError:
            return []

    def _beneath_all_buckets(self, depth: int | None) -> list[Entry]:
        if depth == 1:
            return self._buckets()
        within = None if depth is None else depth - 1
        return [entry for bucket in self._buckets() for entry in self._entries_beneath(bucket["name"], within, "")]


def _within(head: ObjectHead, base: str, depth: int | None) -> Iterator[Entry]:
    """Yield the entries of the directories that an object is in, beneath one of them, and its own.

    Args:
        head: The object.
        base: The prefix that is the one directory.
        depth: Levels of which entries are yielded; None for all.
    """
    name = head["key"][len(base) :]
    for directory in directories_of(name):
        if depth is None or directory.count("/") < depth:
            yield directory_entry(f"{head['bucket']}/{base}{directory}")
    if name and not name.endswith("/") and (depth is None or name.count("/") < depth):
        yield object_entry(head)
