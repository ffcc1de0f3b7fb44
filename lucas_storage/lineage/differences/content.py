"""How the contents of two artifacts differ: by their format, in bounded memory, and without opening a pickle."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from typing import BinaryIO, Final, TypeAlias

from actorc.storage.units import shown_size
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import (
    ArtifactNotFoundError,
    DecodeError,
    DigestMismatchError,
    MissingDependencyError,
    UnknownStoreError,
)
from lucas_storage.formats import pickle_header
from lucas_storage.previews import table_sample, thumbnail
from lucas_storage.previews.bounded_file import bounded
from lucas_storage.previews.plain_bytes import DAMAGED
from lucas_storage.refs import ArtifactRef

from . import arrays, directories, json_values, tables, texts
from .difference import CHANGES, Change, ContentDifference, Kind, counted

__all__ = ["ContentDifference", "content_difference"]

_File: TypeAlias = tuple[BinaryIO, int]
_Compared: TypeAlias = Callable[[_File, _File], ContentDifference]

_TEXT: Final = 4 << 20
"""Bytes of a text or of JSON data that are compared."""
_SEARCHED: Final = 32 << 20
"""Bytes in which the first one that differs is sought."""
_AT_ONCE: Final = 1 << 20
_HEAD: Final = 64 << 10
_BEGINNING: Final = 64
_NO_MORE: Final = 10_000
"""Changes after which no more are counted."""


def content_difference(storage: ArtifactStore, before: ArtifactRef, after: ArtifactRef) -> ContentDifference:
    """Return how two artifacts differ. What cannot be read or compared is told as its `error`.

    No more than 64 MiB of each are read, and nothing is unpickled, whether it is signed or not.

    Args:
        storage: Any handle; references name their stores.
        before: The former one.
        after: The latter one.

    Raises:
        StorageError: A store cannot be reached, or does not allow it.
    """
    kind = _KINDS.get(after.format, "other") if before.format == after.format else "other"
    told = ContentDifference(kind=kind, before=before, after=after)
    try:
        found = _compared(storage, before, after, kind)
    except (
        ArtifactNotFoundError,
        DecodeError,
        DigestMismatchError,
        MissingDependencyError,
        UnknownStoreError,
    ) as error:
        found = ContentDifference(kind=kind, error=error.message, complete=False)
    except DAMAGED:
        found = ContentDifference(kind=kind, error=f"one of them is not of format {after.format}", complete=False)
    return _with_facts(told, found)


def _with_facts(told: ContentDifference, found: ContentDifference) -> ContentDifference:
    assert told.before is not None
    assert told.after is not None
    facts = []
    if told.before.format != told.after.format:
        facts.append(Change.of("format", told.before.format, told.after.format))
    if told.before.size != told.after.size:
        facts.append(Change.of("size", shown_size(told.before.size), shown_size(told.after.size)))
    return replace(found, before=told.before, after=told.after, changes=(*facts, *found.changes))


def _compared(storage: ArtifactStore, before: ArtifactRef, after: ArtifactRef, kind: Kind) -> ContentDifference:
    if kind == "directory":
        return directories.compared(storage.manifest(before), storage.manifest(after))
    if "tree@1" in (before.format, after.format):
        return ContentDifference(summary=("one is a directory",))
    with ExitStack() as stack:
        files = [(stack.enter_context(bounded(storage.ranges(ref))), ref.size) for ref in (before, after)]
        compare = _BY_FORMAT.get(after.format, _plain) if before.format == after.format else _plain
        return compare(files[0], files[1])


def _images(before: _File, after: _File) -> ContentDifference:
    (ours, former), (theirs, latter) = (thumbnail.of_image(*each) for each in (before, after))
    told = ours.get("image"), theirs.get("image")
    changes = (Change.of("image", *told),) if told[0] != told[1] else ()
    apart = thumbnail.apart(former, latter) if former and latter else None
    summary = () if apart is None else (f"of the pictures in small, {apart:.1%} of the pixels differ",)
    return ContentDifference(kind="image", summary=summary, changes=changes, images=(former, latter))


def _text(before: _File, after: _File) -> ContentDifference:
    ours, theirs = ((file.read(_TEXT)).decode(errors="replace") for file, _ in (before, after))
    complete = max(before[1], after[1]) <= _TEXT
    lines = texts.changed_lines(ours, theirs)
    summary = () if complete else (f"the first {shown_size(_TEXT)} were compared",)
    return ContentDifference(kind="text", summary=summary, lines=lines, complete=complete)


def _json(before: _File, after: _File) -> ContentDifference:
    if max(before[1], after[1]) > _TEXT:
        return _bytes(before, after)
    values = [json.loads(file.read()) for file, _ in (before, after)]
    found = list(islice(json_values.changes(*values), _NO_MORE))
    more = "at least " if len(found) == _NO_MORE else ""
    summary = f"{more}{counted(len(found), 'value')} differ{'s' if len(found) == 1 else ''}"
    return ContentDifference(kind="json", summary=(summary,), changes=tuple(found[:CHANGES]))


def _table(format_id: str) -> _Compared:
    def compare(before: _File, after: _File) -> ContentDifference:
        ours, theirs = (table_sample.sample_of(*each, format_id) for each in (before, after))
        return tables.compared(ours, theirs)

    return compare


def _pickle(before: _File, after: _File) -> ContentDifference:
    ours, theirs = (pickle_header.header_of(file.read(_HEAD)) for file, _ in (before, after))
    changes = (Change.of(name, ours.get(name), theirs.get(name)) for name in {**ours, **theirs})
    told = ("pickles are not opened, so only what their headers say is compared",)
    differing = tuple(change for change in changes if change.before != change.after)
    return ContentDifference(kind="pickle", summary=told, changes=differing, complete=False)


def _plain(before: _File, after: _File) -> ContentDifference:
    """Return how two files of no format differ: by how they begin, if both begin alike."""
    heads = [file.read(_BEGINNING) for file, _ in (before, after)]
    for file, _ in (before, after):
        file.seek(0)
    compare = next((make for is_it, make in _BEGINNINGS if all(map(is_it, heads))), _bytes)
    try:
        return compare(before, after)
    except (*DAMAGED, DecodeError):  # of files that only begin like this; some errors of the store are among them
        if compare is _bytes:
            raise
    for file, _ in (before, after):
        file.seek(0)
    return _bytes(before, after)


def _bytes(before: _File, after: _File) -> ContentDifference:
    """Return how two files differ, by their lines if they are short texts; else where they begin to."""
    if max(before[1], after[1]) <= _TEXT:
        data = [file.read(_TEXT) for file, _ in (before, after)]
        if all(map(_is_text, data)):
            lines = texts.changed_lines(data[0].decode(), data[1].decode())
            return ContentDifference(kind="text", lines=lines)
    at = _first_difference(before[0], after[0])
    where = f"byte {at} is the first that differs" if at is not None else f"the first {shown_size(_SEARCHED)} are equal"
    return ContentDifference(kind="bytes", summary=(where,), complete=at is not None)


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def _first_difference(before: BinaryIO, after: BinaryIO) -> int | None:
    for file in (before, after):
        file.seek(0)
    for start in range(0, _SEARCHED, _AT_ONCE):
        ours, theirs = before.read(_AT_ONCE), after.read(_AT_ONCE)
        if ours != theirs:
            pairs = enumerate(zip(ours, theirs, strict=False))
            return start + next((at for at, pair in pairs if pair[0] != pair[1]), min(len(ours), len(theirs)))
        if not ours:
            break
    return None


_BEGINNINGS: Final[tuple[tuple[Callable[[bytes], bool], _Compared], ...]] = (
    (thumbnail.is_image, _images),
    (lambda head: head.startswith(b"PAR1"), _table("parquet@1")),
    (lambda head: head.startswith(b"\x93NUMPY"), arrays.compared),
)
_KINDS: Final[dict[str, Kind]] = {
    "json@1": "json",
    "json@2": "json",
    "text@1": "text",
    "npy@1": "array",
    "arrow@1": "table",
    "parquet@1": "table",
    "png@1": "image",
    "tree@1": "directory",
    "pickle5@1": "pickle",
    "pickle5@2": "pickle",
    "bytearray@1": "bytes",
    "bytes@1": "bytes",
    "stream@1": "bytes",
}
_BY_FORMAT: Final[dict[str, _Compared]] = {
    "json@1": _json,
    "json@2": _json,
    "text@1": _text,
    "npy@1": arrays.compared,
    "arrow@1": _table("arrow@1"),
    "parquet@1": _table("parquet@1"),
    "png@1": _images,
    "pickle5@1": _pickle,
    "pickle5@2": _pickle,
}
