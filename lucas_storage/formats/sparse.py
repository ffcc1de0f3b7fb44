"""Sparse matrices and arrays of scipy, as the arrays that they are made of; never pickled.

One file::

    b"LUCASSPM"  length of the header, 8 bytes big-endian  header, JSON  arrays, each at a multiple of 64 bytes

The header has the class, the shape, and dtype and shape of each array. A ``lil`` is written as its ``csr``, and a
``dok`` as its ``coo``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Final

from actorc.storage.buffers import flat_view
from lucas_storage.errors import DecodeError
from lucas_storage.limits import NPY_HEADER

from .base import Buffer, Encoded, Format, Source, cannot_become, is_loaded, not_mine, package, private, stored

if TYPE_CHECKING:
    from lucas_storage.signing import Verified

_MAGIC: Final = b"LUCASSPM"
_ALIGNMENT: Final = 64
"""Bytes of a cache line, so that arrays over the mapped file are aligned in memory."""
_LAYOUTS: Final = ("csr", "csc", "bsr", "coo", "dia", "lil", "dok")
_WRITTEN_AS: Final = {"lil": "csr", "dok": "coo"}
_KINDS: Final = "biufc"
_INDICES: Final = ("int32", "int64")
"""Dtypes of indices that scipy's C code has, in native byte order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    kind: str
    """Name of the class, such as ``csr_array``."""
    shape: list[int]
    canonical: bool
    """Of a ``coo``, whether its entries are sorted and each place has one; of others it is found out."""
    arrays: list[tuple[str, list[int]]]
    """Dtype and shape of each."""

    @classmethod
    def decode(cls, memory: memoryview) -> tuple[_Header, int]:
        """Return the header and the offset of its end; raises ValueError, TypeError or KeyError if it is damaged."""
        length = int.from_bytes(memory[8:16], "big")
        if bytes(memory[:8]) != _MAGIC or length > NPY_HEADER:
            raise ValueError("the magic is missing, or the header is too long")
        fields = json.loads(bytes(memory[16 : 16 + length]))
        header = cls(**{name: fields[name] for name in cls.__slots__})
        shapes = [header.shape, *(shape for _, shape in header.arrays)]
        if any(type(size) is not int or size < 0 for shape in shapes for size in shape):
            raise ValueError("a shape is none")
        return header, 16 + length


class SparseFormat(Format):
    """A sparse matrix or array of numbers: class, shape, dtype, explicit zeros and duplicates come back."""

    id = "sparse@1"
    extension = ".sparse"

    def handles(self, value: object) -> bool:
        """Return whether `value` is a sparse matrix or array of scipy's own classes, and of numbers."""
        return (
            is_loaded(value, "scipy")
            and str(type(value).__module__).startswith("scipy.sparse.")
            and _layout(type(value).__name__) is not None
            and value.dtype.kind in _KINDS  # type: ignore[attr-defined]
        )

    def encode(self, value: Any) -> Encoded:
        """Return header and arrays; contiguous ones are not copied."""
        if not self.handles(value):
            raise not_mine(self.id, value, "pass a sparse matrix or array of scipy, of numbers")
        layout = _layout(type(value).__name__) or ""
        plain = getattr(value, f"to{_WRITTEN_AS[layout]}")() if layout in _WRITTEN_AS else value
        arrays = [package("numpy", "numpy").ascontiguousarray(array) for array in _arrays(plain)]
        header = _Header(
            kind=type(value).__name__,
            shape=[int(size) for size in value.shape],
            canonical=layout == "coo" and bool(value.has_canonical_format),
            arrays=[(array.dtype.str, list(array.shape)) for array in arrays],
        )
        text = json.dumps(asdict(header), separators=(",", ":")).encode()
        return Encoded(tuple(_aligned(_MAGIC + len(text).to_bytes(8, "big") + text, arrays)))

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return the matrix or array, whose parts are views of the file, and writable."""
        del proof
        as_stored = stored(source, want)
        if as_stored is not None:
            return as_stored
        if want in ("str", "ndarray", "table", "dataframe", "polars"):
            raise cannot_become(self.id, want, "the class of the sparse array")
        sparse = package("scipy.sparse", "sparse")
        memory = private(source)
        try:
            return _restore(sparse, memory)
        except Exception as error:  # scipy does not document the errors that it raises for parts that do not fit
            raise DecodeError("an artifact of format sparse@1 is no sparse array that scipy has here") from error


def header_of(head: bytes) -> dict[str, str]:
    """Return what the header of a sparse array says, from its first bytes.

    Raises:
        ValueError: The bytes are not the beginning of one; also TypeError, KeyError and RecursionError.
    """
    header, _ = _Header.decode(memoryview(head))
    # Values come first in every layout, however many of them a block has.
    dtype, values = header.arrays[0]
    return {
        "class": str(header.kind),
        "shape": str(tuple(header.shape)),
        "dtype": str(dtype),
        "stored values": str(prod(values)),
    }


def _layout(name: str) -> str | None:
    layout, _, kind = name.partition("_")
    return layout if layout in _LAYOUTS and kind in ("matrix", "array") else None


def _arrays(value: Any) -> tuple[Any, ...]:
    if value.format == "coo":
        # scipy before 1.13 has two dimensions, and no `coords`
        return (value.data, *(value.coords if hasattr(value, "coords") else (value.row, value.col)))
    return (value.data, value.offsets) if value.format == "dia" else (value.data, value.indices, value.indptr)


def _aligned(head: bytes, arrays: list[Any]) -> Iterator[Buffer]:
    yield head
    end = len(head)
    for array in arrays:
        gap = -end % _ALIGNMENT
        yield bytes(gap)
        yield flat_view(array)
        end += gap + array.nbytes


def _restore(sparse: Any, memory: memoryview) -> Any:
    header, end = _Header.decode(memory)
    layout = _layout(header.kind)
    if layout is None:
        raise ValueError("the class is none of a sparse array")
    arrays = []
    for dtype, shape in header.arrays:
        begin = end + -end % _ALIGNMENT
        arrays.append(_array(memory, begin, dtype, shape))
        end = begin + arrays[-1].nbytes
    if end != len(memory):
        raise ValueError("the file has another length than its header says")
    as_written = _WRITTEN_AS.get(layout, layout)
    cls = getattr(sparse, header.kind.replace(layout, as_written))
    found = _BUILDERS[as_written](cls, tuple(header.shape), *arrays)
    if as_written == "coo":
        found.has_canonical_format = header.canonical is True
    return found if layout == as_written else getattr(found, f"to{layout}")()


def _array(memory: memoryview, begin: int, dtype: str, shape: list[int]) -> Any:
    numpy = package("numpy", "numpy")
    kind = numpy.dtype(dtype)
    # Objects over foreign memory would be pointers that a stranger chose.
    if kind.kind not in _KINDS or begin + prod(shape) * kind.itemsize > len(memory):
        raise ValueError("an array is none of numbers, or leads out of the file")
    return numpy.ndarray(shape, kind, memory, begin)


def _compressed(cls: Any, shape: tuple[int, ...], data: Any, indices: Any, indptr: Any) -> Any:
    blocks = {"blocksize": data.shape[1:]} if data.ndim == 3 else {}
    _check_integers(indices, indptr)
    # Before scipy allocates as many as the shape claims.
    if _rows(cls, shape, blocks) != len(indptr) - 1:
        raise ValueError("the number of rows is another one than the shape has")
    found = cls(shape, dtype=data.dtype, **blocks)
    found.data, found.indices, found.indptr = data, indices, indptr
    # scipy's C code trusts them, and `check_format` leaves the order out if the last is zero.
    if not (indptr[1:] >= indptr[:-1]).all():
        raise ValueError("the beginnings of rows are not in order")
    found.check_format(full_check=True)
    return found


def _rows(cls: Any, shape: tuple[int, ...], blocks: dict[str, Any]) -> int:
    if cls.__name__.startswith("bsr"):
        return shape[0] // int(blocks["blocksize"][0])
    return shape[1] if cls.__name__.startswith("csc") else shape[0] if len(shape) == 2 else 1


def _coordinates(cls: Any, shape: tuple[int, ...], data: Any, *coords: Any) -> Any:
    _check_integers(*coords)
    found = cls((data, coords), shape=shape)
    # As they were: scipy has chosen their dtype anew.
    if hasattr(found, "coords"):
        found.coords = coords
    else:
        found.row, found.col = coords
    return found


def _diagonals(cls: Any, shape: tuple[int, ...], data: Any, offsets: Any) -> Any:
    _check_integers(offsets)
    found = cls((data, offsets), shape=shape)
    found.offsets = offsets
    return found


def _check_integers(*arrays: Any) -> None:
    if any(array.dtype.name not in _INDICES or not array.dtype.isnative or array.ndim != 1 for array in arrays):
        raise ValueError("indices are none")


_BUILDERS: Final[dict[str, Callable[..., Any]]] = {
    "csr": _compressed,
    "csc": _compressed,
    "bsr": _compressed,
    "coo": _coordinates,
    "dia": _diagonals,
}
