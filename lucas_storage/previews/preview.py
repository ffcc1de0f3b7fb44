"""Previews: the first lines, rows or values of an artifact, without loading all of it or running code in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, Final

from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import DecodeError, MissingDependencyError, StorageError
from lucas_storage.formats.arrays import read_header
from lucas_storage.formats.base import package
from lucas_storage.formats.pickle_header import header_of
from lucas_storage.refs import ArtifactRef

from . import table_head, thumbnail
from .table_head import TableHead

HEAD: Final = 64 << 10
"""Bytes that are read from the beginning of an artifact."""
_WHOLE_JSON: Final = 1 << 20
"""Bytes of JSON up to which it is indented; of a longer text the beginning is shown as it is."""
_ROW: Final = 16
"""Bytes shown in one line of hexadecimal digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The beginning of an artifact, and facts about all of it."""

    facts: dict[str, str]
    """Facts about the whole artifact, by name."""
    lines: tuple[str, ...] = ()
    """The beginning of its content; it may hold any characters but line ends. Of a table one line for each row, with
    tabs between the cells, the names of the columns first."""
    complete: bool
    """Whether `lines` are all of the content."""
    table: tuple[tuple[str, ...], ...] = ()
    """Of a table the same as cells, which may hold any characters."""
    width: int = 0
    """Of a table the number of its columns, of which `table` has the first."""
    image: bytes | None = None
    """Of an image a small PNG file."""


def preview(
    storage: ArtifactStore,
    ref: ArtifactRef,
    count: int,
    *,
    opened: Callable[[ArtifactRef], BinaryIO] | None = None,
) -> Preview:
    """Return the preview of an artifact; a pickle is described by its header, never loaded, signed or not.

    Args:
        storage: Any handle; the reference names its store.
        ref: The artifact.
        count: Lines, rows or values at most.
        opened: Opens the stored bytes; None takes `ArtifactStore.open`.

    Raises:
        ArtifactNotFoundError: The store does not hold it any more.
        DigestMismatchError: It is damaged.
        DecodeError: It is not of the format that the reference names.
    """
    make = _PREVIEWS.get(ref.format, _bytes)
    if make is _tree:
        return _tree(storage, ref, count)
    with closing((opened or storage.open)(ref)) as file:
        try:
            return make(file, ref, count)
        except MissingDependencyError as error:
            return Preview(facts={"not shown": error.message}, lines=(), complete=False)
        except StorageError:  # of the store, or a `DecodeError`; some are a `ValueError` or an `OSError`, too
            raise
        except (ValueError, TypeError, LookupError, SyntaxError, OSError, NotImplementedError, RecursionError) as error:
            raise DecodeError(f"the artifact is not one of format {ref.format}; make it again", ref=ref) from error


def _lines(text: str, count: int, *, complete: bool) -> Preview:
    """Return the first lines of a text, which may be that of the whole artifact."""
    lines = text.splitlines()
    return Preview(facts={}, lines=tuple(lines[:count]), complete=complete and len(lines) <= count)


def _json(file: BinaryIO, ref: ArtifactRef, count: int) -> Preview:
    # Indenting needs the whole text, and a value in memory several times as large.
    if ref.size > _WHOLE_JSON:
        return _text(file, ref, count)
    return _lines(json.dumps(json.loads(file.read()), indent=2, ensure_ascii=False), count, complete=True)


def _text(file: BinaryIO, ref: ArtifactRef, count: int) -> Preview:
    head = file.read(HEAD)
    return _lines(head.decode(errors="replace"), count, complete=len(head) == ref.size)


def _bytes(file: BinaryIO, ref: ArtifactRef, count: int) -> Preview:
    head = file.read(HEAD)
    if thumbnail.is_image(head):
        file.seek(0)
        return _image(file, ref, count)
    # Without the last three bytes of a longer artifact, among which a character may be cut in two.
    try:
        text = head.decode() if len(head) == ref.size else head[:-3].decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" not in text:
        return _lines(text, count, complete=len(head) == ref.size)
    rows = [head[start : start + _ROW] for start in range(0, min(len(head), count * _ROW), _ROW)]
    lines = [f"{number * _ROW:08x}  {row.hex(' ')}" for number, row in enumerate(rows)]
    return Preview(facts={}, lines=tuple(lines), complete=sum(map(len, rows)) == ref.size)


def _array(file: BinaryIO, ref: ArtifactRef, count: int) -> Preview:
    shape, in_columns, dtype = read_header(file)
    start = file.tell()
    # The bytes would be taken for pointers.
    if dtype.hasobject:
        raise DecodeError("the artifact says it is an array of Python objects, and such are never read", ref=ref)
    descr = package("numpy.lib.format", "numpy").dtype_to_descr(dtype)
    facts = {"dtype": str(descr), "shape": str(shape), "order": "by columns" if in_columns else "by rows"}
    values = package("numpy", "numpy").frombuffer(file.read(count * dtype.itemsize), dtype) if dtype.itemsize else ()
    total = (ref.size - start) // (dtype.itemsize or 1)
    return Preview(facts=facts, lines=tuple(map(str, values)), complete=len(values) == total)


def _arrow(file: BinaryIO, ref: ArtifactRef, count: int) -> Preview:
    return _table(table_head.of_arrow(file, ref.size, count), count)


def _parquet(file: BinaryIO, ref: ArtifactRef, count: int) -> Preview:
    return _table(table_head.of_parquet(file, ref.size, count), count)


def _table(head: TableHead, count: int) -> Preview:
    cells = (head.names, *head.rows[:count])
    return Preview(
        facts=head.facts,
        lines=tuple(_one_line("\t".join(row)) for row in cells),
        complete=head.complete and len(head.rows) <= count,
        table=cells,
        width=head.width,
    )


def _image(file: BinaryIO, ref: ArtifactRef, count: int) -> Preview:
    del count
    facts, small = thumbnail.of_image(file, ref.size)
    return Preview(facts=facts, complete=False, image=small)


def _tree(storage: ArtifactStore, ref: ArtifactRef, count: int) -> Preview:
    manifest = storage.manifest(ref)
    files = manifest.files or ()
    lines = [f"{file.size:>14} {'x' if file.executable else ' '} {file.path}" for file in islice(files, count)]
    lines += [f"{'':>14}   {folder}/" for folder in manifest.folders[: count - len(lines)]]
    facts = {"files": str(len(files)), "empty directories": str(len(manifest.folders))}
    return Preview(facts=facts, lines=tuple(lines), complete=len(lines) == len(files) + len(manifest.folders))


def _pickle(file: BinaryIO, ref: ArtifactRef, count: int) -> Preview:
    del count
    facts = header_of(file.read(HEAD))
    signed = "yes" if ref.signature else "no, so nothing will load it"
    return Preview(facts={**facts, "signed": signed}, lines=(), complete=False)


def _one_line(text: str) -> str:
    return re.sub(r"[\r\n]+", " ", text)


_PREVIEWS: Final[Mapping[str, Callable[..., Preview]]] = {
    "json@1": _json,
    "json@2": _json,
    "text@1": _text,
    "stream@1": _bytes,
    "npy@1": _array,
    "arrow@1": _arrow,
    "parquet@1": _parquet,
    "png@1": _image,
    "tree@1": _tree,
    "pickle5@1": _pickle,
    "pickle5@2": _pickle,
}
