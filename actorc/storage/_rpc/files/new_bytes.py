"""New bytes that are written in place; a module of its own, since few callers need `ctypes`, which is slow to load."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Final


def filled(size: int, fill: Callable[[memoryview], object]) -> bytes:
    """Return new bytes that `fill` has written, without a copy of them.

    The C API allows to write to bytes that were just made without content and that nobody else has seen; see
    ``PyBytes_FromStringAndSize``, ``PyBytes_AsString`` and ``PyMemoryView_FromMemory`` in its reference.
    """
    made: bytes = _new_bytes(None, size)
    if size:
        with _memory(_address(made), size, _PYBUF_WRITE) as buffer:
            fill(buffer)
    return made


_new_bytes = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_char_p, ctypes.c_ssize_t)(
    ("PyBytes_FromStringAndSize", ctypes.pythonapi)
)
_address = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(("PyBytes_AsString", ctypes.pythonapi))
_memory = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)(
    ("PyMemoryView_FromMemory", ctypes.pythonapi)
)
_PYBUF_WRITE: Final = 0x200
"""``PyBUF_WRITE`` of the C API."""
