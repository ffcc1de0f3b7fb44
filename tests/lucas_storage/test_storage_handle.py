"""`Storage`: artifacts by hand, in the process that does the I/O."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from actorc.storage import NetworkError, NotFoundError, StorageClient
from actorc.storage.testing import local_server
from lucas_storage import ArtifactRef, Storage, storage_context, with_storage
from lucas_storage.errors import (
    ArtifactNotFoundError,
    DecodeError,
    DigestMismatchError,
    InvalidRefError,
    UnknownStoreError,
)
from lucas_storage.storage import storage_for

DATA = b"0123456789" * 10_000


def changed_at(storage, key):
    return storage.head_object(storage.bucket, key)["generation"]


def test_it_is_a_storage_client(storage):
    storage.put_object(storage.bucket, "plain", b"data")

    assert isinstance(storage, StorageClient)
    assert storage.get_object(storage.bucket, "plain") == b"data"


def test_values_are_put_and_got(storage):
    ref = storage.put({"a": np.arange(3), "n": 1})

    assert isinstance(ref, ArtifactRef)
    assert storage.get(ref)["a"].tolist() == [0, 1, 2]
    assert storage.get(ref.uri)["n"] == 1
    assert storage.get(ref.to_json())["n"] == 1
    assert ref.load()["n"] == 1


def test_what_is_put_is_stored_however_small(storage):
    assert storage.put(1).kind == "blob"
    assert storage.put(b"").kind == "blob"
    assert storage.get(storage.put(None)) is None


def test_an_object_that_is_no_manifest_is_refused_as_one(storage):
    ref = replace(storage.put(DATA), kind="manifest")

    with pytest.raises(DecodeError, match="breaks a rule, and nothing was read by it"):
        storage.get(ref)


def test_a_format_can_be_asked_for(storage):
    assert storage.put("text", format="json").format == "json@1"
    assert storage.put(b"{}", format="bytes@1").format == "bytes@1"


def test_a_reference_that_is_put_is_returned(storage):
    ref = storage.put(DATA)

    assert ref == storage.put(ref)


def test_an_annotation_says_what_is_got(storage):
    ref = storage.put(DATA)

    assert storage.get(ref, as_=Path).read_bytes() == DATA
    assert storage.get(ref, as_=str) == DATA.decode()
    assert ref.load(str) == DATA.decode()


def test_the_key_is_the_digest(storage):
    ref = storage.put(DATA)
    digest = hashlib.sha256(DATA).hexdigest()

    assert (ref.digest, ref.size) == (f"sha256:{digest}", len(DATA))
    assert ref.key == f"a/sha256/{digest[:2]}/{digest}"


@pytest.mark.parametrize("size", [100, 3 << 20])
def test_equal_bytes_are_stored_once(storage, size):
    first = storage.put(b"x" * size)
    before = changed_at(storage, first.key)

    second = storage.put(b"x" * size)

    assert (first, before) == (second, changed_at(storage, second.key))


@pytest.mark.parametrize("size", [100, 3 << 20])
@pytest.mark.parametrize("wrong", [lambda size: b"y" * size, lambda size: b"x" * (size - 1)], ids=["bytes", "size"])
def test_other_bytes_under_the_key_are_replaced(storage, size, wrong):
    ref = storage.put(b"x" * size)
    storage.put_object(ref.bucket, ref.key, wrong(size))

    storage.put(b"x" * size)

    assert storage.get_object(ref.bucket, ref.key) == b"x" * size


@pytest.mark.parametrize("size", [0, 1000, 200_000])
@pytest.mark.parametrize("change", [1, -1], ids=["longer", "shorter"])
def test_an_object_of_another_length_than_its_reference_is_refused(storage, size, change):
    ref = storage.put(b"x" * size)
    storage.put_object(ref.bucket, ref.key, b"x" * (size + change) if size + change > 0 else b"y")

    with pytest.raises(DigestMismatchError):
        storage.get(ref)


def test_a_small_artifact_is_read_with_one_call_and_a_larger_one_as_a_stream(storage, monkeypatch):
    streams, genuine = [], Storage.stream_object
    small, large = storage.put(b"x" * 1000), storage.put(b"x" * 200_000)
    monkeypatch.setattr(Storage, "stream_object", lambda self, *args: streams.append(args) or genuine(self, *args))

    assert storage.get(small) == b"x" * 1000
    assert streams == []
    assert storage.get(large) == b"x" * 200_000
    assert streams == [(large.bucket, large.key)]


def test_big_values_of_many_parts_arrive_whole(storage):
    arrays = {"a": np.arange(400_000), "b": np.ones((700, 1000))}
    ref = storage.put(arrays, format="pickle5")

    assert np.array_equal(storage.get(ref)["b"], arrays["b"])
    assert ref.signature is not None


def test_a_file_that_changes_while_it_is_uploaded_is_refused(storage, tmp_path):
    from actorc.storage import IntegrityError
    from lucas_storage.artifacts.body import FileBody
    from lucas_storage.formats import format_by_id

    path = tmp_path / "log"
    path.write_bytes(b"a" * 10)
    body = FileBody(path)
    _ = body.digest
    path.write_bytes(b"b" * 11)

    with pytest.raises(IntegrityError, match="'log' was written to"):
        storage.keep(body, format_by_id("bytes@1"))


def test_open_reads_ranges_of_verified_bytes(storage):
    with storage.open(storage.put(DATA)) as file:
        assert (file.seek(5), file.read(4)) == (5, b"5678")
        assert (file.seek(-2, os.SEEK_END), file.read()) == (len(DATA) - 2, b"89")


def test_open_of_an_inline_reference_reads_it(storage):
    ref = ArtifactRef.parse(with_storage(lambda: b"abc")())

    assert ref.open().read() == b"abc"


def test_path_is_read_only_and_has_the_name_it_had(storage, tmp_path):
    (tmp_path / "model.bin").write_bytes(DATA)
    ref = storage.put(tmp_path / "model.bin")

    path = storage.path(ref)

    assert (path.name, path.read_bytes()) == ("model.bin", DATA)
    assert path == ref.path()
    assert path.stat().st_mode & 0o777 == 0o444


def test_path_without_a_name_has_the_suffix_of_its_format(storage):
    assert storage.path(storage.put(np.arange(3))).name == "artifact.npy"


def test_stat_looks_without_reading(storage):
    ref = storage.put(DATA)
    stat = storage.stat(ref)

    assert (stat.size, stat.format, stat.digest) == (len(DATA), "bytes@1", ref.digest)
    assert stat.stored_at.tzinfo is not None
    assert ref.stat() == stat


def test_stat_of_what_is_gone_says_so(storage):
    ref = storage.put(DATA)
    storage.delete_object(ref.bucket, ref.key)

    with pytest.raises(ArtifactNotFoundError) as caught:
        storage.stat(ref)

    assert caught.value.ref == ref
    assert isinstance(caught.value, NotFoundError)


def test_verify_reads_the_store_and_not_the_cache(storage):
    ref = storage.put(DATA)
    storage.get(ref)
    storage.verify(ref)
    storage.put_object(ref.bucket, ref.key, b"z" * ref.size)

    assert storage.get(ref) == DATA
    with pytest.raises(DigestMismatchError):
        storage.verify(ref)


def test_a_cached_copy_needs_no_server(settings, tmp_path):
    with local_server() as other, storage_context(endpoint=other.endpoint):
        ref = storage_for().put(DATA)
        storage_for().get(ref)

    with storage_context(endpoint=other.endpoint):
        assert storage_for().get(ref) == DATA


def test_a_truncated_copy_in_the_cache_is_fetched_again(storage):
    ref = storage.put(DATA)
    path = storage.local(ref)
    path.chmod(0o600)
    path.write_bytes(b"short")

    assert storage.get(ref) == DATA


def test_scratch_lives_as_long_as_the_step(settings):
    seen = []

    @with_storage
    def step(storage: Storage) -> Path:
        folder = storage.scratch()
        seen.append(folder)
        (folder / "out.txt").write_text("made")
        return folder / "out.txt"

    ref = ArtifactRef.parse(step())

    assert (ref.filename, ref.load()) == ("out.txt", b"made")
    assert not seen[0].exists()


def test_one_handle_per_store_and_settings(settings):
    assert storage_for() is storage_for()
    with storage_context(bucket="another-bucket"):
        assert storage_for().bucket == "another-bucket"
    assert storage_for().bucket == settings["bucket"]


def test_the_store_of_the_settings_is_the_default(settings):
    with storage_context(store="archive", endpoints={"archive": settings["endpoint"]}):
        assert (Storage().store_name, storage_for().store_name) == ("archive", "archive")


def test_closing_an_injected_handle_disturbs_nobody(settings):
    @with_storage
    def step(storage: Storage):
        with storage:
            return storage.put(DATA)

    assert step() == step()


def test_stores_are_names_for_endpoints(settings):
    with local_server() as other, storage_context(endpoints={"archive": other.endpoint}):
        ref = Storage("archive").put(DATA)

        assert ref.store == "archive"
        assert storage_for().get(ref) == DATA
    with pytest.raises(UnknownStoreError, match="archive"):
        Storage("archive")


def test_the_bucket_is_made_when_it_is_missing(settings):
    with (
        local_server(auto_create_buckets=False) as strict,
        storage_context(endpoint=strict.endpoint),
        Storage() as storage,
    ):
        assert storage.get(storage.put(DATA)) == DATA
        with pytest.raises(NotFoundError):
            storage.put_object("other-bucket", "key", b"")


def test_a_connection_error_says_where_the_address_came_from(settings, free_port):
    message = rf"store 'default' is at 127.0.0.1:{free_port} \(storage_context\)"
    ref = ArtifactRef(bucket="bucket", key="key", size=1, format="bytes@1")

    with storage_context(endpoint=f"127.0.0.1:{free_port}"), pytest.raises(NetworkError, match=message):
        storage_for().stat(ref)


def test_a_pickled_handle_is_the_one_of_where_it_arrives(settings):
    assert pickle.loads(pickle.dumps(Storage())) is storage_for()


READS = """
import pickle, sys
ref = pickle.loads(bytes.fromhex(sys.argv[1]))
assert "grpc" not in sys.modules and "lucas_storage.storage" not in sys.modules
found = {"load": ref.load, "open": lambda: ref.open().read(), "path": lambda: ref.path().read_bytes()}
print(*(found[way]() == b"data" for way in sys.argv[2:]), pickle.loads(pickle.dumps(ref.stat())) == ref.stat())
"""


@pytest.mark.parametrize(
    "ways",
    [["load", "open", "path"], *(pytest.param([way], marks=pytest.mark.thorough) for way in ("open", "path"))],
    ids=" ".join,
)
def test_a_process_that_did_nothing_but_unpickle_a_reference_can_read_it(storage, settings, ways):
    ref = storage.put(b"data")
    given = {
        **os.environ,
        "STORAGE_ENDPOINT": settings["endpoint"],
        "LUCAS_STORAGE_BUCKET": settings["bucket"],
        "LUCAS_STORAGE_CACHE": str(settings["cache_dir"]),
    }
    command = [sys.executable, "-c", READS, pickle.dumps(ref).hex(), *ways]

    found = subprocess.run(command, env=given, capture_output=True, text=True, check=False)

    assert (found.stdout.split(), found.stderr) == (["True"] * (len(ways) + 1), "")


def test_what_is_known_of_an_artifact_is_pickled_under_the_path_that_every_version_has(storage):
    stat = storage.stat(storage.put(DATA))

    assert b"lucas_storage.storage" in pickle.dumps(stat)
    assert pickle.loads(pickle.dumps(stat)) == stat


def test_many_threads_fetch_once(storage, settings):
    ref = storage.put(b"x" * 1_000_000)
    found = []
    threads = [threading.Thread(target=lambda: found.append(storage.local(ref))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 16
    assert len(set(found)) == 1


def test_an_unpinned_reference_is_read_as_it_is_now(storage):
    storage.put_object(storage.bucket, "users/data.json", b"[1]")
    ref = ArtifactRef(bucket=storage.bucket, key="users/data.json", size=3, format="json@1")

    assert storage.get(ref) == [1]
    storage.put_object(storage.bucket, "users/data.json", b"[2]")
    assert storage.get(ref) == [2]


@pytest.mark.usefixtures("small_parts")
def test_a_very_large_object_of_another_program_is_read_range_by_range(storage, settings):
    block = os.urandom(4096)
    storage.upload_from_stream(storage.bucket, "theirs", [block] * 5)
    ref = ArtifactRef(bucket=storage.bucket, key="theirs", size=5 * len(block), format="bytes@1")

    with storage.open(ref) as file:
        file.seek(ref.size - 100)

        assert file.read() == block[-100:]
    assert not list(settings["cache_dir"].rglob("content"))


@pytest.mark.thorough
@pytest.mark.slow
def test_a_long_stream_passes_in_bounded_memory(settings):
    code = (
        "import resource, sys\n"
        "from collections.abc import Iterator\n"
        "from lucas_storage import storage_context, with_storage\n"
        "endpoint, cache, bucket = sys.argv[1:]\n"
        "@with_storage\n"
        "def make():\n"
        "    yield from (bytes([n % 251]) * 100_000 for n in range(2_000))\n"
        "@with_storage\n"
        "def count(pieces: Iterator[bytes]) -> list:\n"
        "    return [sum(len(piece) for piece in pieces)]\n"
        "def peak():\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10\n"
        "with storage_context(endpoint=endpoint, cache_dir=cache, bucket=bucket):\n"
        "    count(pieces=iter([b'x']))\n"
        "    before = peak()\n"
        "    print(*count(pieces=make()), peak() - before)\n"
    )
    command = [sys.executable, "-c", code, settings["endpoint"], str(settings["cache_dir"]), settings["bucket"]]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    length, grown = map(int, done.stdout.split())

    assert length == 200_000_000
    assert grown < 100 << 20


def test_what_was_prefetched_is_read_without_the_store(settings, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("a")
    with local_server() as other, storage_context(endpoint=other.endpoint), Storage() as storage:
        refs = [storage.put(DATA), storage.put(np.arange(9)), storage.put(tmp_path / "folder")]

        storage.prefetch(refs[0], refs[1].uri, refs[2].to_json())

    with storage_context(endpoint=other.endpoint), Storage() as storage:
        assert storage.get(refs[0]) == DATA
        assert storage.get(refs[1]).tolist() == list(range(9))
        assert (storage.path(refs[2]) / "a.txt").read_text() == "a"


def test_what_is_prefetched_twice_is_fetched_once(storage, monkeypatch):
    calls, genuine = [], Storage.get_object
    refs = [storage.put(bytes([n]) * 1000) for n in range(20)]
    monkeypatch.setattr(
        Storage, "get_object", lambda self, *args, **more: calls.append(args) or genuine(self, *args, **more)
    )

    storage.prefetch(*refs, *refs)
    storage.prefetch(*refs)
    storage.prefetch()

    assert len(calls) == 20


def test_a_prefetched_artifact_is_not_evicted_before_the_step_has_used_it(settings):
    with storage_context(cache_max=150_000):

        @with_storage
        def step(first: ArtifactRef, second: ArtifactRef, storage: Storage) -> list:
            storage.prefetch(first, second)
            paths = [storage.local(ref) for ref in (first, second)]
            storage.get(storage.put(b"z" * 100_000))
            return [path.exists() for path in paths]

        first, second = (storage_for().put(letter * 100_000) for letter in (b"x", b"y"))
        assert step(first=first, second=second) == [True, True]


def test_prefetch_of_what_is_gone_or_no_reference_says_so(storage):
    gone, there = storage.put(DATA), storage.put(b"there")
    storage.delete_object(gone.bucket, gone.key)

    with pytest.raises(ArtifactNotFoundError):
        storage.prefetch(there, gone)
    with pytest.raises(InvalidRefError):
        storage.prefetch("no reference")
    storage.prefetch(ArtifactRef.parse(with_storage(lambda: b"abc")()))
