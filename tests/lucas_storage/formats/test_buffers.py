"""Buffers as values: what is nothing but bytes arrives as bytes, an `array.array` as one."""

from __future__ import annotations

import mmap
import sys
from array import array
from pickle import PickleBuffer

import numpy as np
import pyarrow as pa
import pytest

from lucas_storage import with_storage
from lucas_storage.errors import DecodeError, NoFormatError
from lucas_storage.formats import format_by_id, format_for
from lucas_storage.formats.base import MemorySource


def mapped(content):
    found = mmap.mmap(-1, len(content))
    found.write(content)
    return found


BUFFERS = [
    memoryview(b"abcdef")[::2],
    memoryview(np.array([1, 2], dtype=">i4")),
    memoryview(np.zeros(2, dtype=[("a", "i1"), ("b", "f8")])),
    memoryview(np.asfortranarray(np.arange(6).reshape(2, 3))),
    mapped(b"abc"),
    pa.py_buffer(b"abc"),
    pa.allocate_buffer(0),
    PickleBuffer(b"abc"),
]


@pytest.mark.parametrize("value", BUFFERS, ids=lambda value: type(value).__name__)
def test_a_buffer_that_is_nothing_but_bytes_arrives_as_bytes(storage, value):
    ref = storage.put(value)

    assert ref.format == "bytes@1"
    assert storage.get(ref) == memoryview(value).tobytes()


def test_a_map_and_an_array_come_through_a_step(settings, storage):
    @with_storage
    def made() -> dict:
        return {"map": mapped(b"x" * 5000), "array": array("d", [1.5] * 1000)}

    assert storage.get(made()["map"]) == b"x" * 5000
    assert storage.get(made()["array"]) == array("d", [1.5] * 1000)


def test_references_to_objects_and_a_closed_map_are_refused(storage):
    closed = mapped(b"abc")
    closed.close()

    with pytest.raises(NoFormatError, match="Python objects"):
        storage.put(memoryview(np.array([None, 1], dtype=object)))
    with pytest.raises(NoFormatError, match="mmap"):
        storage.put(closed)


def test_an_array_of_the_other_byte_order_is_read(storage):
    other = array("i", [1, -2])
    other.byteswap()
    order = b">" if sys.byteorder == "little" else b"<"
    stored = bytes(format_for(other).encode(other))

    decoded = format_by_id("array@1").decode(MemorySource(stored[:9] + order + stored[10:]), None)

    assert decoded == array("i", [1, -2])


def test_an_array_is_read_as_a_numpy_array_and_as_its_file_but_not_as_text(storage):
    ref = storage.put(array("h", [1, 2]))

    assert storage.get(ref, np.ndarray).dtype == np.int16
    assert storage.get(ref, bytes)[16:] == array("h", [1, 2]).tobytes()
    with pytest.raises(DecodeError, match="annotate"):
        storage.get(ref, str)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"LUCASARRd<\x08".ljust(16, b"\0") + b"1234567",
        b"LUCASARRd<\x04".ljust(16, b"\0"),
        b"LUCASARRO<\x08".ljust(16, b"\0"),
        b"LUCASARRd=\x08".ljust(16, b"\0"),
        b"LUCASARRu<\x04".ljust(16, b"\0") + b"\xff" * 4,
    ],
)
@pytest.mark.filterwarnings("ignore:The 'u' type code:DeprecationWarning")
def test_what_is_no_array_here_is_an_error(damaged):
    with pytest.raises(DecodeError):
        format_by_id("array@1").decode(MemorySource(damaged), None)
