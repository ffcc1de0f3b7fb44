"""Reader of structures in Thrift's compact protocol: the footer and the page headers of Parquet.

pyarrow reads them too, but some damaged ones end the process; files of strangers are therefore read here first.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from actorc import varint

Struct: TypeAlias = dict[int, Any]
"""Values by field number."""

_DEEPEST: Final = 32
"""Levels of structures within structures; a stranger's file must not exhaust the stack."""
_TRUE, _FALSE, _BYTE, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 6, 7, 8, 9, 10, 11, 12


def read_struct(data: memoryview, at: int, depth: int = 0) -> tuple[Struct, int]:
    """Return the structure at an offset, and the offset of its end; doubles and maps are skipped, texts are views.

    Raises:
        ValueError: The data are no such structure.
    """
    if depth > _DEEPEST:
        raise ValueError("structures are nested too deep")
    found: Struct = {}
    number = 0
    while header := _byte(data, at):
        at += 1
        if header >> 4:
            number += header >> 4
        else:
            number, at = _number(data, at)
        kind = header & 0x0F
        if kind in (_TRUE, _FALSE):
            found[number] = kind == _TRUE
        else:
            found[number], at = _value(data, at, kind, depth)
    return found, at + 1


def _value(data: memoryview, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE, _BYTE):  # within a list, a bool is a byte
        return _byte(data, at), at + 1
    if kind <= _I64:
        return _number(data, at)
    if kind in (_DOUBLE, _BINARY):
        size, at = varint.decode(data, at) if kind == _BINARY else (8, at)
        return data[at : at + size] if kind == _BINARY else None, _within(data, at + size)
    if kind in (_LIST, _SET):
        return _list(data, at, depth)
    if kind == _STRUCT:
        return read_struct(data, at, depth + 1)
    return None, _past_map(data, at, kind, depth)


def _list(data: memoryview, at: int, depth: int) -> tuple[list[Any], int]:
    header = _byte(data, at)
    size, at = (header >> 4, at + 1) if header >> 4 < 15 else varint.decode(data, at + 1)
    found = []
    for _ in range(size):  # each takes a byte at least, so the data end before memory does
        value, at = _value(data, at, header & 0x0F, depth + 1)
        found.append(value)
    return found, at


def _past_map(data: memoryview, at: int, kind: int, depth: int) -> int:
    if kind != _MAP or depth > _DEEPEST:
        raise ValueError("a value is of no kind there is")
    size, at = varint.decode(data, at)
    kinds = _byte(data, at) if size else 0
    at += bool(size)
    for _ in range(size):
        for half in (kinds >> 4, kinds & 0x0F):
            _, at = _value(data, at, half, depth + 1)
    return at


def _number(data: memoryview, at: int) -> tuple[int, int]:
    value, at = varint.decode(data, at)
    return (value >> 1) ^ -(value & 1), at


def _byte(data: memoryview, at: int) -> int:
    if not 0 <= at < len(data):
        raise ValueError("a structure leads out of its data")
    return data[at]


def _within(data: memoryview, at: int) -> int:
    if at > len(data):
        raise ValueError("a structure leads out of its data")
    return at
