"""The memory of any buffer as a flat view of bytes: bytes, arrays, maps of files, buffers of other packages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .errors import InvalidParameterError

if TYPE_CHECKING:
    from typing_extensions import Buffer

_FIELD_NAME: Final = re.compile(":[^:]*:")
"""Name of a field in the format of a record, which may hold any letter."""


def flat_view(buffer: Buffer) -> memoryview:
    """Return the memory of `buffer` as a flat view of single bytes, without a copy.

    The memory stays the owner's, who must not change it while the view is in use.

    Raises:
        TypeError: It is no buffer.
        InvalidParameterError: Its memory has gaps or another order, or holds no data but references to Python objects;
            or it does not give its memory, as an array of dates or a closed map.
    """
    try:
        view = memoryview(buffer)
    except (ValueError, BufferError) as error:
        raise InvalidParameterError(
            f"the memory of a {type(buffer).__name__} cannot be read, {error}; pass bytes"
        ) from error
    if not view.c_contiguous:
        raise InvalidParameterError("the buffer is not contiguous; pass bytes(buffer)")
    if "O" in _FIELD_NAME.sub("", view.format):
        raise InvalidParameterError(
            "the buffer holds Python objects, whose addresses mean nothing elsewhere; encode it"
        )
    if not view.nbytes:
        return memoryview(b"")  # also for a shape with a zero, which the line below refuses
    return view if view.format == "B" and view.ndim == 1 else _of_bytes(view, buffer)


def _of_bytes(view: memoryview, buffer: Buffer) -> memoryview:
    try:
        return view.cast("B")
    except TypeError:
        # Not a format of the struct module in native order, which is all that `cast` takes. Of `buffer`, not of `view`:
        # where the collector meets a view whose owner is a view, Python 3.11 and 3.12.1 end by a segmentation fault.
        from pickle import PickleBuffer  # noqa: PLC0415  # few buffers need it, and every command starts sooner

        return PickleBuffer(buffer).raw()
