"""Arrays of the standard library's `array`, with their type code.

One file is a header of 16 bytes, and the items as they are in memory::

    b"LUCASARR"  type code  byte order, "<" or ">"  bytes of an item  5 zero bytes  items
"""

from __future__ import annotations

import sys
from array import array, typecodes
from typing import TYPE_CHECKING, Any, Final

from actorc.storage.buffers import flat_view
from lucas_storage.errors import DecodeError

from .base import Encoded, Format, Source, cannot_become, not_mine, package, stored

if TYPE_CHECKING:
    from lucas_storage.signing import Verified

_MAGIC: Final = b"LUCASARR"
HEADER: Final = 16
"""Bytes of the header."""
_ORDER: Final = "<" if sys.byteorder == "little" else ">"
_TEXT: Final = "uw"
"""Type codes of characters, of which not every bit pattern is one."""


class ArrayFormat(Format):
    """An `array.array`: its type code, and its items, whatever the byte order of writer and reader."""

    id = "array@1"
    extension = ".array"

    def handles(self, value: object) -> bool:
        """Return whether `value` is exactly an array."""
        return type(value) is array

    def encode(self, value: Any) -> Encoded:
        """Return header and items, which are not copied."""
        if not self.handles(value):
            raise not_mine(self.id, value, "pass an array.array")
        head = _MAGIC + (value.typecode + _ORDER).encode() + bytes((value.itemsize,))
        return Encoded((head.ljust(HEADER, b"\0"), flat_view(value)))

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return the array, or its items as a numpy array."""
        del proof
        as_stored = stored(source, want)
        if as_stored is not None:
            return as_stored
        if want in ("str", "table", "dataframe", "polars"):
            raise cannot_become(self.id, want, "array.array or np.ndarray")
        memory = memoryview(source.read())
        try:
            found = _restore(memory)
        except ValueError as error:
            raise DecodeError("an artifact of format array@1 is not one array that this Python has") from error
        return package("numpy", "numpy").array(found) if want == "ndarray" else found


def items_of(header: bytes) -> tuple[str, str, int]:
    """Return the type code, the byte order (``<`` or ``>``) and the bytes of an item.

    Raises:
        ValueError: It is no header of an array that this Python has.
    """
    code, order = header[8:9].decode("latin-1"), header[9:10]
    if header[:8] != _MAGIC or code not in typecodes or order not in (b"<", b">"):
        raise ValueError("the header is none of an array here")
    # A long of another platform has another size.
    if array(code).itemsize != header[10]:
        raise ValueError("an item has another size here")
    return code, order.decode(), header[10]


def _restore(memory: memoryview) -> array[Any]:
    code, order, _ = items_of(bytes(memory[:HEADER]))
    found = array(code)
    found.frombytes(memory[HEADER:])
    if order != _ORDER:
        found.byteswap()
    if code in _TEXT:
        found.tounicode()  # raises for what is no character, which every later access would do
    return found
