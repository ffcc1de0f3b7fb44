"""Bytes-like objects as data: every buffer is taken as its memory, and what is none is refused before it is sent."""

from __future__ import annotations

import ctypes
import io
import mmap
import subprocess
import sys
from array import array
from collections import ChainMap
from pathlib import Path
from pickle import PickleBuffer

import numpy as np
import pyarrow as pa
import pytest

from actorc.storage import AsyncStorageClient, InvalidParameterError, StorageClient
from actorc.storage._rpc.payload import Upload
from actorc.storage.buffers import flat_view


@pytest.fixture
def client(server):
    with StorageClient(server.endpoint) as it:
        yield it


def mapped(content):
    found = mmap.mmap(-1, len(content))
    found.write(content)  # which leaves its position behind the content
    return found


class Pair(ctypes.Structure):
    _fields_ = (("small", ctypes.c_int8), ("large", ctypes.c_int32))


BUFFERS = {
    "bytearray": bytearray(b"abc"),
    "memoryview": memoryview(b"abcdef")[1:4],
    "array of bytes": array("B", b"abc"),
    "array of signed bytes": array("b", b"abc"),
    # Python 3.13 warns of this one.
    **({"array of text": array("u", "äb")} if sys.version_info < (3, 13) else {}),
    "array of doubles": array("d", [1.5, -2.0]),
    "numpy": np.arange(3, dtype="u1"),
    "numpy, two dimensions": np.arange(6.0).reshape(2, 3),
    "numpy, no dimension": np.array(3, dtype="i2"),
    "numpy, other byte order": np.array([1, 2], dtype=">i4"),
    "numpy, records": np.zeros(2, dtype=[("Open", "i2"), ("x", ">f8")]),
    "numpy, half and complex": np.array([1.5], dtype="f2"),
    "numpy, text": np.array(["ab"]),
    "numpy, nothing": np.empty((3, 0)),
    "numpy scalar": np.float64(1.5),
    "pyarrow": pa.py_buffer(b"abc"),
    "map": mapped(b"abc"),
    "ctypes array": (ctypes.c_uint16 * 3)(1, 2, 3),
    "ctypes structure": Pair(1, 2),
    "pickle buffer": PickleBuffer(b"abc"),
}
NO_BUFFERS = {
    "dict": {b"a": 1},
    "mapping": ChainMap({b"a": 1}),
    "set": {b"a"},
    "str": "abc",
    "numpy str": np.str_("abc"),
    "int": 5,
    "None": None,
    "bool": True,
    "path": Path("name"),
    "list of int": [1, 2],
    "list of str": [b"abc", np.str_("abc")],
    "range": range(3),
    "gaps": memoryview(b"abcdef")[::2],
    "columns first": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "objects": np.array([None, 1], dtype=object),
    "objects in records": np.zeros(2, dtype=[("a", "i8"), ("b", "O")]),
    "dates": np.array(["2026-11-27"], dtype="M8[D]"),
}

COLLECTED = """
import array, gc
from actorc.storage.buffers import flat_view

class Holder:
    pass

def forget(memory):
    # older than what holds it, so that the collector meets it first
    view = memoryview(memory)
    flat, holder = flat_view(view), Holder()
    holder.held = holder, flat

for _ in range(10):
    forget(array.array("i", [1]))
    gc.collect()
"""


def every(cases):
    return pytest.mark.parametrize("data", cases.values(), ids=cases)


@pytest.mark.few(8)
@every(BUFFERS)
def test_the_memory_of_any_buffer_is_what_is_stored(client, data):
    expected = bytes(memoryview(data))
    upload = {"bucket": "bucket", "key": "parts", "upload_id": ""}
    upload["upload_id"] = client.create_multipart_upload("bucket", "parts")["upload_id"]

    assert client.put_object("bucket", "key", data)["size"] == len(expected)
    assert client.upload_from_stream("bucket", "stream", data)["size"] == len(expected)
    part = client.upload_part(**upload, part_number=1, data=data)
    client.complete_multipart_upload(**upload, parts=[part])
    client.put_object("bucket", "iterable", iter([data, b"end"]))
    with client.open_object("bucket", "written", "wb") as file:
        file.write(data)

    for key in ("key", "stream", "parts", "written"):
        assert client.get_object("bucket", key) == expected
    assert client.get_object("bucket", "iterable") == expected + b"end"


@every(BUFFERS)
def test_a_view_is_of_the_owner_of_the_memory_and_never_of_another_view(data):
    assert not isinstance(flat_view(data).obj, memoryview)


def test_the_collector_may_meet_views_in_any_order():
    collected = subprocess.run([sys.executable, "-c", COLLECTED], capture_output=True, text=True, check=False)

    assert (collected.returncode, collected.stderr) == (0, "")


@every(NO_BUFFERS)
def test_what_is_no_buffer_is_refused_and_nothing_is_stored(client, data):
    upload = client.create_multipart_upload("bucket", "refused")["upload_id"]

    with pytest.raises(InvalidParameterError):
        client.put_object("bucket", "refused", data)
    with pytest.raises(InvalidParameterError):
        client.upload_from_stream("bucket", "refused", data)
    with pytest.raises(InvalidParameterError):
        client.upload_part("bucket", "refused", upload, 1, data)
    assert client.list_parts("bucket", "refused", upload) == []
    assert not client.object_exists("bucket", "refused")


@pytest.mark.parametrize(("size", "views"), [(10, 0), (3 << 20, 2)], ids=["in one message", "as a stream"])
def test_several_buffers_are_stored_one_after_the_other_and_their_memory_is_what_is_sent(client, size, views):
    header, data = b"header", memoryview(bytes(range(256)) * (size // 256 + 1))[:size]
    upload = Upload([header, b"", data, np.arange(3, dtype="u1")])

    client.create_bucket("bytes-like", exist_ok=True)
    client.put_object("bytes-like", "several", (header, b"", data, np.arange(3, dtype="u1")))
    chunks = [chunk.data for chunk in upload.chunks()]

    assert client.get_object("bytes-like", "several") == header + data + b"\0\1\2"
    assert upload.size == len(header) + size + 3
    assert b"".join(chunks) == b"".join(chunk.data for chunk in upload.chunks())  # sent again after a broken connection
    # Only the frames in which two buffers meet are copies.
    assert sum(isinstance(chunk, memoryview) and chunk.obj is data.obj for chunk in chunks) == views


def test_a_closed_map_is_refused_by_name(client):
    closed = mapped(b"abc")
    closed.close()

    with pytest.raises(InvalidParameterError, match="mmap"):
        client.put_object("bucket", "refused", closed)


def test_a_file_that_was_just_written_is_not_stored_as_nothing(client, tmp_path):
    written = io.BytesIO()
    written.write(b"abc")
    with (tmp_path / "file").open("w+b") as file:
        file.write(b"abc")
        for source in (written, file):
            with pytest.raises(InvalidParameterError, match=r"seek\(0\)"):
                client.put_object("bucket", "written", source)
            source.seek(0)
            assert client.put_object("bucket", "written", source)["size"] == 3
    assert client.put_object("bucket", "empty", io.BytesIO())["size"] == 0


async def put_and_get(endpoint, data):
    async with AsyncStorageClient(endpoint) as client:
        await client.put_object("bucket", "key", data)
        return await client.get_object("bucket", "key")


def test_the_asynchronous_client_takes_any_buffer_too(server):
    import asyncio

    async def chunks():
        yield np.arange(3.0)
        yield array("i", [1])

    assert asyncio.run(put_and_get(server.endpoint, array("d", [1.5]))) == array("d", [1.5]).tobytes()
    assert asyncio.run(put_and_get(server.endpoint, chunks())) == np.arange(3.0).tobytes() + array("i", [1]).tobytes()
