"""Files that are read here and there over TCP: bytes and requests, beside what the libraries read, obstore and s3fs.

Nothing is timed. A library reads a local copy first, which shows how many bytes it needs, each counted once.

Expected: bytes within one and a half times of those, and no more requests than the more frugal of the others. s3fs
makes fewer requests of a file that is not much larger than the 50 MiB that it fetches at each jump.
"""

from __future__ import annotations

import importlib.util
import io
import random
import urllib.request
import zipfile
from contextlib import ExitStack
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from actorc.storage import StorageClient
from benchmarks.cases import MiB, Row, size_text
from benchmarks.counting_proxy import counting
from benchmarks.peers.s3 import BUCKET as THEIRS
from benchmarks.peers.s3 import Absent, Store
from benchmarks.services import TCP, environment, storage_server
from benchmarks.setting import BUCKET

MOST = 1.5
READS, FEW = 1000, 20
"""Random reads, and those of s3fs, which would fetch 50 GiB for all of them."""
RANDOM = random.Random(1)


def cases(setting):
    share = min(1.0, setting.scale.large / (256 * MiB))
    with ExitStack() as stack:
        ours = stack.enter_context(_Ours())
        others = [stack.enter_context(each) for each in _others(setting.go_store)]
        for name, make, read, *few in _scenarios():
            path = setting.folder / "random"
            if missing := make(path, share):
                yield Row(name, "open_object", TCP, missing)
                continue
            for reader in (ours, *(each for each in others if not each.missing)):
                reader.store(path)
            title = f"{name} of {size_text(path.stat().st_size)}"
            yield from _rows(title, read, few[0] if few else read, path, ours, others)


def _rows(name, read, few, path, ours, others):
    with _Traced(path) as traced:
        read(traced)
    needed = traced.needed()
    theirs = [(each, None if each.missing else each.measure(few if each.is_costly else read)) for each in others]
    found = [result for each, result in theirs if result and not (each.is_costly and few is not read)]
    most = min(found, key=lambda result: result[1])[0] if found else None
    calls, size = ours.measure(read)
    met = size <= MOST * needed and (most is None or calls <= most)
    target = f"≤ {MOST:g} x the bytes needed" + ("" if most is None else f", ≤ {most} requests")
    ratio = f"{size / needed:.2f}"
    yield Row(name, "open_object", TCP, _text(calls, size), ratio=ratio, target=target, met=met)
    for each, found in theirs:
        if found is None:
            yield Row(name, each.name, "", each.missing)
            continue
        share = FEW / READS if each.is_costly and few is not read else 1
        measured = _text(*found) + ("" if share == 1 else f", for {FEW} of the reads")
        yield Row(name, each.name, "", measured, ratio=f"{found[1] / needed / share:.2f}")
    yield Row(name, "what the library reads", "", f"{size_text(needed)} by {len(traced.reads)} reads")


def _text(calls, size):
    return f"{size_text(size)} by {calls} requests"


class _Traced(io.FileIO):
    """A local file that notes what is read of it."""

    def __init__(self, path):
        super().__init__(path)
        self.reads = []

    def read(self, size=-1):
        begin = self.tell()
        data = super().read(size)
        self.reads.append((begin, begin + len(data)))
        return data

    def readinto(self, buffer):
        begin = self.tell()
        count = super().readinto(buffer)
        self.reads.append((begin, begin + count))
        return count

    def fileno(self):
        raise io.UnsupportedOperation("libraries would read past this file")

    def needed(self):
        """Return the number of bytes that were read, each counted once."""
        total = end = 0
        for first, stop in sorted(self.reads):
            total += max(0, stop - max(first, end))
            end = max(end, stop)
        return total


class _Ours:
    """The server of the product, with metrics, and a client over TCP."""

    missing = ""

    def __enter__(self):
        self._stack = ExitStack()
        server = self._stack.enter_context(storage_server("--http", "127.0.0.1:0"))
        with environment(STORAGE_LOCAL="0"):
            self._client = self._stack.enter_context(StorageClient(server.endpoint))
        self._metrics = self._client.server_info()["http_endpoint"] + "/metrics"
        return self

    def __exit__(self, *error):
        self._stack.__exit__(*error)

    def store(self, path):
        self._client.upload_file(BUCKET, "random", path)

    def measure(self, read):
        """Return the requests and the bytes that reading took."""
        before = self._counted()
        with self._client.open_object(BUCKET, "random") as file:
            read(file)
        return tuple(now - then for now, then in zip(self._counted(), before, strict=True))

    def _counted(self):
        calls = size = 0
        for line in urllib.request.urlopen(self._metrics).read().decode().splitlines():
            if line.startswith("storage_calls_total"):
                calls += int(float(line.rpartition(" ")[2]))
            if line.startswith('storage_object_bytes_total{direction="out"}'):
                size += int(float(line.rpartition(" ")[2]))
        return calls, size


class _Other:
    """A client of S3 on the server of another product, which counts what passes."""

    def __init__(self, name, store, open_file, *, is_costly=False):
        self.name = name
        self.is_costly = is_costly
        self._store = store
        self._open_file = open_file
        self.missing = store.reason if isinstance(store, Absent) else ""
        if not self.missing and importlib.util.find_spec(name.partition(",")[0]) is None:
            self.missing = f"not measured: {name.partition(',')[0]} is not installed"

    def __enter__(self):
        self._stack = ExitStack()
        if not self.missing:
            endpoint, self._counts = self._stack.enter_context(counting(self._store.endpoint))
            self._reached = Store(self._store.name, endpoint, self._store.access_key, self._store.secret_key, ())
        return self

    def __exit__(self, *error):
        self._stack.__exit__(*error)

    def store(self, path):
        _obstore(self._store).put("random", path)

    def measure(self, read):
        """Return the requests and the bytes that reading took, with those of opening."""
        with self._open_file(self._reached) as file:
            read(file)
        return self._counts.take()


def _others(store):
    return _Other("obstore, JuiceFS", store, _ObstoreFile), _Other("s3fs, JuiceFS", store, _s3fs_file, is_costly=True)


def _obstore(store):
    import obstore.store

    keys = {"access_key_id": store.access_key, "secret_access_key": store.secret_key, "region": "us-east-1"}
    return obstore.store.S3Store(
        THEIRS, config={"endpoint": store.endpoint, **keys}, client_options={"allow_http": True}
    )


class _ObstoreFile(io.RawIOBase):
    """The reader of obstore as a file of Python, which it is not quite: it returns a class of its own for bytes."""

    def __init__(self, store):
        import obstore

        self._reader = obstore.open_reader(_obstore(store), "random")

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=0):
        return self._reader.seek(offset, whence)

    def tell(self):
        return self._reader.tell()

    def read(self, size=-1):
        return bytes(self._reader.read() if size is None or size < 0 else self._reader.read(size))

    def readinto(self, buffer):
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _s3fs_file(store):
    import s3fs

    system = s3fs.S3FileSystem(
        key=store.access_key,
        secret=store.secret_key,
        client_kwargs={"region_name": "us-east-1", "endpoint_url": store.endpoint},
        skip_instance_cache=True,
    )
    return system.open(f"{THEIRS}/random", "rb")


def _scenarios():
    return (
        ("2 of 20 columns", _parquet, lambda file: pq.read_table(file, columns=["c3", "c11"])),
        ("listing an HDF5 file", _hdf5, _listed),
        (f"{READS} random reads of 4 KiB", _bytes, _here_and_there, partial(_here_and_there, reads=FEW)),
        ("20 members of a zip", _zip, _some_members),
    )


def _parquet(path, share):
    rows = int(1_310_720 * share)
    numbers = np.random.default_rng(1)
    pq.write_table(pa.table({f"c{column}": numbers.random(rows) for column in range(20)}), path)


def _hdf5(path, share):
    if importlib.util.find_spec("h5py") is None:
        return "not measured: h5py is not installed"
    import h5py

    numbers = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        for run in range(max(1, int(10 * share))):
            for signal in range(20):
                file.create_dataset(f"run{run}/signal{signal}", data=numbers.random(50_000)).attrs["unit"] = "mV"
    return None


def _listed(file):
    import h5py

    with h5py.File(file, "r") as opened:
        opened.visititems(lambda _name, _object: None)


def _bytes(path, share):
    with path.open("wb") as file:
        for _ in range(int(400 * share)):
            file.write(RANDOM.randbytes(MiB))


def _here_and_there(file, reads=READS):
    places = random.Random(2)
    size = file.seek(0, io.SEEK_END)
    for _ in range(reads):
        file.seek(places.randrange(size - 4096))
        file.read(4096)


def _zip(path, share):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(int(2000 * share)):
            archive.writestr(f"tile{number:04}.bin", RANDOM.randbytes(200_000))


def _some_members(file):
    with zipfile.ZipFile(file) as archive:
        for name in random.Random(3).sample(archive.namelist(), 20):
            archive.read(name)
