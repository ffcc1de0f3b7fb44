"""The base class of formats, the encoded bytes they return, and the sources they decode.

A format's id is written into references, so it is forever: a changed encoding gets a new number. Formats import the
packages they serve only when a value or a reference of theirs appears.
"""

from __future__ import annotations

import mmap
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Final, TypeAlias

from actorc.storage.buffers import flat_view
from actorc.storage.files.seekable_reader import BlobFile
from lucas_storage import limits
from lucas_storage.class_names import package_of
from lucas_storage.errors import DecodeError, MissingDependencyError, NoFormatError, UnsupportedError
from lucas_storage.refs import digest_of

if TYPE_CHECKING:
    from lucas_storage.preview_data import Preview
    from lucas_storage.refs import ArtifactRef
    from lucas_storage.signing import Verified

Buffer: TypeAlias = bytes | memoryview

SMALL: Final = 64 << 10
"""Bytes; smaller pieces are copied together, since a call for each costs more than the copy."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """The bytes of one encoded value, in pieces that may still be the value's own memory.

    The value owns that memory, and must not change until the bytes are stored.
    """

    parts: tuple[Buffer, ...]
    """In order; memoryviews are flat and of single bytes."""
    apart: bool = False
    """Whether large buffers among them are worth storing on their own, since other values have them, too."""

    @classmethod
    def of(cls, data: Any) -> Encoded:
        """Return the result of an encoder as pieces: an `Encoded`, one buffer, or an iterable of buffers."""
        if isinstance(data, Encoded):
            return data
        try:
            return cls((flat_view(data),))
        except TypeError:
            return cls(tuple(flat_view(buffer) for buffer in data))

    @property
    def size(self) -> int:
        """Bytes of all parts together."""
        return sum(map(len, self.parts))

    def digest(self) -> str:
        """Return ``sha256:`` and the hexadecimal digest over all parts in order; computed anew on each call."""
        return digest_of(self.parts)

    def chunks(self, size: int) -> Iterator[Buffer]:
        """Yield the bytes in order, in non-empty pieces of at most `size` bytes; only small pieces are copied."""
        joined: list[Buffer] = []
        held = 0
        # Small pieces are joined and large ones passed on as they are: neither a call for each header of a few bytes,
        # nor a copy of an array.
        for piece in self._pieces(size):
            if held and (len(piece) >= SMALL or held + len(piece) > size):
                yield b"".join(joined)
                joined, held = [], 0
            if len(piece) >= SMALL:
                yield piece
            else:
                joined.append(piece)
                held += len(piece)
        if held:
            yield b"".join(joined)

    def _pieces(self, size: int) -> Iterator[Buffer]:
        for part in self.parts:
            view = memoryview(part)
            for start in range(0, len(view), size):
                yield view[start : start + size]

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)


class Source(ABC):
    """The stored bytes of one artifact; their digest is verified before they are handed out. For one thread."""

    in_memory: ClassVar[bool] = False
    """Whether `read` costs nothing, so that a format gains nothing from mapping `path`."""

    max_expansion: int = limits.EXPANSION
    """Largest ratio of the decoded to the stored bytes."""

    @abstractmethod
    def read(self) -> Buffer:
        """Return all bytes."""

    @abstractmethod
    def path(self) -> Path:
        """Return a read-only local file with the bytes, good for memory mapping."""

    def referred(self, refs: list[tuple[str, ArtifactRef]]) -> list[Any]:
        """Return the values of references within the bytes, each loaded as its word says.

        Raises:
            UnsupportedError: These bytes stand alone.
        """
        if refs:
            raise UnsupportedError("an artifact that refers to others is read by its reference; pass that one on")
        return []

    def open(self) -> BinaryIO | BlobFile:
        """Return the file that was verified, open; its path may lead to another file a moment later."""
        return self.path().open("rb")


class MemorySource(Source):
    """Verified bytes that are in memory, such as those of an inline reference; `read` returns them without a copy."""

    in_memory = True

    def __init__(self, data: Buffer) -> None:
        self._data = data

    def read(self) -> Buffer:
        """Return all bytes, without a copy."""
        return self._data

    def path(self) -> Path:
        """Refuse.

        Raises:
            UnsupportedError: Always; the cache gives bytes a file.
        """
        raise UnsupportedError("bytes in memory have no file; put them into the cache first")


class Format(ABC):
    """One way to write a kind of value as bytes. Without state, so that all threads share one instance."""

    id: str
    """Versioned id such as ``npy@1``; kept in references for ever."""
    safe: bool = True
    """False if decoding can run code: such a format is read only from signed references."""
    content_type: str = "application/octet-stream"
    extension: str = ""
    """With its dot, such as ``.npy``; for names of local files."""
    extends: str | None = None
    """Id of the version to which this one only adds; values that it holds are written in it, for older readers."""

    @abstractmethod
    def handles(self, value: object) -> bool:
        """Return whether `encode` takes `value` and `decode` gives an equal one of the same type back.

        Imports nothing: a value whose package is not loaded cannot exist.
        """

    def part_not_held(self, value: object) -> str | None:
        """Return the part for which a value of the kind of this format is not held, such as ``column 'a'``, or None."""
        del value
        return None

    @abstractmethod
    def encode(self, value: Any) -> Encoded:
        """Return `value` as bytes, without copying where its memory can be used as it is.

        Raises:
            NoFormatError: This format cannot hold it.
            MissingDependencyError: A package is missing; the message names the extra.
        """

    @abstractmethod
    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return the value that `encode` took.

        Args:
            source: The stored bytes.
            want: The word for the caller's annotation: ``ndarray``, ``table``, ``dataframe``, ``polars``, ``bytes``
                (the stored bytes), ``str``, ``path`` (a file with the stored bytes). None, ``any`` and words that a
                format does not know mean the value as it was encoded.
            proof: The result of `lucas_storage.signing.verify` for the reference; demanded by formats that are
                not safe.

        Raises:
            DecodeError: The bytes are not of this format, or the value does not convert to `want`.
            UnsafeFormatError: The format is not safe and `proof` is missing.
        """

    def preview(self, file: BinaryIO, size: int, count: int) -> Preview | None:
        """Return how the artifact begins, for people; None shows it as bytes. Called for safe formats only.

        Nothing proves who wrote the bytes: what they claim is checked before memory is taken. An error becomes a text
        in place of the preview.

        Args:
            file: The stored bytes, seekable; some of them are enough, and no more than 64 MiB can be read.
            size: Their number.
            count: Lines, rows or values at most.
        """
        del file, size, count
        return None


def stored(source: Source, want: str | None) -> Any | None:
    """Return the stored bytes if `want` is ``bytes``, their file if it is ``path``, and None for any other word."""
    if want == "bytes":
        return bytes(source.read())
    return source.path() if want == "path" else None


def private(source: Source) -> memoryview:
    """Return writable memory with the stored bytes; changes of it reach neither the cache nor another process.

    A large file is mapped copy-on-write: no page is read before it is used. Small ones are copied, because a map costs
    a file descriptor for as long as the value lives.
    """
    if source.in_memory:
        return memoryview(bytearray(source.read()))
    with source.open() as file:
        if _size(file) < SMALL:
            return memoryview(bytearray(file.read()))
        return _mapped(file, mmap.ACCESS_COPY)


def shared(source: Source) -> Buffer:
    """Return the stored bytes, read-only; a large file is mapped, and no page is read before it is used."""
    if source.in_memory:
        return source.read()
    with source.open() as file:
        return file.read() if _size(file) < SMALL else _mapped(file, mmap.ACCESS_READ)


def _size(file: BinaryIO | BlobFile) -> int:
    return file.size if isinstance(file, BlobFile) else os.fstat(file.fileno()).st_size


def _mapped(file: BinaryIO | BlobFile, access: int) -> memoryview:
    if isinstance(file, BlobFile):
        return file.map(access)
    # Without a descriptor of its own where Python can do without: thousands of live arrays would use up the limit.
    options: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
    return memoryview(mmap.mmap(file.fileno(), 0, access=access, **options))


def package(name: str, extra: str) -> Any:
    """Return the imported package that a format needs.

    Raises:
        MissingDependencyError: It is not installed; the message names the extra that brings it.
    """
    try:
        # In C where it is loaded already: an array asks several times. Of a submodule it returns the package.
        __import__(name)
        return sys.modules[name]
    except ImportError as error:
        raise MissingDependencyError(
            f"this needs {name.partition('.')[0]}, which cannot be imported here; pip install 'lucas-storage[{extra}]'"
        ) from error


def is_loaded(value: object, package_name: str) -> bool:
    """Return whether the class of `value` comes from a package, without importing it."""
    # By the loaded modules: a value of a package cannot exist before the package is imported.
    return package_of(type(value)) == package_name and package_name in sys.modules


def not_mine(format_id: str, value: object, instead: str) -> NoFormatError:
    """Return the error for a value that a format cannot hold."""
    return NoFormatError(f"{format_id} cannot hold a value of type {type_name(value)}; {instead}")


def type_name(value: object) -> str:
    """Return the name of the class of `value`, with its module unless that is builtins."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def cannot_become(format_id: str, want: str | None, instead: str) -> DecodeError:
    """Return the error for an annotation that a format cannot satisfy."""
    return DecodeError(f"an artifact of format {format_id} does not become a {want}; annotate {instead}")
