"""Methods that move bytes to and from memory."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from glob import has_magic
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from actorc.storage.errors import InvalidRangeError, StorageError
from lucas_storage.parallel import each

from . import ranges
from .opening import OpeningMethods
from .paths import is_reference, not_found, split_object
from .ranges import Range, Wanted

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .files import ReadFile

OnError: TypeAlias = Literal["raise", "return", "omit"]
Content: TypeAlias = bytes | Exception


class ContentMethods(OpeningMethods):
    """The methods of the file system that move bytes to and from memory."""

    def cat_file(
        self,
        path: str,
        start: int | None = None,
        end: int | None = None,
        *,
        generation: int | None = None,
        if_match: str | None = None,
    ) -> bytes:
        """Return an object, or a part of it, verified; in one call.

        Args:
            path: The object, or a reference to an artifact.
            start: Position of the first byte; counted from the end if it is negative.
            end: Position behind the last byte; likewise, which takes a second call.
            generation: Read this generation or fail.
            if_match: Read only the object with this etag.

        Raises:
            FileNotFoundError: There is no object.
        """
        path = self._strip_protocol(path)
        if is_reference(path):
            return self._parts_of_artifact(path, [(start, end)])[0]
        bucket, key = split_object(path)
        if start is not None and start < 0 and end is None:
            return self.client.get_ranges(bucket, key, [(start, -start)], generation=generation, if_match=if_match)[0]
        if (start or 0) < 0 or (end or 0) < 0:
            head = self.client.head_object(bucket, key)
            start, end, _ = slice(start, end).indices(head["size"])
            generation = generation or head["generation"]
        first = start or 0
        length = None if end is None else max(end - first, 0)
        which: dict[str, Any] = {"generation": generation, "if_match": if_match}
        try:
            found: bytes = self.client.get_object(bucket, key, offset=first, length=length, **which)
        except InvalidRangeError:  # behind the end there is nothing, as behind that of `bytes`
            return b""
        return found

    def cat(self, path: Any, recursive: bool = False, on_error: OnError = "raise", **which: Any) -> Any:
        """Return an object, or a dict of objects by path if there are several, in few calls.

        Args:
            path: A path, a pattern, or several of them.
            recursive: Whether to return all objects in directories.
            on_error: Whether an object that cannot be read raises, is left out, or has its error in its place.
            which: For a single path, the arguments of `cat_file`.

        Raises:
            FileNotFoundError: There is no object.
        """
        is_one = isinstance(path, (str, os.PathLike))
        names = sorted({name for each in ([path] if is_one else path) for name in self._files(each, recursive)})
        if not names:
            raise not_found(str(path))
        if is_one and names == [self._strip_protocol(path)]:
            return self.cat_file(names[0], **which)
        contents = zip(names, self._contents(names), strict=True)
        return {name: content for name, content in contents if _is_kept(content, on_error)}

    def cat_ranges(
        self,
        paths: list[str],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        on_error: OnError = "return",
        **_: Any,
    ) -> list[Content]:
        """Return parts of objects in the order asked for: one call for each object, several at once.

        Objects of which all is asked for are read in batches.

        Args:
            paths: A path for each part.
            starts: Position of the first byte of each, or one for all; None and negative ones as in a slice.
            ends: Position behind the last byte of each, or one for all; likewise.
            max_gap: Bytes between two parts of an object up to which they are read as one.
            on_error: Whether a part that cannot be read raises, or has its error in its place.

        Raises:
            TypeError: `paths` is no list.
            ValueError: The lists are of different lengths.
        """
        if not isinstance(paths, list):
            raise TypeError(f"paths are a list, not a {type(paths).__name__}; read a single one with cat_file")
        names = [self._strip_protocol(path) for path in paths]
        slices = list(zip(_for_each(starts, len(names)), _for_each(ends, len(names)), strict=True))
        whole = {name for name, (start, end) in zip(names, slices, strict=True) if not start and end is None}
        contents = dict(zip(whole, self._contents(whole), strict=True))
        parts: defaultdict[str, list[Wanted]] = defaultdict(list)
        for name, wanted in zip(names, slices, strict=True):
            if name not in whole:
                parts[name].append(wanted)
        read = each(lambda name: iter(self._parts(name, parts[name], max_gap or 0)), parts)
        pieces = dict(zip(parts, read, strict=True))
        found = [
            next(pieces[name]) if name in pieces else _sliced(contents[name], wanted)
            for name, wanted in zip(names, slices, strict=True)
        ]
        return [content for content in found if _is_kept(content, on_error)]

    def pipe(self, path: Any, value: Buffer | None = None, **options: Any) -> None:
        """Write an object, or several small ones in few calls; each of them all or nothing.

        Args:
            path: A path, or a dict of bytes by path.
            value: The bytes, if `path` is a path.
            options: Those of `pipe_file`.
        """
        if not isinstance(path, dict) or self._intrans:
            super().pipe(path, value, **options)
            return
        attributes = new_attributes(**options)
        by_bucket: defaultdict[str, list[Any]] = defaultdict(list)
        for name, data in path.items():
            bucket, key = split_object(self._strip_protocol(name))
            by_bucket[bucket].append({"key": key, "data": data, **attributes})
        for bucket, objects in by_bucket.items():
            for error in self.client.put_objects(self._written(bucket), objects)["errors"].values():
                raise error

    def pipe_file(self, path: str, value: Buffer, mode: str = "overwrite", **attributes: Any) -> None:
        """Write an object, all or nothing; in one call.

        Args:
            path: The object.
            value: Any bytes-like object.
            mode: ``create`` refuses to replace an object, which the server decides at the moment of the write.
            attributes: ``content_type``, ``metadata``, ``ttl`` and ``if_match``, as for `StorageClient.put_object`.

        Raises:
            FileExistsError: `mode` is ``create``, and there is an object.
        """
        if self._intrans:
            with self.open(path, writing_mode(mode), **attributes) as file:
                file.write(value)
            return
        bucket, key = split_object(self._strip_protocol(path))
        self.client.put_object(self._written(bucket), key, value, **new_attributes(mode, **attributes))

    def _files(self, path: Any, recursive: bool) -> Iterable[str]:
        """Return the objects that a path or a pattern stands for; a path alone for itself, whatever it is."""
        path = self._strip_protocol(path)
        if has_magic(path) and not is_reference(path):
            found = self.glob(path, detail=True).values()
            files = [entry["name"] for entry in found if entry["type"] == "file"]
            within = [entry["name"] for entry in found if recursive and entry["type"] == "directory"]
            return [*files, *(name for directory in within for name in self.find(directory))]
        return self.find(path) if recursive else [path]

    def _contents(self, names: Iterable[str]) -> list[Content]:
        """Return objects, or the error of each that cannot be read, in as few calls as they fit into."""
        names = list(names)
        found: dict[str, Content] = {}
        by_bucket: defaultdict[str, list[str]] = defaultdict(list)
        for name in names:
            bucket, _, key = name.partition("/")
            if is_reference(name) or not key:
                found[name] = self._content(name)
            else:
                by_bucket[bucket].append(key)
        for bucket, keys in by_bucket.items():
            batch = self._batch(bucket, keys)
            found.update((f"{bucket}/{key}", batch[key]) for key in keys)
        return [found[name] for name in names]

    def _content(self, name: str) -> Content:
        try:
            return self.cat_file(name)
        except Exception as error:  # noqa: BLE001  # of one among others; the caller says what becomes of it
            return error

    def _batch(self, bucket: str, keys: list[str]) -> dict[str, Content]:
        try:
            got = self.client.get_objects(bucket, dict.fromkeys(keys))
        except StorageError as error:
            return dict.fromkeys(keys, error)
        return {**{each["key"]: each["data"] for each in got["objects"]}, **got["errors"]}

    def _parts(self, name: str, wanted: list[Wanted], gap: int) -> list[Content]:
        """Return parts of one object, or its error as often."""
        try:
            if is_reference(name):
                return [*self._parts_of_artifact(name, wanted)]
            return [*self._parts_of(*split_object(name), wanted, gap)]
        except Exception as error:  # noqa: BLE001  # as above
            return [error] * len(wanted)

    def _parts_of_artifact(self, name: str, wanted: list[Wanted]) -> list[bytes]:
        with self._artifact(name) as file:
            return [_piece(file, ranges.resolved(each, file.size)) for each in wanted]

    def _parts_of(self, bucket: str, key: str, wanted: list[Wanted], gap: int) -> list[bytes]:
        def read(size: int, generation: int | None) -> list[bytes]:
            def fetch(joint: list[Range]) -> list[bytes]:
                pairs = [(part.start, part.end - part.start) for part in joint]
                return self.client.get_ranges(bucket, key, pairs, generation=generation)

            return ranges.read([ranges.resolved(each, size) for each in wanted], gap, fetch)

        if not any(map(ranges.needs_size, wanted)):
            try:
                return read(sys.maxsize, None)
            except InvalidRangeError:  # one of them begins behind the end, where there are no bytes
                pass
        head = self.client.head_object(bucket, key)
        return read(head["size"], head["generation"])


def new_attributes(mode: str = "overwrite", **attributes: Any) -> dict[str, Any]:
    """Return the arguments of the client for a write with a mode of `fsspec` and attributes.

    Raises:
        ValueError: There is no such mode.
    """
    return {**attributes, "if_absent": True} if writing_mode(mode) == "xb" else attributes


def writing_mode(mode: str) -> str:
    """Return the mode of a file for a mode of `pipe_file`: ``overwrite`` or ``create``.

    Raises:
        ValueError: There is no such mode.
    """
    if mode not in ("overwrite", "create"):
        raise ValueError(f"the mode of a write is 'overwrite' or 'create', not {mode!r}")
    return "xb" if mode == "create" else "wb"


def _for_each(given: Any, count: int) -> list[int | None]:
    each_one = given if isinstance(given, list) else [given] * count
    if len(each_one) != count:
        raise ValueError(f"there are {count} paths, and {len(each_one)} positions for them; give one for each")
    return each_one


def _piece(file: ReadFile, part: Range) -> bytes:
    file.seek(part.start)
    return file.read(part.end - part.start)


def _sliced(content: Content, wanted: Wanted) -> Content:
    return content if isinstance(content, Exception) else content[slice(*wanted)]


def _is_kept(content: Content, on_error: OnError) -> bool:
    if isinstance(content, Exception) and on_error == "raise":
        raise content
    return on_error == "return" or not isinstance(content, Exception)
