"""Previews of bytes that no format describes: by how they begin, then by their name and MIME type.

A name and a type are claims; bytes that are something else are shown as text or as hexadecimal digits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO, Final, TypeAlias

from actorc.storage.content_types import guess_content_type
from lucas_storage.errors import DecodeError, LimitError, MissingDependencyError, StorageError
from lucas_storage.formats import pickle_header
from lucas_storage.formats.base import package
from lucas_storage.preview_data import Preview

from . import array_head, audio, table_head, text_head, thumbnail
from .table_head import TableHead

Make: TypeAlias = Callable[[BinaryIO, int, int], Preview]

DAMAGED: Final = (
    *(ValueError, TypeError, LookupError, SyntaxError, ArithmeticError),
    *(OSError, NotImplementedError, RecursionError),
)
"""Errors that libraries raise for damaged bytes."""
_HEAD: Final = 64
_PICKLES: Final = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
_ARROW_FILE: Final = b"ARROW1\0\0"


def of_plain(file: BinaryIO, size: int, count: int, *, name: str = "", content_type: str = "") -> Preview:
    """Return the preview of bytes by their beginning, name and type; raises errors of the store only.

    Args:
        file: The bytes, seekable.
        size: Their number.
        count: Lines, rows or values at most.
        name: Name of the file, of which the extension tells; empty if there is none.
        content_type: MIME type; empty or the general one if it is not known.
    """
    # A name claims nothing of an empty file, which an empty result often is.
    make = (_by_beginning(file.read(_HEAD)) or _by_type(name, content_type)) if size else text_head.of_bytes
    file.seek(0)
    try:
        return make(file, size, count)
    except (DecodeError, MissingDependencyError) as error:
        return _as_bytes(file, size, count, error.message)
    except StorageError:  # of the store; some are a `ValueError` or an `OSError`, too
        raise
    except DAMAGED:
        return _as_bytes(file, size, count, "it begins like, or is said to be, something that it is not")


def _as_bytes(file: BinaryIO, size: int, count: int, error: str) -> Preview:
    file.seek(0)
    try:
        return replace(text_head.of_bytes(file, size, count), error=error)
    except LimitError:  # all that a preview may read was read in vain
        return Preview(error=error)


def of_image(file: BinaryIO, size: int, count: int) -> Preview:
    """Return size and mode of an image, and a small picture of it."""
    del count
    facts, small = thumbnail.of_image(file, size)
    return Preview(kind="image", facts=facts, image=small)


def of_arrow(file: BinaryIO, size: int, count: int) -> Preview:
    """Return the first rows of an Arrow stream, and statistics of its columns."""
    return _table(table_head.of_arrow(file, size, count, statistics=True), count)


def of_parquet(file: BinaryIO, size: int, count: int) -> Preview:
    """Return the first rows of a Parquet file, and statistics of its columns."""
    return _table(table_head.of_parquet(file, size, count, statistics=True), count)


def of_pickle(file: BinaryIO, size: int, count: int) -> Preview:
    """Return what the header of a pickle says; the pickle is never opened."""
    del size, count
    return Preview(kind="pickle", facts=pickle_header.header_of(file.read(text_head.HEAD)))


def _other_pickle(file: BinaryIO, size: int, count: int) -> Preview:
    del size, count
    return Preview(
        kind="pickle", facts={"pickle": f"protocol {file.read(2)[1]}", "not shown": "a pickle, never opened"}
    )


def _arrow_file(file: BinaryIO, size: int, count: int) -> Preview:
    del size, count
    arrow = package("pyarrow", "arrow")
    with package("pyarrow.ipc", "arrow").open_file(arrow.PythonFile(file, mode="r")) as reader:
        names = tuple(reader.schema.names[: table_head.COLUMNS])
        facts = {f"column {field.name}": str(field.type) for field in reader.schema}
    return Preview(
        kind="table", facts={**facts, "not shown": "rows of an Arrow file"}, table=(names,), width=len(facts)
    )


def _audio(file: BinaryIO, size: int, count: int) -> Preview:
    del count
    return Preview(kind="audio", facts=audio.facts_of(file, size))


def _table(head: TableHead, count: int) -> Preview:
    cells = (head.names, *head.rows[:count])
    return Preview(
        kind="table",
        facts=head.facts,
        lines=tuple("\t".join(row).replace("\r", " ").replace("\n", " ") for row in cells),
        complete=head.complete and len(head.rows) <= count,
        table=cells,
        width=head.width,
        columns=head.columns,
        sample=head.sample,
    )


def _by_beginning(head: bytes) -> Make | None:
    if thumbnail.is_image(head):
        return of_image
    if audio.is_audio(head):
        return _audio
    return next((make for magic, make in _BEGINNINGS if head.startswith(magic)), None)


def _by_type(name: str, content_type: str) -> Make:
    for kind in (content_type.partition(";")[0].strip().lower(), guess_content_type(name) if name else ""):
        if kind in _TYPES:
            return _TYPES[kind]
    return text_head.of_bytes


_BEGINNINGS: Final[tuple[tuple[bytes | tuple[bytes, ...], Make], ...]] = (
    (b"PAR1", of_parquet),
    (b"\x93NUMPY", array_head.of_npy),
    (_ARROW_FILE, _arrow_file),
    (pickle_header.MAGIC, of_pickle),
    (_PICKLES, _other_pickle),
)
_TYPES: Final[dict[str, Make]] = {
    "application/json": text_head.of_json,
    "text/csv": text_head.of_separated,
    "text/tab-separated-values": text_head.of_separated,
    "application/vnd.apache.arrow.stream": of_arrow,
}
