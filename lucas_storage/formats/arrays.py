"""numpy arrays as ``.npy`` files, which every tool reads. Never arrays of Python objects, which are pickles."""

from __future__ import annotations

import ast
import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias

from actorc.storage.buffers import flat_view
from lucas_storage.errors import DecodeError, NoFormatError
from lucas_storage.limits import NPY_HEADER
from lucas_storage.syntax_trees import ONE_AT_A_TIME

from .base import Encoded, Format, Source, cannot_become, is_loaded, not_mine, package, private, stored

if TYPE_CHECKING:
    from lucas_storage.signing import Verified

Header: TypeAlias = tuple[tuple[int, ...], bool, Any]
"""Shape, whether columns come first, and dtype."""
_UNICODE: Final = (3, 0)
"""Version of files whose header is UTF-8 and not Latin-1; numpy reads it by no public function."""
_NUMBERS: Final = "biufc"
"""Kinds of dtypes that their letter and size say all about."""
_SHORT: Final = 256
"""Bytes of a header up to which it is kept parsed, which takes as long as all else of a small array."""


class NpyFormat(Format):
    """An array of numbers, times or fixed-size records: shape, dtype, byte order and memory order come back.

    Exactly ``np.ndarray``. An ``np.memmap``, whose values are in a file, comes back as one; any other subclass would
    lose what makes it one. A decoded array is always writable.
    """

    id = "npy@1"
    content_type = "application/x-npy"
    extension = ".npy"

    def handles(self, value: object) -> bool:
        """Return whether `value` is a plain or mapped array whose dtype a header can spell."""
        return _is_plain(value) and _is_spelled(value.dtype)  # type: ignore[attr-defined]

    def part_not_held(self, value: object) -> str | None:
        """Return the dtype that no header spells."""
        return f"the dtype {_shown(value.dtype)}" if _is_plain(value) and not self.handles(value) else None  # type: ignore[attr-defined]

    def encode(self, value: Any) -> Encoded:
        """Return header and data; contiguous data is not copied."""
        if not _is_plain(value):
            raise not_mine(self.id, value, "pass a plain ndarray, which np.asarray makes of its subclasses")
        if not _is_spelled(value.dtype):
            raise NoFormatError(
                f"{self.id} cannot hold an array of dtype {_shown(value.dtype)}; convert it with astype to numbers, "
                "times, fixed-size text or records of these, or leave the format out"
            )
        # The order in memory is kept, so that no transposed copy is made, here or by the reader.
        order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
        array = package("numpy", "numpy").asarray(value, order=order)
        return Encoded((_header(array), _data(array)))

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return the array, or the stored bytes; a large file is mapped, not read."""
        del proof
        as_stored = stored(source, want)
        if as_stored is not None:
            return as_stored
        if want in ("str", "table", "dataframe", "polars"):
            raise cannot_become(self.id, want, "np.ndarray")
        memory = private(source)
        try:
            return _restore(memory)
        except Exception as error:  # numpy does not document the errors that it raises for a damaged header
            raise DecodeError("an artifact of format npy@1 is not one array without Python objects") from error


def _is_plain(value: object) -> bool:
    return is_loaded(value, "numpy") and type(value).__name__ in ("ndarray", "memmap")


def _shown(dtype: Any) -> str:
    """Return a dtype as text without a colon, at which Lucas would cut the message."""
    return repr(dtype).removeprefix("dtype(").removesuffix(")").replace(":", "")


def _is_spelled(dtype: Any) -> bool:
    """Return whether the header gives this very dtype back: no objects, no metadata, no types of other packages."""
    if _is_number(dtype):
        return True
    if dtype.hasobject or not _is_standard(dtype):
        return False
    if dtype.names is None:
        return True
    npy = package("numpy.lib.format", "numpy")
    # By a round trip: a header does not express every dtype, such as one whose fields overlap.
    try:
        text = repr(dtype.descr).encode("latin-1")
        return len(text) < NPY_HEADER // 2 and bool(npy.descr_to_dtype(dtype.descr) == dtype)
    except ValueError:
        return False


def _is_number(dtype: Any) -> bool:
    """Return whether a dtype is one of numpy's own numbers in the byte order of this machine."""
    return dtype.isbuiltin == 1 and dtype.kind in _NUMBERS and not dtype.metadata


def _is_standard(dtype: Any) -> bool:
    if dtype.metadata:
        return False
    if dtype.subdtype is not None:
        return _is_standard(dtype.base)
    numpy = package("numpy", "numpy")
    if dtype.names is not None:
        # Not `np.record`, which is equal to a dtype of the same fields whose items have no attributes.
        return dtype.type is numpy.void and all(_is_standard(dtype.fields[name][0]) for name in dtype.names)
    try:
        return bool(numpy.dtype(dtype.str) == dtype)
    except TypeError:  # of a dtype of another package, whose letter numpy does not know
        return False


def _header(array: Any) -> bytes:
    if _is_number(array.dtype):
        return _number_header(array.dtype.str, array.flags.fnc, array.shape)
    return _written(package("numpy.lib.format", "numpy").header_data_from_array_1_0(array))


@lru_cache(maxsize=256)
def _number_header(descr: str, in_columns: bool, shape: tuple[int, ...]) -> bytes:
    return _written({"descr": descr, "fortran_order": in_columns, "shape": shape})


def _written(fields: dict[str, Any]) -> bytes:
    npy = package("numpy.lib.format", "numpy")
    text = io.BytesIO()
    try:
        npy.write_array_header_1_0(text, fields)
    except ValueError:
        text = io.BytesIO()
        npy.write_array_header_2_0(text, fields)
    return text.getvalue()


def _data(array: Any) -> bytes | memoryview:
    if array.nbytes == 0:
        return b""
    in_order = array if array.flags.c_contiguous else array.T  # a view either way: no byte of the array is copied
    return flat_view(in_order.reshape(-1).view("u1"))


def _restore(memory: memoryview) -> Any:
    # Not `numpy.load`, which unpickles when told to and copies: the array is a view of the mapped file.
    file = io.BytesIO(memory[: NPY_HEADER + 1024])
    shape, in_columns, dtype = read_header(file)
    # An array of objects over foreign memory would be pointers that a stranger chose.
    if dtype.hasobject or any(length < 0 for length in shape):
        raise ValueError("the header names Python objects, or less than nothing")
    array = package("numpy", "numpy").ndarray(shape, dtype, memory, file.tell(), order="F" if in_columns else "C")
    if array.nbytes != len(memory) - file.tell():
        raise ValueError("the file is longer than its array")
    return array


def read_header(file: BinaryIO) -> Header:
    """Return shape, whether columns come first, and dtype of the array in a file, which is left where values begin.

    Raises:
        Exception: The file does not begin with the header of an array.
    """
    version = package("numpy.lib.format", "numpy").read_magic(file)
    length = file.read(2 if version == (1, 0) else 4)
    size = int.from_bytes(length, "little")
    # Parsing takes time and stack in proportion to the text.
    if size > NPY_HEADER:
        raise ValueError("the header is too long")
    text = length + file.read(size)
    known = _plain_header(version, text) if size <= _SHORT else None
    return known or _parsed(version, text)


@lru_cache(maxsize=256)
def _plain_header(version: tuple[int, int], text: bytes) -> Header | None:
    """Return the parsed header; None if its dtype has fields, whose names a user may change in place."""
    found = _parsed(version, text)
    return found if found[2].isbuiltin == 1 else None


def _parsed(version: tuple[int, int], text: bytes) -> Header:
    """Return what a header says, of which `text` begins with its length."""
    npy = package("numpy.lib.format", "numpy")
    file = io.BytesIO(text)
    with ONE_AT_A_TIME.held():
        if version == _UNICODE:
            return _unicode_header(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        found: Header = read(file, max_header_size=NPY_HEADER)
    return found


def _unicode_header(file: BinaryIO) -> Header:
    fields = ast.literal_eval(file.read()[4:].decode())
    shape = fields["shape"]
    if type(shape) is not tuple or not all(type(length) is int for length in shape):
        raise ValueError("the shape is no tuple of numbers")
    return shape, fields["fortran_order"] is True, package("numpy.lib.format", "numpy").descr_to_dtype(fields["descr"])
