"""Methods that open files."""

from __future__ import annotations

import io
from typing import IO, Any, Final, cast

from fsspec.compression import compr
from fsspec.core import get_compression

from actorc.storage.errors import AlreadyExistsError, NotFoundError, ObjectNotFoundError
from actorc.storage.models import ObjectHead

from . import paths
from .files import CachedFile, LayeredFile, ReadFile, TextFile, WriteFile
from .listing import ListingMethods

_TEXT: Final = ("encoding", "errors", "newline")
_MODES: Final = ("rb", "wb", "xb", "ab", "w+b", "x+b")
_READING: Final = ("generation", "if_match")
_WRITING: Final = ("content_type", "metadata", "ttl", "if_match", "if_absent")
_NO_CACHE: Final = (None, "none")


class OpeningMethods(ListingMethods):
    """The methods of the file system that open files."""

    def open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: dict[str, Any] | None = None,
        compression: str | None = None,
        **options: Any,
    ) -> IO[Any]:
        """Open an object as a file, as `StorageClient.open_object` does.

        A file that is read is seekable, and all of it is of one generation. A file that is written is published when it
        is closed, all or nothing; if the body of a ``with`` raises, nothing is, be it that of the file or that of an
        object which closes it, such as `fsspec.open` and pandas make.

        Args:
            path: The object, or a reference to an artifact, which is verified by its digest.
            mode: ``r``, ``w``, ``x`` for an object that is not there yet, or ``a``; with ``b`` binary, else text. What
                is appended to is read and written again. ``w+b`` and ``x+b`` are for programs that go back in what they
                wrote, and for more than a part before they do.
            block_size: Reading: bytes to fetch at once, at most, beyond those asked for. Writing: bytes of a part.
            cache_options: For `cache_type`.
            compression: ``gzip`` or another one that `fsspec` knows; ``infer`` takes that of the name.
            options: ``encoding`` (UTF-8 if not given), ``errors``, ``newline``. Reading: ``generation``, ``if_match``,
                and ``cache_type``, a cache of `fsspec` instead of the client's own reading ahead. Writing:
                ``content_type``, ``metadata``, ``ttl``, ``if_match``, ``if_absent``, and ``autocommit``.

        Raises:
            FileNotFoundError: There is no object.
            FileExistsError: `mode` has an ``x``, and there is one; also when the file is closed.
            IsADirectoryError: It is a directory.
            PermissionError: It is a reference, and `mode` is not for reading.
            ValueError: There is no such mode.
        """
        path = self._strip_protocol(path)
        text = {name: options.pop(name) for name in _TEXT if name in options}
        binary = mode.replace("t", "") if "b" in mode else f"{mode.replace('t', '')}b"
        found = get_compression(path, compression)
        file = super().open(path, binary, block_size=block_size, cache_options=cache_options, **options)
        if found is not None:
            layer = compr[found](file, mode=binary[0])
            file = layer if "r" in mode else LayeredFile(layer, file)
        if "b" in mode:
            return cast("IO[Any]", file)
        return (io.TextIOWrapper if "r" in mode else TextFile)(file, **{"encoding": "utf-8", **text})

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        cache_type: str | None = None,
        size: int | None = None,
        **options: Any,
    ) -> ReadFile | WriteFile | CachedFile:
        if mode not in _MODES:
            raise ValueError(f"the mode of a file is r, w, x or a, with b or t, or w+b or x+b, not {mode!r}")
        if mode != "rb":
            return self._writer(path, mode, block_size, options, autocommit=autocommit)
        # Programs pass options that are meant for other file systems, which change nothing about what is read.
        options = {name: options[name] for name in _READING if name in options}
        if paths.is_reference(path):
            return self._artifact(path)
        if cache_type not in _NO_CACHE:
            cache = {"cache_type": cache_type, "cache_options": cache_options}
            return CachedFile(self, path, mode, block_size, size=size, **cache, **options)
        bucket, key = paths.split_object(path)
        try:
            with self._explained(bucket):
                file: Any = self.client.open_object(bucket, key, mode, chunk_size=block_size, **options)
        except ObjectNotFoundError as error:
            if self._has_beneath(bucket, key):
                raise paths.is_a_directory(path) from error
            raise
        return ReadFile(self, path, file, {"generation": file.generation})

    def _artifact(self, path: str) -> ReadFile:
        ref = paths.reference(path)
        if self.isdir(path):
            raise paths.is_a_directory(path)
        return ReadFile(self, path, self._handle(ref).open(ref), {})

    def _writer(
        self, path: str, mode: str, block_size: int | None, options: dict[str, Any], *, autocommit: bool
    ) -> WriteFile:
        bucket, key = paths.split_object(path)
        if unknown := ", ".join(sorted({*options} - {*_WRITING})):
            raise TypeError(f"a file that is written has no option {unknown}; there are {', '.join(_WRITING)}")
        self._written(bucket)
        present = None if "w" in mode else self._present(bucket, key)
        if "x" in mode and present:
            raise AlreadyExistsError("there is an object already; open it with 'w' to replace it", bucket, key)
        if "w" not in mode:
            options = {**options, **_tied_to(present)}
        plain = "w+b" if "+" in mode else "wb"
        opened = self.client.open_object(bucket, key, plain, chunk_size=block_size, **options)
        file = WriteFile(self, path, opened, mode, autocommit=autocommit)
        if present:
            # A store appends nothing; all of the object is written again, and only if it is still this one then.
            for piece in self.client.stream_object(bucket, key, generation=present["generation"]):
                file.write(piece)
        return file

    def _present(self, bucket: str, key: str) -> ObjectHead | None:
        try:
            return self.client.head_object(bucket, key)
        except NotFoundError:
            return None


def _tied_to(present: ObjectHead | None) -> dict[str, Any]:
    """Return the options of a write that replaces this very object, with its attributes; or makes one if it is None."""
    if present is None:
        return {"if_absent": True}
    return {"if_match": present["etag"], "content_type": present["content_type"], "metadata": present["metadata"]}
