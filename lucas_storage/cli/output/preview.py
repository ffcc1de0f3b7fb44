"""Previews: the first lines, rows or values of an artifact, without loading all of it or running code in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, Final

from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import DecodeError, MissingDependencyError, StorageError
from lucas_storage.formats.arrays import read_header
from lucas_storage.formats.base import package
from lucas_storage.formats.pickle_header import header_of
from lucas_storage.refs import ArtifactRef

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
    lines: tuple[str, ...]
    """The beginning of its content; it may hold any characters but line ends."""
    complete: bool
    """Whether `lines` are all of the content."""


def preview(storage: ArtifactStore, ref: ArtifactRef, count: int) -> Preview:
    """Return the preview of an artifact; a pickle is described by its header, never loaded, signed or not.

    Args:
        storage: Any handle; the reference names its store.
        ref: The artifact.
        count: Lines, rows or values at most.

    Raises:
        ArtifactNotFoundError: The store does not hold it any more.
        DigestMismatchError: It is damaged.
        DecodeError: It is not of the format that the reference names.
    """
    make = _PREVIEWS.get(ref.format, _bytes)
    if make is _tree:
        return _tree(storage, ref, count)
    with closing(storage.open(ref)) as file:
        try:
            return make(file, ref, count)
        except MissingDependencyError as error:
            return Preview(facts={"not shown": error.message}, lines=(), complete=False)
        except StorageError:  # of the store, or a `DecodeError`; some are a `ValueError` or an `OSError`, too
            raise
        except (ValueError, TypeError, LookupError, SyntaxError, OSError) as error:
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
    del ref
    arrow, ipc = package("pyarrow", "arrow"), package("pyarrow.ipc", "arrow")
    reader = ipc.open_stream(file)
    return _table(arrow, reader.schema, reader, count, None)


def _parquet(file: BinaryIO, ref: ArtifactRef, count: int) -> Preview:
    del ref
    arrow = package("pyarrow", "arrow")
    whole = package("pyarrow.parquet", "arrow").ParquetFile(file)
    return _table(arrow, whole.schema_arrow, whole.iter_batches(batch_size=count + 1), count, whole.metadata.num_rows)


def _table(arrow: Any, schema: Any, batches: Any, count: int, rows: int | None) -> Preview:
    """Return the preview of a table: its columns and first rows, with tabs between the values."""
    head: list[list[str]] = []
    for batch in batches:
        # One row more than shown, which tells whether the preview is complete.
        part = batch.slice(0, count + 1 - len(head))
        head += [[str(value) for value in row.values()] for row in arrow.Table.from_batches([part]).to_pylist()]
        if len(head) > count:
            break
    facts = {f"column {field.name}": str(field.type) for field in schema}
    facts |= {} if rows is None else {"rows": str(rows)}
    lines = ["\t".join(schema.names), *("\t".join(row) for row in head[:count])]
    return Preview(facts=facts, lines=tuple(_one_line(line) for line in lines), complete=len(head) <= count)


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
    "tree@1": _tree,
    "pickle5@1": _pickle,
    "pickle5@2": _pickle,
}
