"""The beginning of texts, of JSON data, of comma-separated values, and of bytes that are none of these."""

from __future__ import annotations

import codecs
import csv
import io
import json
from typing import Any, BinaryIO, Final

from lucas_storage.preview_data import Column, Preview

from .json_tree import tree_of

HEAD: Final = 64 << 10
"""Bytes that are read from the beginning of an artifact."""
_WHOLE_JSON: Final = 1 << 20
"""Bytes of JSON up to which it is indented; of a longer text the beginning is shown as it is."""
_INDENTED: Final = 2 << 20
"""Characters of the lines with their indents."""
_ROW: Final = 16
"""Bytes shown in one line of hexadecimal digits."""
_COLUMNS: Final = 30
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8 with a byte order mark"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)


def of_text(file: BinaryIO, size: int, count: int) -> Preview:
    """Return the first lines of a text; bytes that are no text are shown as replacements."""
    head = file.read(HEAD)
    text, encoding = _decoded(head) or (head.decode(errors="replace"), "not UTF-8 throughout")
    return _lines(text, count, encoding, complete=len(head) == size)


def of_json(file: BinaryIO, size: int, count: int) -> Preview:
    """Return JSON data, indented and as a tree, if it is short; else the beginning of its text.

    Raises:
        ValueError: It is no JSON; also RecursionError, if it is nested too deep.
    """
    # Indenting needs the whole text, and a value in memory several times as large.
    if size > _WHOLE_JSON:
        found = of_text(file, size, count)
        return Preview(kind="json", facts=found.facts, lines=found.lines)
    value = json.loads(file.read())
    lines, complete = _indented(value, count)
    return Preview(kind="json", lines=lines, complete=complete, tree=tree_of(value))


def _indented(value: Any, count: int) -> tuple[tuple[str, ...], bool]:
    """Return the first lines of data with indents, and whether they are all."""
    pieces: list[str] = []
    lines = size = 0
    # Piece by piece: of data that is nested deep, the indents alone may take a thousand times as much as the data.
    for piece in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value):
        pieces.append(piece)
        lines, size = lines + piece.count("\n"), size + len(piece)
        if lines > count or size > _INDENTED:
            return tuple("".join(pieces).split("\n")[:count]), False
    found = "".join(pieces).split("\n")
    return tuple(found[:count]), len(found) <= count


def of_separated(file: BinaryIO, size: int, count: int) -> Preview:
    """Return the first rows of comma-separated values, whose first row is taken for names; tabs and semicolons, too.

    Raises:
        ValueError: They are no text, or no such values.
    """
    head = file.read(HEAD)
    decoded = _decoded(head)
    if decoded is None or "\0" in decoded[0]:
        raise ValueError("the values are no text")
    text, encoding = decoded
    first = text.partition("\n")[0]
    mark = max(",;\t", key=first.count)
    try:
        rows = [tuple(row[:_COLUMNS]) for row in csv.reader(io.StringIO(text, newline=""), delimiter=mark)]
    except csv.Error as error:
        raise ValueError("the values have no such form") from error
    # The last row may be cut in two.
    rows = rows if len(head) == size else rows[:-1]
    if not rows:
        raise ValueError("there is no row")
    names = next(csv.reader([first], delimiter=mark))
    return Preview(
        kind="table",
        facts={"encoding": encoding, "columns": str(len(names))},
        lines=tuple("\t".join(row) for row in rows[: count + 1]),
        complete=len(head) == size and len(rows) <= count + 1 and len(names) <= _COLUMNS,
        table=tuple(rows[: count + 1]),
        width=len(names),
        columns=tuple(Column(name=name, type="text") for name in names[:_COLUMNS]),
    )


def of_bytes(file: BinaryIO, size: int, count: int) -> Preview:
    """Return the first lines of bytes that are a text, and the first bytes of others in hexadecimal digits."""
    head = file.read(HEAD)
    decoded = _decoded(head)
    if decoded is not None and "\0" not in decoded[0]:
        return _lines(*(decoded[0], count, decoded[1]), complete=len(head) == size)
    rows = [head[start : start + _ROW] for start in range(0, min(len(head), count * _ROW), _ROW)]
    lines = [f"{number * _ROW:08x}  {row.hex(' ')}" for number, row in enumerate(rows)]
    return Preview(kind="bytes", lines=tuple(lines), complete=sum(map(len, rows)) == size)


def _decoded(head: bytes) -> tuple[str, str] | None:
    """Return the beginning of a text with the name of its encoding; None if it is none."""
    mark = next((each for each in _MARKS if head.startswith(each[0])), (b"", "utf-8", "UTF-8"))
    decoder = codecs.getincrementaldecoder(mark[1])()
    try:
        # Not as the final piece: a character may be cut in two at its end.
        return decoder.decode(head, final=len(head) < HEAD), mark[2]
    except UnicodeDecodeError:
        return None


def _lines(text: str, count: int, encoding: str, *, complete: bool) -> Preview:
    """Return the first lines of a text, which may be that of the whole artifact."""
    lines = text.splitlines()
    facts = {"encoding": encoding} | ({"lines": str(len(lines))} if complete else {})
    return Preview(kind="text", facts=facts, lines=tuple(lines[:count]), complete=complete and len(lines) <= count)
