"""Artifacts of a server on this machine: decoded from its own files, verified, and without a copy in the cache."""

from __future__ import annotations

import mmap
from collections import Counter
from pathlib import Path
from typing import BinaryIO, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from actorc.storage import IntegrityError
from actorc.storage.testing import local_server
from lucas_storage import Storage, storage_context, with_storage
from lucas_storage.artifacts.cache import server_files
from lucas_storage.errors import ArtifactNotFoundError
from lucas_storage.refs import digest_of
from lucas_storage.storage import storage_for

ARRAY = np.arange(100_000.0)


class CountingStorage(Storage):
    """Counts the calls that bring bytes."""

    calls: ClassVar[Counter[str]] = Counter()

    def get_object(self, *args, **options):
        self.calls["bytes"] += 1
        return super().get_object(*args, **options)

    def stream_object(self, *args, **options):
        self.calls["bytes"] += 1
        return super().stream_object(*args, **options)

    def open_blob(self, *args, **options):
        self.calls["file"] += 1
        return super().open_blob(*args, **options)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The data directory of a durable server, and its address."""
    folder = tmp_path_factory.mktemp("same-machine") / "data"
    with local_server(f"file://{folder}") as running:
        yield folder, running.endpoint


@pytest.fixture
def storage(data, tmp_path, monkeypatch):
    monkeypatch.setattr("lucas_storage.storage.Storage", CountingStorage)
    CountingStorage.calls.clear()
    with storage_context(endpoint=data[1], cache_dir=tmp_path / "cache", bucket="same-machine"):
        yield storage_for()


@pytest.fixture
def digests(monkeypatch):
    """The digests of server files that were computed."""
    found = []
    monkeypatch.setattr(server_files, "digest_of", lambda pieces: found.append(digest_of(pieces)) or found[-1])
    return found


def copies(tmp_path):
    return list((tmp_path / "cache").rglob("content"))


@pytest.mark.parametrize(
    "value",
    [ARRAY, pa.table({"a": ARRAY}), ARRAY.tobytes(), "text" * 100_000],
    ids=["array", "table", "bytes", "text"],
)
def test_a_value_is_decoded_from_the_file_of_the_server(storage, tmp_path, digests, value):
    ref = storage.put(value)
    loaded = [storage.get(ref) for _ in range(3)]

    assert all(np.array_equal(one, value) if isinstance(value, np.ndarray) else one == value for one in loaded)
    assert storage.calls == {"file": 3}
    assert digests == [ref.digest]
    assert copies(tmp_path) == []


def test_an_array_is_a_map_whose_changes_nobody_sees(storage):
    ref = storage.put(ARRAY)

    array = storage.get(ref)
    array[:] = -1

    assert isinstance(array.base, mmap.mmap)
    assert np.array_equal(storage.get(ref), ARRAY)
    storage.verify(ref)


def test_an_array_outlives_its_object(storage):
    ref = storage.put(ARRAY)
    array = storage.get(ref)
    storage.delete_object(ref.bucket, ref.key)

    assert np.array_equal(array, ARRAY)
    with pytest.raises(ArtifactNotFoundError):
        storage.get(ref)


def test_a_file_and_a_path_are_the_bytes_of_the_object_alone(storage, tmp_path):
    (tmp_path / "file").write_bytes(ARRAY.tobytes())
    ref = storage.put(tmp_path / "file")

    @with_storage
    def step(x: BinaryIO, y: Path) -> dict:
        return {"same": x.read() == y.read_bytes(), "size": y.stat().st_size}

    assert step(x=ref.to_json(), y=ref.to_json()) == {"same": True, "size": ARRAY.nbytes}


def test_damage_on_the_disk_of_the_server_is_found_before_anything_is_decoded(storage, data):
    array = np.random.default_rng(1).random(100_000)
    ref = storage.put(array)
    storage.get(ref)
    (blob,) = (path for path in data[0].rglob("*") if path.is_file() and array.tobytes()[:4096] in path.read_bytes())
    blob.chmod(0o600)
    with blob.open("r+b") as file:
        file.seek(5000)
        file.write(b"\xff" * 8)

    with pytest.raises(IntegrityError):
        storage.get(ref)


def test_without_the_local_transport_there_is_a_copy_in_the_cache(data, tmp_path, monkeypatch):
    monkeypatch.setenv("STORAGE_LOCAL", "0")
    with storage_context(endpoint=data[1], cache_dir=tmp_path / "cache", bucket="same-machine"), Storage() as storage:
        ref = storage.put(ARRAY)

        assert np.array_equal(storage.get(ref), ARRAY)
        assert storage.open_blob(ref.bucket, ref.key) is None
    assert len(copies(tmp_path)) == 1
