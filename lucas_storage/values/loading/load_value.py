"""Loads one reference, or converts one inline value, as an annotation asks."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePath
from typing import Any, BinaryIO, Final

from actorc.storage.files.seekable_reader import BlobFile
from actorc.storage.rules import MiB
from lucas_storage import parallel, settings, signing
from lucas_storage.artifacts.store import ArtifactStore, store_for
from lucas_storage.class_names import package_of
from lucas_storage.errors import EmptyUpstreamError
from lucas_storage.formats import format_by_id, format_for, holds_references, may_hold_references
from lucas_storage.formats.base import Buffer, MemorySource, Source, cannot_become, type_name
from lucas_storage.formats.composite import STREAM, TREE
from lucas_storage.refs import ArtifactRef, inline_ref
from lucas_storage.values.annotations.annotation import ANY as _ANY
from lucas_storage.values.annotations.shown import shown_word

from . import load_tables

ANY: Final = _ANY.name
CHUNKS: Final = "chunks"
"""The stored bytes, piece by piece; beside the words of `lucas_storage.values.annotations.annotation`."""

_CLASSES: Final = {
    "ndarray": ("numpy", "ndarray"),
    "table": ("pyarrow", "Table"),
    "dataframe": ("pandas", "DataFrame"),
    "polars": ("polars", "DataFrame"),
    "lazyframe": ("polars", "LazyFrame"),
    "dataset": ("pyarrow", "Dataset"),
}


class _LimitedSource(Source):
    """A source with the limit of this process, never one that comes with the data."""

    @property
    def max_expansion(self) -> int:  # type: ignore[override]  # found out by the formats that need it
        return settings.resolve().max_expansion.value


class _InlineSource(_LimitedSource, MemorySource):
    """Bytes that travelled within their reference; a file is made of them only if one is asked for."""

    def __init__(self, ref: ArtifactRef) -> None:
        super().__init__(ref.inline or b"")
        self._ref = ref

    def path(self) -> Path:
        return _handle(self._ref).path(self._ref)


class _StoredSource(_LimitedSource):
    """Bytes in a store, verified and cached when they are first read."""

    def __init__(self, storage: ArtifactStore, ref: ArtifactRef) -> None:
        self._storage = storage
        self._ref = ref

    def read(self) -> Buffer:
        with self.open() as file:
            return file.read()

    def path(self) -> Path:
        return self._storage.local(self._ref)

    def open(self) -> BinaryIO | BlobFile:
        return self._storage.copy(self._ref)

    def referred(self, refs: list[tuple[str, ArtifactRef]]) -> list[Any]:
        return parallel.each(lambda pair: load(pair[1], pair[0]), refs)


def load(ref: ArtifactRef, word: str) -> Any:
    """Return the value of a reference.

    The order is fixed: signature, digest, decode.

    Args:
        ref: The reference; only its store's name decides where the bytes come from.
        word: A word of `lucas_storage.values.annotations.annotation`, or `CHUNKS`.

    Raises:
        ArtifactError: It is gone, damaged, unsafe, of an unknown format, or does not convert to `word`.
    """
    if word == "ref":
        return ref
    # Before the download, which may be large.
    if ref.format == TREE and word not in (ANY, "path"):
        raise cannot_become(TREE, word, "Path")
    way = _LOADERS.get(word) or (_COMPOSITE_LOADERS.get(ref.format) if word == ANY else None)
    return way(ref) if way else _decoded(ref, word)


def load_columns(ref: ArtifactRef, columns: tuple[str, ...], word: str) -> Any:
    """Return some columns of a table, as the class that `word` names; of a Parquet file only their bytes are fetched.

    Raises:
        ArtifactError: It is gone, damaged, no table, or has no column of such a name.
    """
    table = load_tables.columns(ref, columns, word, load, _source(ref))
    check(table, word)
    return table


def _source(ref: ArtifactRef) -> Source:
    return _InlineSource(ref) if ref.inline is not None else _StoredSource(_handle(ref), ref)


def _decoded(ref: ArtifactRef, word: str) -> Any:
    source = _source(ref)
    if word == "bytes":
        return bytes(source.read())
    fmt = format_by_id(ref.format)
    # Before a byte is fetched: an unsigned pickle is refused without asking the store for it, and never unpickled.
    proof = None if fmt.safe else signing.verify(ref, settings.resolve().signing_keys)
    return fmt.decode(source, None if word == ANY else word, proof=proof)


def load_data(ref: ArtifactRef) -> tuple[Any, bool]:
    """Return the value of a reference to JSON data, and whether references may stand in it.

    Raises:
        ArtifactError: It is gone, damaged or of an unknown version.
    """
    data = _source(ref).read()
    return format_by_id(ref.format).decode(MemorySource(data), None), may_hold_references(data)


_LOADERS: Final[dict[str, Callable[[ArtifactRef], Any]]] = {
    "path": lambda ref: _handle(ref).path(ref),
    "binaryio": lambda ref: _handle(ref).open(ref),
    "textio": lambda ref: io.TextIOWrapper(_handle(ref).open(ref), encoding="utf-8"),
    CHUNKS: lambda ref: _handle(ref).chunks(ref),
    "lazyframe": lambda ref: load_tables.lazy(ref, "lazyframe", load),
    "dataset": lambda ref: load_tables.lazy(ref, "dataset", load),
}
"""Words that mean the stored bytes themselves, or a table that reads them later."""
_COMPOSITE_LOADERS: Final[dict[str, Callable[[ArtifactRef], Any]]] = {
    TREE: lambda ref: _handle(ref).path(ref),
    STREAM: lambda ref: list(items(ref)),
}
"""Loaders of composite formats, which have no single value, where the annotation asks for nothing else."""


def items(ref: ArtifactRef) -> Iterator[Any]:
    """Return an iterator over the items of a stream, each loaded when it is reached; references in them stay.

    Raises:
        ArtifactError: At once, if the stream cannot be read at all; later, if an item cannot.
    """
    found, are_bytes = _handle(ref).records(ref)
    return found if are_bytes else map(_record, found)


def _record(line: bytes) -> Any:
    return format_by_id("json@1").decode(MemorySource(line), None)


def is_ready(value: object, word: str) -> bool:
    """Return whether `value` already is of the kind that `word` names."""
    if word in _CLASSES:
        # By name, so that no package is imported to find out that a value is none of its classes.
        package, name = _CLASSES[word]
        return any(cls.__name__ == name and package_of(cls) == package for cls in type(value).__mro__)
    if word == "path":
        return isinstance(value, PurePath)
    if word in ("binaryio", "textio"):
        return hasattr(value, "read")
    if word == "bytes":
        return type(value) is bytes
    if word == CHUNKS:
        return not (isinstance(value, (str, PurePath)) or (not isinstance(value, Iterator) and _is_leaf(value)))
    return word != "str" or not isinstance(value, (bytes, bytearray, memoryview, PurePath))


def _is_leaf(value: object) -> bool:
    """Return whether a value would be stored as an artifact of its own, in a safe format other than JSON."""
    fmt = format_for(value)
    return fmt.safe and not holds_references(fmt.id)


def lift(value: Any, word: str) -> Any:
    """Return an inline value as if it had been stored and loaded as `word`, so that no function sees the threshold.

    Raises:
        EmptyUpstreamError: It is None, or bytes without content, where a value is needed.
        TypeError: A value of its kind does not convert to `word`.
    """
    # Engines pass nothing, or empty bytes, on after a step that failed; the conversion would hide that.
    if value is None or (word in _CLASSES and type(value) is bytes and not value):
        raise EmptyUpstreamError(
            "a value is needed and nothing arrived; the step before has probably failed or returned nothing, look there"
        )
    if isinstance(value, PurePath):
        return _from_path(Path(value), word)
    if word == "path" and isinstance(value, str):
        raise TypeError(mismatch(value, word))
    fmt = format_for(value)
    if not fmt.safe:  # the round trip below would unpickle bytes that no signature covers
        raise TypeError(mismatch(value, word))
    lifted = load(inline_ref(fmt.id, bytes(fmt.encode(value))), word)
    check(lifted, word)
    return lifted


def check(value: object, word: str) -> None:
    """Check that a decoded value is of the kind that `word` names.

    Raises:
        EmptyUpstreamError: It is None.
        TypeError: It is of another kind.
    """
    if word in _CLASSES and not is_ready(value, word):
        if value is None:
            lift(value, word)
        raise TypeError(mismatch(value, word))


def mismatch(value: object, word: str) -> str:
    """Return the text of the error for `value`, to follow the name of its parameter."""
    if word == "path" and isinstance(value, str):
        # A text is as likely the name of a file somewhere else as the content of one, so neither is guessed.
        return (
            "is annotated Path and got a str; annotate it str, or have the step before it return a Path, "
            "or bytes for the content of a file"
        )
    return (
        f"is annotated {shown_word(word)} and got a {type_name(value)}; "
        "change the annotation, or what the step before it returns"
    )


def _from_path(path: Path, word: str) -> Any:
    """Return the content of a local file as `word` asks, as if it had been stored and loaded."""
    if path.is_dir():
        raise TypeError(mismatch(path, word))
    if word == CHUNKS:
        return _pieces(path)
    if word == "binaryio":
        return path.open("rb")
    if word == "textio":
        return path.open(encoding="utf-8")
    if word == "bytes":
        return path.read_bytes()
    if word == "str":
        return path.read_text(encoding="utf-8")
    raise TypeError(mismatch(path, word))


def _handle(ref: ArtifactRef) -> ArtifactStore:
    return store_for() if ref.inline is not None else store_for(ref.store)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from iter(partial(file.read, MiB), b"")
