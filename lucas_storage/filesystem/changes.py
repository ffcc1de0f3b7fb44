"""Methods that change what is there without moving bytes through this process."""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from actorc.storage.errors import BucketNotEmptyError, ObjectNotFoundError
from actorc.storage.models import ObjectHead

from .listing import ListingMethods
from .paths import is_a_directory, not_found, split, split_object


class ChangeMethods(ListingMethods):
    """The methods of the file system that copy, move, remove and make."""

    def cp_file(self, path1: str, path2: str, *, moved: list[ObjectHead] | None = None, **attributes: Any) -> None:
        """Copy an object within the server, all or nothing; in one call. Content type and metadata are kept.

        Args:
            path1: The object; of a directory only the object that marks it is copied, if it has one.
            path2: The copy.
            moved: Used by `mv`: gets the description of the source.
            attributes: ``content_type``, ``metadata``, ``ttl`` and others, as those of `StorageClient.copy_object`.

        Raises:
            FileNotFoundError: There is no object and no directory.
        """
        source, target = split(self._strip_protocol(path1)), split(self._strip_protocol(path2))
        try:
            self._copy(source, (self._written(target[0]), target[1]), moved, attributes)
        except (IsADirectoryError, ObjectNotFoundError):
            # Only now: most are objects, and the question takes a call.
            if not self.isdir(path1):
                raise
            bucket, key = source
            if key and self.client.object_exists(bucket, f"{key}/"):
                self._copy((bucket, f"{key}/"), (target[0], f"{target[1]}/"), moved, attributes)

    def mv(self, path1: Any, path2: Any, recursive: bool = False, maxdepth: int | None = None, **options: Any) -> None:
        """Move objects: copy each within the server, then remove that which was copied.

        An object that is written meanwhile stays where it is, and raises. What is copied keeps content type, metadata
        and the time at which it expires.

        Args:
            path1: A path, a pattern, or several of them.
            path2: The target; with a slash at its end, or if it is a directory, what is moved comes into it.
            recursive: Whether to move directories.
            maxdepth: Levels to descend; None for all.
            options: Those of `copy`.

        Raises:
            FileNotFoundError: There is no object.
            IsADirectoryError: It is a directory, and `recursive` is false.
            PreconditionFailedError: Another process wrote an object that was copied.
        """
        if self._strip_protocol(path1) == self._strip_protocol(path2):
            return
        moved: list[ObjectHead] = []
        self.copy(path1, path2, recursive=recursive, maxdepth=maxdepth, on_error="raise", moved=moved, **options)
        if not moved and isinstance(path1, str):
            self._check_object(self._strip_protocol(path1))
        for head in moved:
            self.client.delete_object(head["bucket"], head["key"], if_match=head["etag"])

    def rm_file(self, path: str) -> None:
        """Remove an object.

        Raises:
            FileNotFoundError: There is none.
            IsADirectoryError: It is a directory.
        """
        self._remove_objects([self._strip_protocol(path)])

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Remove objects, in batches.

        Args:
            path: A path, a pattern, or several of them.
            recursive: Whether to remove directories with all that is in them; a bucket, too.
            maxdepth: Levels to descend; None for all.

        Raises:
            FileNotFoundError: There is nothing; nothing was removed.
            IsADirectoryError: There is a directory, and `recursive` is false; nothing was removed.
            ValueError: All buckets are named.
            StorageError: An object could not be removed; the others were.
        """
        names = self.expand_path(path)
        if not all(names):
            raise ValueError("this would remove all buckets; name those that are to go")
        if recursive:
            for name in names:
                self._remove_tree(name, maxdepth)
        else:
            self._remove_objects(names)

    def touch(self, path: str, truncate: bool = True, **attributes: Any) -> None:
        """Make an empty object, or write an object anew with what it has, so that it counts as modified now.

        Args:
            path: The object.
            truncate: Whether an object that is there becomes empty.
            attributes: Of an empty object, as those of `StorageClient.put_object`.
        """
        bucket, key = split_object(self._strip_protocol(path))
        self._written(bucket)
        if truncate:
            self.client.put_object(bucket, key, b"", **attributes)
            return
        try:
            head = self.client.head_object(bucket, key)
        except ObjectNotFoundError:
            self.client.put_object(bucket, key, b"", if_absent=True, **attributes)
        else:
            same: dict[str, Any] = {
                "generation": head["generation"],
                "if_match": head["etag"],
                "ttl": _seconds_left(head),
            }
            self.client.copy_object(bucket, key, bucket, key, **same)

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        """Make a bucket. A directory in one is there as long as it has objects, so nothing is made for it.

        Args:
            path: A bucket, or a directory.
            create_parents: Whether to make the bucket of a directory if it is missing.

        Raises:
            FileExistsError: There is such a bucket.
            FileNotFoundError: The bucket of a directory is missing, and `create_parents` is false, or a store has its
                name.
        """
        bucket, key = split(self._strip_protocol(path))
        if not key:
            self.client.create_bucket(bucket)
        elif create_parents:
            self._make_missing(self._written(bucket))
        elif not self._may_exist(bucket):
            raise not_found(bucket)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a bucket, as `mkdir` does.

        Args:
            path: A bucket, or a directory.
            exist_ok: Whether one that is there is no error.

        Raises:
            FileExistsError: There is one, and `exist_ok` is false.
        """
        path = self._strip_protocol(path)
        bucket, key = split(path)
        if exist_ok:
            self._make_missing(self._written(bucket) if key else bucket)
        elif key and self.isdir(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        else:
            self.mkdir(path)

    def rmdir(self, path: str) -> None:
        """Remove an empty bucket, or the object that marks an empty directory.

        Raises:
            FileNotFoundError: There is none.
            OSError: It is not empty.
        """
        path = self._strip_protocol(path)
        bucket, key = split(path)
        if not key:
            try:
                self.client.delete_bucket(bucket)
            except BucketNotEmptyError as error:
                raise _not_empty(path) from error
            return
        found = self.client.list_objects(bucket, f"{key}/", 2)["objects"]
        if not found:
            raise not_found(path)
        if [head["key"] for head in found] != [f"{key}/"]:
            raise _not_empty(path)
        self.client.delete_object(bucket, f"{key}/", if_match=found[0]["etag"])

    def sign(self, path: str, expiration: int = 100, **options: Any) -> str:
        """Return a URL that allows its holder to read an object for a time, over HTTP and without keys.

        Args:
            path: The object.
            expiration: Seconds.
            options: ``method``, ``max_size`` and ``content_type``, as those of `StorageClient.presign_url`.

        Raises:
            UnsupportedError: The server is not reached over HTTP.
        """
        bucket, key = split_object(self._strip_protocol(path))
        return self.client.presign_url(bucket, key, expires=expiration, **options)

    def _copy(
        self,
        source: tuple[str, str],
        target: tuple[str, str],
        moved: list[ObjectHead] | None,
        attributes: dict[str, Any],
    ) -> None:
        for bucket, key in (source, target):
            if not key:
                raise is_a_directory(bucket)
        if moved is None:
            self.client.copy_object(*source, *target, **attributes)
            return
        head = self.client.head_object(*source)
        known = {"generation": head["generation"], "ttl": _seconds_left(head)}
        self.client.copy_object(*source, *target, **{**known, **attributes})
        moved.append(head)

    def _make_missing(self, bucket: str) -> None:
        # Asked first: programs call this before every write, and few keys may make buckets.
        if not self._may_exist(bucket):
            self.client.create_bucket(bucket, exist_ok=True)

    def _may_exist(self, bucket: str) -> bool:
        try:
            return self.client.bucket_exists(bucket)
        except PermissionError:  # a key for some prefixes alone may write there all the same
            return True

    def _check_object(self, path: str) -> None:
        """Raise unless there is an object: one that is missing is no error to the server."""
        if self.info(path)["type"] == "directory":
            raise is_a_directory(path)

    def _remove_objects(self, names: list[str]) -> None:
        for name in names:
            self._check_object(name)
        self._delete(map(split_object, names))

    def _remove_tree(self, path: str, maxdepth: int | None) -> None:
        bucket, key = split(path)
        if maxdepth is not None:
            self._delete(map(split_object, self.find(path, maxdepth=maxdepth)))
        elif not key:
            self.client.delete_bucket(bucket, force=True)
        else:
            # With those that mark directories, which `find` leaves out, and the object of the very name.
            beneath = [head["key"] for head in self.client.iter_objects(bucket, f"{key}/", details=False)]
            if not beneath:
                self._check_object(path)
            self._delete((bucket, name) for name in (key, *beneath))

    def _delete(self, objects: Iterable[tuple[str, str]]) -> None:
        by_bucket: defaultdict[str, list[str]] = defaultdict(list)
        for bucket, key in objects:
            by_bucket[bucket].append(key)
        for bucket, keys in by_bucket.items():
            for error in self.client.delete_objects(bucket, keys)["errors"].values():
                raise error


def _seconds_left(head: ObjectHead) -> int | None:
    expires = head["expires_at"]
    return None if expires is None else max(1, round((expires - datetime.now(UTC)).total_seconds()))


def _not_empty(path: str) -> OSError:
    return OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
