"""Arrays, of numpy and of the standard library: their header, first values, and statistics of all or of a sample."""

from __future__ import annotations

from math import prod
from typing import Any, BinaryIO, Final

from actorc.storage.units import shown_size
from lucas_storage.errors import DecodeError, StorageError
from lucas_storage.formats import typed_arrays
from lucas_storage.formats.arrays import read_header
from lucas_storage.formats.base import package
from lucas_storage.preview_data import Preview

from .number_statistics import numbers_of, picture_of

WHOLE: Final = 16 << 20
"""Bytes of values up to which all are read."""
_PIECES: Final = 32
"""Places of a larger array at which values are read."""
_PIECE: Final = 64 << 10
"""Bytes that are read there."""
_CODES: Final = dict(zip("bhilqBHILQfd", "iiiiiuuuuuff", strict=True))
"""Letters that numpy has for the type codes of numbers."""
_TEXT: Final = 1000
"""Letters of a value, a dtype or a shape."""


def of_npy(file: BinaryIO, size: int, count: int) -> Preview:
    """Return the preview of a ``.npy`` file.

    Raises:
        DecodeError: The file says that it has Python objects, or another number of values than it has.
        ValueError: It is no such file.
    """
    shape, in_columns, dtype = header_of(file)
    start = file.tell()
    if dtype.hasobject:  # the bytes would be taken for pointers
        raise DecodeError("the artifact says it is an array of Python objects, and such are never read")
    descr = str(package("numpy.lib.format", "numpy").dtype_to_descr(dtype))
    facts = {"dtype": descr[:_TEXT], "shape": str(shape)[:_TEXT], "order": "by columns" if in_columns else "by rows"}
    if any(length < 0 for length in shape) or prod(shape) * dtype.itemsize != size - start:
        raise DecodeError("the array has another number of values than its header says")
    if not dtype.itemsize:
        return Preview(kind="array", facts=facts, complete=True)
    return _of_values(file, size, dtype, facts, count, shape=shape, order="F" if in_columns else "C")


def header_of(file: BinaryIO) -> tuple[tuple[int, ...], bool, Any]:
    """Return shape, whether columns come first, and dtype of a ``.npy`` file, which is left where its values begin.

    Raises:
        ValueError: It is no such file.
    """
    try:
        return read_header(file)
    except StorageError:
        raise
    except Exception as error:  # numpy reads the header as source of Python, and raises whatever that does
        raise ValueError("the file does not begin with the header of an array") from error


def of_typed(file: BinaryIO, size: int, count: int) -> Preview:
    """Return the preview of an `array.array` in the format ``array@1``; of letters the facts only.

    Raises:
        ValueError: It is no such file; also LookupError and TypeError.
    """
    code, order, width = typed_arrays.items_of(file.read(typed_arrays.HEADER))
    items = (size - typed_arrays.HEADER) // width
    facts = {"type code": code, "bytes of an item": str(width), "items": str(items)}
    if code not in _CODES:
        return Preview(kind="array", facts=facts)
    dtype = package("numpy", "numpy").dtype(f"{order}{_CODES[code]}{width}")
    return _of_values(file, typed_arrays.HEADER + items * width, dtype, facts, count, shape=(items,), order="C")


def _of_values(
    file: BinaryIO, end: int, dtype: Any, facts: dict[str, str], count: int, *, shape: tuple[int, ...], order: str
) -> Preview:
    start = file.tell()
    if end - start > WHOLE:
        return _of_sample(file, end, dtype, facts, count)
    values = _read(file, start, end - start, dtype)
    return Preview(
        kind="array",
        facts=facts,
        lines=_lines(values, count),
        complete=values.size <= count,
        numbers=numbers_of(values),
        image=picture_of(values.reshape(shape, order=order)),
    )


def _of_sample(file: BinaryIO, end: int, dtype: Any, facts: dict[str, str], count: int) -> Preview:
    start = file.tell()
    if dtype.itemsize > _PIECE:
        return Preview(kind="array", facts={**facts, "not shown": f"values of {shown_size(dtype.itemsize)} each"})
    length = _PIECE // dtype.itemsize * dtype.itemsize
    step = (end - start - length) // (_PIECES - 1) // dtype.itemsize * dtype.itemsize
    pieces = [_read(file, start + step * piece, length, dtype) for piece in range(_PIECES)]
    values = package("numpy", "numpy").concatenate(pieces)
    return Preview(
        kind="array",
        facts=facts,
        lines=_lines(pieces[0], count),
        numbers=numbers_of(values),
        sample=f"{values.size} values from {_PIECES} places of {shown_size(end - start)}",
    )


def _read(file: BinaryIO, begin: int, length: int, dtype: Any) -> Any:
    file.seek(begin)
    return package("numpy", "numpy").frombuffer(file.read(length), dtype)


def _lines(values: Any, count: int) -> tuple[str, ...]:
    return tuple(str(value)[:_TEXT] for value in values[:count])
