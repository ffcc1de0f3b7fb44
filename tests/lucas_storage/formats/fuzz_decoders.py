"""Decodes damaged artifacts in a process of bounded memory: ``fuzz_decoders.py ROUNDS FORMAT...``.

Ends with 0 if each was decoded, or refused by an error of the plugin.
"""

from __future__ import annotations

import contextlib
import io
import logging
import random
import resource
import sys
from array import array as typed_array
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from scipy import sparse

from lucas_storage.artifacts.manifest import Manifest, Part, TreeFile
from lucas_storage.errors import StorageError
from lucas_storage.formats import format_by_id
from lucas_storage.formats.base import MemorySource
from lucas_storage.formats.pickle_header import header_of

MEMORY = 2 << 30
"""Bytes of address space beyond what the imports take."""
SECONDS = 120


def table():
    return pa.table(
        {
            "n": np.arange(50.0),
            "s": [str(n) * 3 for n in range(50)],
            "d": pa.array([f"k{n % 3}" for n in range(50)]).dictionary_encode(),
            "l": [[n, n + 1] for n in range(50)],
            "x": pa.nulls(50),
        }
    )


def arrow_streams():
    for compression in (None, "zstd", "lz4"):
        sink = io.BytesIO()
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.ipc.new_stream(sink, table().schema, options=options) as writer:
            writer.write_table(table())
        yield sink.getvalue()
    yield bytes(format_by_id("arrow@1").encode(pd.DataFrame({"a": [1.5, 2], "b": ["x", None]})))


def parquet_files():
    for compression in ("snappy", "zstd"):
        sink = io.BytesIO()
        pq.write_table(table(), sink, compression=compression)
        yield sink.getvalue()


def arrays():
    for array in (np.arange(20.0), np.zeros((3, 4), "<i2", order="F"), np.zeros(3, [("a", "<f4"), ("b", "S3", (2,))])):
        yield bytes(format_by_id("npy@1").encode(array))


def manifests():
    part = Part(digest="sha256:" + "0" * 64, size=10, crc32c="0" * 8)
    yield Manifest(parts=(part, part), items=(part,)).encode()
    yield Manifest(files=(TreeFile(path="a/b", executable=True, parts=(part,)),), folders=("c/d",)).encode()


def images():
    for mode in ("P", "RGBA", "I;16"):
        image = Image.new(mode, (9, 7))
        image.info["text"] = ["ä", (1, b"x")]
        yield bytes(format_by_id("png@1").encode(image))


def sparse_arrays():
    dense = np.array([[0, 1.5, 0, 2], [0, 0, 0, 0], [3, 0, 4, 0]])
    for cls in (
        sparse.csr_array,
        sparse.csc_matrix,
        sparse.bsr_array,
        sparse.coo_array,
        sparse.dia_array,
        sparse.lil_array,
    ):
        yield bytes(format_by_id("sparse@1").encode(cls(dense)))


SEEDS = {
    "array@1": lambda: [bytes(format_by_id("array@1").encode(typed_array(code, [1, 2]))) for code in "bdL"],
    "png@1": images,
    "sparse@1": sparse_arrays,
    "npy@1": arrays,
    "arrow@1": arrow_streams,
    "parquet@1": parquet_files,
    "json@1": lambda: [b'{"a":[1,{"$tuple":[1,"x"]},{"$numpy":["<f8","AAAAAAAA8D8="]},{"$dict":[[1,2]]}],"b":1e5}'],
    "json@2": lambda: [
        b'[{"$datetime":["2026-11-23T01:02:03",[0,3600,0,"here"],1]},{"$datetime":["2026-11-23","Europe/Berlin",0]}]',
        b'[{"$timedelta":[1,2,3]},{"$decimal":"1.5E+7"},{"$uuid":"12345678-1234-5678-1234-567812345678"}]',
        b'[{"$complex":[1.5,{"$float":"nan"}]},{"$bytes":"AAEC"},{"$range":[0,9,2]},{"$slice":[1,null,2]}]',
        b'[{"$deque":[9,[1]]},{"$defaultdict":["list",[["a",[]]]]},{"$counter":[["a",2]]},{"$windowspath":"c:/x"}]',
    ],
    "manifest": manifests,
    "pickle5@1": lambda: [bytes(format_by_id("pickle5@1").encode({1, "a"}))],
}
NUMBERS = (b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\xff" * 7 + b"\x7f", b"\0" * 8)


def damaged(data, rng):
    """Return data with a few bytes changed, cut, doubled, or replaced by an extreme number; mostly near its ends."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        span = min(len(found), 300)
        at = rng.choice([rng.randrange(len(found)), rng.randrange(span), len(found) - 1 - rng.randrange(span)])
        how = rng.randrange(4)
        if how == 0:
            found[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            found[at] = rng.randrange(256)
        elif how == 2:
            number = rng.choice(NUMBERS)
            found[at : at + len(number)] = number
        elif rng.random() < 0.3:
            del found[at : at + rng.randint(1, 8)]
        if not found:
            return b""
    return bytes(found)


def decode(form, data):
    if form == "manifest":
        Manifest.decode(data)
    elif form == "pickle5@1":
        header_of(data)
    else:
        for want in (None, "dataframe") if form in ("arrow@1", "parquet@1") else (None,):
            value = format_by_id(form).decode(MemorySource(data), want)
            if isinstance(value, pa.Table):
                with contextlib.suppress(UnicodeDecodeError):  # of a text that only looking at it decodes
                    value.slice(0, 100).to_pylist()
            elif form == "sparse@1" and max(value.shape, default=0) < 1000:
                with contextlib.suppress(ValueError):  # of a dtype that scipy has no arithmetic for
                    value.toarray()


def main():
    rounds, forms = int(sys.argv[1]), sys.argv[2:]
    logging.disable()
    seeds = {form: list(SEEDS[form]()) for form in forms}
    for form in forms:
        for seed in seeds[form]:
            decode(form, seed)
    present = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (present + MEMORY, present + MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    for form in forms:
        rng = random.Random(form)
        for _ in range(rounds):
            with contextlib.suppress(StorageError):
                decode(form, damaged(rng.choice(seeds[form]), rng))
        print(f"{form}: {rounds} rounds")


if __name__ == "__main__":
    main()
